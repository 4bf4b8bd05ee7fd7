"""How long it takes until something happens: loading IMDB, and the first training step.

    python benchmarks/start.py

Loading: the tutorial's preparation, the harness's first load and its second, each in a
process of its own; importing NumPy, which both need, is not counted. Starting: from
starting a worker to its first finished training step, with an empty cache of compiled
programs and with the one that this left. IMDB is wanted in `HARNESS_DATA_DIR`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from harness import machine, runner, workers
from harness.events import Ended, Event, Progress
from harness.index import open_registry
from harness.paths import cache_dir
from harness.plan import Run, expand
from harness.suites import Suite

PAIRS = 5
MODELS = ("transformer", "mean_pool")
LOAD = """
import time, harness, numpy
start = time.perf_counter()
harness.load_dataset("imdb")
print(time.perf_counter() - start)
"""
TUTORIAL = """
import sys, time
from pathlib import Path
from benchmarks.tutorial_preparation import prepare
import numpy
start = time.perf_counter()
prepare(Path(sys.argv[1]), vocab_size=20_000, max_length=200, index_from=3, oov_id=2)
print(time.perf_counter() - start)
"""


def in_process(program: str, *words: str) -> float:
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=root, check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    return float(done.stdout.splitlines()[-1])


def until_first_step(run: Run) -> float:
    """Seconds from starting the worker to the end of its first training step.

    Progress is said when a chunk of steps is done, so the run has one step.
    """
    start = time.perf_counter()
    reached: list[float] = []

    def heard(event: Event) -> None:
        if isinstance(event, Progress) and not reached:
            reached.append(time.perf_counter() - start)
        if isinstance(event, Ended) and event.status != "ok":
            sys.exit(f"{event.error_type}: {event.error_message}")

    workers.in_worker()(run, runner.log_path(run), heard)
    return reached[0]


@contextmanager
def cache_of_its_own() -> Iterator[None]:
    """Everything that is kept between loads and starts, in an empty folder until the end."""
    before = os.environ.get("HARNESS_CACHE_DIR")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HARNESS_CACHE_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["HARNESS_CACHE_DIR"]
            if before is not None:
                os.environ["HARNESS_CACHE_DIR"] = before


def source() -> Path:
    """The file that the tutorial's preparation reads."""
    return (Path(os.environ.get("HARNESS_DATA_DIR", "")) / "imdb" / "imdb.npz").resolve()


def loading() -> dict[str, float]:
    """Seconds for the tutorial's preparation, the first load and the second."""
    shutil.rmtree(cache_dir(), ignore_errors=True)
    open_registry()  # the index of plugins is no part of loading
    return {
        "tutorial": in_process(TUTORIAL, str(source())),
        "first": in_process(LOAD),
        "second": in_process(LOAD),
    }


def starting(model: str) -> dict[str, float]:
    """Seconds until the first step, without compiled programs and with them."""
    suite = Suite(datasets=("imdb",), models=(model,), recipe={"epochs": 1, "limit": 128})
    (run,) = expand(suite, open_registry(), key_parts=machine.key_parts())
    shutil.rmtree(cache_dir() / "xla", ignore_errors=True)
    return {"first": until_first_step(run), "second": until_first_step(run)}


def measure(models: Sequence[str] = MODELS) -> dict[str, dict[str, float]]:
    """One round of everything: "loading", and a model's name for its starts."""
    with cache_of_its_own():
        return {"loading": loading()} | {model: starting(model) for model in models}


def line(name: str, values: list[float], base: list[float] | None = None) -> str:
    text = f"| {name} | {median(values):.3f} ({min(values):.3f} to {max(values):.3f}) |"
    if base is None:
        return f"{text} |"
    ratios = [a / b for a, b in zip(values, base, strict=True)]
    return f"{text} {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}) |"


def page(rounds: list[dict[str, dict[str, float]]]) -> str:
    """Both tables as markdown."""

    def column(what: str, name: str) -> list[float]:
        return [found[what][name] for found in rounds]

    tutorial = column("loading", "tutorial")
    lines = [
        "| loading IMDB | s | over the tutorial's |\n|---|---:|---:|",
        line("the tutorial's preparation", tutorial),
        line("the first time", column("loading", "first"), tutorial),
        line("the second time", column("loading", "second"), tutorial),
        "\n| process start to first training step | s | over the first |\n|---|---:|---:|",
    ]
    for model in MODELS:
        first = column(model, "first")
        lines += [
            line(f"{model}, the first time", first),
            line(f"{model}, the second time", column(model, "second"), first),
        ]
    return "\n".join(lines)


def main() -> None:
    if sys.argv[1:]:
        sys.exit(f"{__doc__}\nIt takes no arguments.")
    if not source().is_file():
        sys.exit(f"no {source()}: set HARNESS_DATA_DIR to a folder with imdb/imdb.npz")
    print(page([measure() for _ in range(PAIRS)]))
    versions = machine.versions()
    print(f"\n{PAIRS} pairs; {machine.cpu_model()}, {os.cpu_count()} cores, "
          f"jax {versions['jax_version']}, Python {versions['python_version']}")  # fmt: skip


if __name__ == "__main__":
    main()
