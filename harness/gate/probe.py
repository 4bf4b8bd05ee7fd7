"""Asks the code of one side of a gate what its programs are: a file, not a module.

    python probe.py <question.json

The gate runs this very file with each side's own Python and source tree, so that both
sides are asked by the same lines, whatever version of the harness they have. The question
names cells, plugin files, a recipe and the folders that are the side's own; the answer is
one line of JSON a cell, facts as JAX gives them: `harness.gate.signals` reads them. Nothing
here is timed.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

# at least so many steps are taken, and an evaluation behind every epoch of them
STEPS = 50
TRANSFER = re.compile(r"guard_lib\.cc:\d+\] (\S+-to-\S+) transfer: ")


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a plugin prints must not stand between the answers
    question = json.load(sys.stdin)
    stay_inside(question)
    for cell in question["cells"]:
        try:
            answer = describe(cell, question)
        except Exception as error:  # the other cells can still be told
            answer = {
                "error": said(error),
                "absent": type(error).__name__ == "UnknownName",
                "refused": str(error) if type(error).__name__ == "UsageError" else "",
                "unserved": str(error) if type(error).__name__ == "Unsupported" else "",
            }
        print(json.dumps({"cell": cell, **answer}), file=answers, flush=True)


def said(error: Exception) -> str:
    """An exception in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def stay_inside(question: dict[str, Any]) -> None:
    """Takes the repository itself off the import path, which a side's tree stands for.

    An editable installation or an inherited PYTHONPATH has put it there: what the tree lacks
    would be found in the working tree, and the wrong code measured.
    """
    sys.path[:] = [entry for entry in sys.path if not entry or not foreign(entry, question)]


def foreign(file: str, question: dict[str, Any]) -> bool:
    """Whether a path is the repository's and not of the side's tree."""
    path, origin = Path(file).resolve(), question["origin"]
    if origin is None or not path.is_relative_to(origin):
        return False
    # an environment may lie in the repository, and the tree too, where TMPDIR does
    good = [sys.prefix, sys.base_prefix, *question["roots"]]
    return not any(path.is_relative_to(Path(folder).resolve()) for folder in good)


