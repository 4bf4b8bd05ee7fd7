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
import re
import sys
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
    for cell in question["cells"]:
        try:
            answer = describe(cell, question)
        except Exception as error:  # the other cells can still be told
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps({"cell": cell, **answer}), file=answers, flush=True)


def describe(cell: dict[str, str], question: dict[str, Any]) -> dict[str, Any]:
    """Both programs of a cell, what a training compiles, and which code it all came from."""
    import jax

    import harness
    from harness import assemble, engine
    from harness.recipe import Recipe

    plugins = question["plugins"]
    check(plugins)
    dataset = harness.load_dataset(cell["dataset"], plugins=plugins)

    def build() -> Any:
        return harness.build_model(cell["model"], data=dataset.spec, seed=0, plugins=plugins)

    recipe = Recipe(**question["recipe"])
    splits = assemble.make_splits(dataset, recipe)
    per_epoch = max(1, len(splits.train) // recipe.batch_size)
    recipe = replace(recipe, epochs=-(-STEPS // per_epoch))
    prepared = assemble.prepare(build(), dataset, recipe, seed=0, emit=lambda event: None)
    said: dict[str, Any] = {}

    def hear(event: Any) -> None:
        said.update(getattr(event, "values", {}))

    with transfers_noted() as transfers:
        engine.fit(build(), dataset, recipe, seed=0, emit=hear)
    return {
        "programs": {
            "train": facts(prepared.trainer.compiled),
            "eval": facts(prepared.final.compiled),
        },
        "recompiles": said.get("recompiles"),
        "recompiled": said.get("recompiled"),
        "transfers": transfers,
        "params_hash": said.get("params_hash"),
        "device_kind": jax.devices()[0].device_kind,
        "sources": sources([Path(root) for root in question["roots"]]),
        "packages": {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()},
    }


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


def sources(roots: list[Path]) -> dict[str, str]:
    """The files under the roots that this process has imported, with their hashes."""
    found: dict[str, str] = {}
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        path = Path(name).resolve() if name else None
        for root in roots:
            if path is not None and path.is_relative_to(root.resolve()) and path.is_file():
                inside = str(path.relative_to(root.resolve()))
                found[inside] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return found


if __name__ == "__main__":
    main()
