"""How long it takes until something happens: loading IMDB, and the first training step.

    python benchmarks/start.py

Loading: the tutorial's preparation, the harness's first load and its second, each in a
process of its own, importing not counted. Starting: from starting a worker to its first
finished training step, with an empty cache of compiled programs and with the one that
this left. IMDB is wanted in `HARNESS_DATA_DIR`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from harness import machine, runner, workers
from harness.events import Ended, Event, Progress
from harness.index import open_registry
from harness.paths import cache_dir
from harness.plan import Run, expand
from harness.suites import Suite

PAIRS = 5
LOAD = """
import time, harness
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
    """Seconds from starting the worker to the end of its first training step."""
    start = time.perf_counter()
    reached: list[float] = []

    def heard(event: Event) -> None:
        if isinstance(event, Progress) and not reached:
            reached.append(time.perf_counter() - start)
        if isinstance(event, Ended) and event.status != "ok":
            sys.exit(f"{event.error_type}: {event.error_message}")

    workers.in_worker()(run, runner.log_path(run), heard)
    return reached[0]


def line(name: str, values: list[float], base: list[float] | None = None) -> str:
    text = f"| {name} | {median(values):.3f} ({min(values):.3f} to {max(values):.3f}) |"
    if base is None:
        return f"{text} |"
    ratios = [a / b for a, b in zip(values, base, strict=True)]
    return f"{text} {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}) |"


def loading(source: Path) -> None:
    times: dict[str, list[float]] = {"tutorial": [], "first": [], "second": []}
    for _ in range(PAIRS):
        shutil.rmtree(cache_dir(), ignore_errors=True)
        open_registry()  # the index of plugins is no part of loading
        times["tutorial"].append(in_process(TUTORIAL, str(source)))
        times["first"].append(in_process(LOAD))
        times["second"].append(in_process(LOAD))
    print("| loading IMDB | s | over the tutorial's |\n|---|---:|---:|")
    print(line("the tutorial's preparation", times["tutorial"]))
    print(line("the first time", times["first"], times["tutorial"]))
    print(line("the second time", times["second"], times["tutorial"]))


def starting(model: str) -> None:
    suite = Suite(datasets=("imdb",), models=(model,), recipe={"epochs": 1, "limit": 2560})
    (run,) = expand(suite, open_registry(), key_parts=machine.key_parts())
    first, second = [], []
    for _ in range(PAIRS):
        shutil.rmtree(cache_dir() / "xla", ignore_errors=True)
        first.append(until_first_step(run))
        second.append(until_first_step(run))
    print(line(f"{model}, the first time", first))
    print(line(f"{model}, the second time", second, first))


def main() -> None:
    source = Path(os.environ.get("HARNESS_DATA_DIR", "")) / "imdb" / "imdb.npz"
    if not source.is_file():
        sys.exit(f"no {source}: set HARNESS_DATA_DIR to a folder with imdb/imdb.npz")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HARNESS_CACHE_DIR"] = folder
        loading(source.resolve())
        print(
            "\n| process start to first training step | s | over the first |\n|---|---:|---:|"
        )
        for model in ("transformer", "mean_pool"):
            starting(model)
    versions = machine.versions()
    print(f"\n{PAIRS} pairs; {machine.cpu_model()}, {os.cpu_count()} cores, "
          f"jax {versions['jax_version']}, Python {versions['python_version']}")  # fmt: skip


if __name__ == "__main__":
    main()