def describe(cell: dict[str, str], question: dict[str, Any]) -> dict[str, Any]:
    """Both programs of a cell, what a training compiles, and which code it all came from."""
    import jax

    import harness
    from harness import assemble, engine
    from harness.events import Measured
    from harness.recipe import Recipe

    plugins = present(question)
    check(plugins)
    dataset = harness.load_dataset(cell["dataset"], plugins=plugins)

    def build() -> Any:
        return harness.build_model(cell["model"], data=dataset.spec, seed=0, plugins=plugins)

    recipe = Recipe(**question["recipe"])
    parts, task = parts_of(dataset.spec, plugins)
    splits = assemble.make_splits(dataset, recipe, **task)
    per_epoch = max(1, len(splits.train) // recipe.batch_size)
    recipe = replace(recipe, epochs=-(-STEPS // per_epoch))
    prepared = assemble.prepare(
        build(), dataset, recipe, seed=0, emit=lambda event: None, **parts
    )
    measured: dict[str, Any] = {}

    def hear(event: Any) -> None:
        if isinstance(event, Measured):
            measured.update(event.values)

    with transfers_noted() as transfers:
        engine.fit(build(), dataset, recipe, seed=0, emit=hear, **parts)
    return {
        "programs": {
            "train": facts(prepared.trainer.compiled),
            "eval": facts(prepared.final.compiled),
        },
        "recompiles": measured.get("recompiles"),
        "recompiled": measured.get("recompiled"),
        "transfers": transfers if transfers_are_told() else None,
        "device_kind": jax.devices()[0].device_kind,
        "sources": sources(question),
        "packages": packages(),
    }


def parts_of(spec: Any, plugins: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the engine and the splits are told of a task; of classification nothing."""
    if spec.task == "classification":  # all that an older harness knows
        return {}, {}
    from harness.api import load_task
    from harness.assemble import Parts

    task = load_task(spec.task, plugins=plugins)
    return {"parts": Parts(task=task)}, {"task": task}


def present(question: dict[str, Any]) -> list[str]:
    """The plugin files that this side has: one may be new in the other."""
    return [file for file in question["plugins"] if Path(file).exists()]


def packages() -> dict[str, str]:
    """What is installed, with its versions, and the Python itself."""
    found = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    return {**found, "Python": platform.python_version()}


@contextmanager
def transfers_noted() -> Iterator[dict[str, int]]:
    """Counts, by direction, the implicit transfers that JAX notes on standard error.

    https://docs.jax.dev/en/latest/transfer_guard.html; on a CPU none comes back from the
    device, because its memory is the host's.
    """
    import jax

    found: dict[str, int] = {}
    kept = os.dup(2)
    with tempfile.TemporaryFile("w+", errors="replace") as notes:
        os.dup2(notes.fileno(), 2)
        # the setting and not the context manager: other threads of the engine count too
        jax.config.update("jax_transfer_guard", "log")
        try:
            yield found
        finally:
            jax.config.update("jax_transfer_guard", "allow")
            os.dup2(kept, 2)
            os.close(kept)
            notes.seek(0)
            for line in notes:
                way = TRANSFER.search(line)
                if way is None:
                    sys.stderr.write(line)  # whatever else was said there
                else:
                    found[way[1]] = found.get(way[1], 0) + 1


def transfers_are_told() -> bool:
    """Whether a transfer that is certain shows, or something keeps JAX from noting it."""
    import jax
    import numpy as np

    with transfers_noted() as found:
        jax.jit(lambda value: value + 1)(np.ones(1, np.float32)).block_until_ready()
    return bool(found)


def check(plugins: list[str]) -> None:
    """Says why a plugin does not load, where a name would only be unknown."""
    from harness.index import open_registry

    for failure in open_registry(plugins).failures:
        if failure.source.target in plugins:
            raise ImportError(f"{failure.source.name}: {failure.error_type}: {failure.message}")


def facts(program: Any) -> dict[str, Any]:
    """What JAX tells of a compiled program, as JSON."""
    memory = program.call.memory_analysis()
    cost = program.call.cost_analysis() or {}
    return {
        "optimized": program.call.as_text() or "",
        "lowered": program.lowered.as_text(),
        "cost": {
            name: cost[name]
            for name in ("flops", "transcendentals", "bytes accessed")
            if name in cost
        },
        "memory": {
            name: getattr(memory, name)
            for name in (
                "temp_size_in_bytes", "argument_size_in_bytes", "output_size_in_bytes",
            )
            if memory is not None
        },
    }  # fmt: skip


def sources(question: dict[str, Any]) -> dict[str, str]:
    """The side's own files that this process has imported, with their hashes.

    They are named by their place in the side's tree; without a tree all imported files count,
    but those of Python itself, by their place on the import path.

    Raises:
      ImportError: something was imported from the repository itself.
    """
    found: dict[str, str] = {}
    # the program itself is the driver's; it may be known under several names
    program = sys.modules["__main__"]
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        path = Path(name).resolve() if name else None
        if path is None or module is program or not path.is_file():
            continue
        if foreign(str(path), question):
            raise ImportError(f"{path} was imported, which is not of this side's tree")
        place = place_of(path, question)
        if place:
            found[place] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return found


def place_of(path: Path, question: dict[str, Any]) -> str:
    """Where a file is in its side, empty if it is none of the side's."""
    roots = [Path(root).resolve() for root in question["roots"]]
    if not roots:
        library = Path(sysconfig.get_path("stdlib")).resolve()
        if path.is_relative_to(library) and "site-packages" not in path.parts:
            return ""
        roots = [Path(entry).resolve() for entry in sys.path if entry]
    inside = [path.relative_to(root) for root in roots if path.is_relative_to(root)]
    return str(min(inside, key=lambda place: len(place.parts))) if inside else ""


if __name__ == "__main__":
    main()
