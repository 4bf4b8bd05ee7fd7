"""What a Dask cluster costs: the same tiny runs by the command alone and by its workers.

    python -m benchmarks.cluster --write benchmarks/results/cluster.md

Runs of a few seconds are performed one after the other by `harness run`, then by one worker
of a cluster on this machine, then by several at once, each time by a command of its own on a
store of its own. What one worker takes longer for each run than no cluster is the overhead of a
run. With several, runs share the machine's cores, so what is told of them is the rate. Then
rows are held against each other: every accuracy and every parameter has to be the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
import pandas as pd

import harness
from harness import machine

TINY = ("-d", "digits", "-m", "mean_pool", "--epochs", "1", "--limit", "200")


@dataclass(frozen=True)
class Way:
    """One way of performing the runs.

    Attributes:
      wall_s: from the start of the command to its end.
      busy_s: of that, from the start of the first run to the end of the last one.
      rows: what it stored.
    """

    name: str
    runs: int
    wall_s: float
    busy_s: float
    rows: pd.DataFrame


def perform(name: str, folder: Path, runs: int, *words: str) -> Way:
    """Performs the runs by a command of its own.

    Raises:
      ClickException: it did not end well.
    """
    store = f"sqlite:///{folder}/{name.replace(' ', '_')}.db"
    asked = [sys.executable, "-m", "harness", "run", *TINY, *words]
    asked += ["--seeds", str(runs), "--store", store]
    start = time.perf_counter()
    begun = None
    with subprocess.Popen(
        asked, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        ended = start
        for line in process.stderr:
            if begun is None and line.startswith("[1/"):
                begun = time.perf_counter()
            if "  ok  run " in line:
                ended = time.perf_counter()
    if process.returncode:
        raise click.ClickException(f"{name}: the command left with {process.returncode}")
    wall = time.perf_counter() - start
    return Way(name, runs, wall, ended - (begun or start), harness.load(store))


def same(ways: list[Way]) -> str:
    """Whether all ways came to the same.

    Raises:
      ClickException: a run is lost, twice there or another.
    """
    columns = ["params_hash", "test_accuracy", "test_loss"]
    frames = [way.rows.sort_values(["seed"]).reset_index(drop=True) for way in ways]
    most = max(frames, key=len)
    for way, frame in zip(ways, frames, strict=True):
        once = frame["seed"].tolist() == list(range(way.runs))
        if not once or not frame[columns].equals(most[columns].iloc[: way.runs]):
            raise click.ClickException(f"{way.name} did not come to what the others did")
    return "Every run is there once, and its parameters are the same to the bit each way."


def page(ways: list[Way]) -> str:
    alone, one, *_, most = ways
    overhead = 1e3 * (one.busy_s / one.runs - alone.busy_s / alone.runs)
    lines = [
        "# What a Dask cluster costs\n",
        f"`python -m benchmarks.cluster --runs {most.runs} --few {one.runs}` on "
        f"{machine.utc()[:10]}: runs of `mean_pool` on 200 digits, by a command of its own "
        "each way.\n",
        "| | runs | s | of them before the first run and after the last | s a run |",
        "|---|---:|---:|---:|---:|",
    ]
    for way in ways:
        lines.append(
            f"| {way.name} | {way.runs} | {way.wall_s:.1f} | {way.wall_s - way.busy_s:.1f} | "
            f"{way.busy_s / way.runs:.2f} |"
        )
    lines += [
        f"\nOverhead of a run: {overhead:.0f} ms, {one.name} less {alone.name}.",
        same(ways),
        f"\n{machine.cpu_model()}, {os.cpu_count()} cores, "
        f"distributed {_version('distributed')}, jax {machine.versions()['jax_version']}, "
        f"Python {machine.versions()['python_version']}",
    ]
    return "\n".join(lines) + "\n"


def _version(name: str) -> str:
    import importlib.metadata

    return importlib.metadata.version(name)


def measure(runs: int, workers: int, *, few: int) -> list[Way]:
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        perform("warm-up", at, 1)  # compiles the programs
        dask = ("--executor", "dask", "--workers")
        return [
            perform("no cluster", at, few),
            perform("1 worker", at, few, *dask, "1"),
            perform(f"{workers} workers", at, runs, *dask, str(workers)),
        ]


@click.command(help=__doc__)
@click.option("--runs", default=200, show_default=True)
@click.option("--few", default=40, show_default=True, help="Runs one after the other.")
@click.option("--workers", default=2, show_default=True)
@click.option("--write", type=click.Path(path_type=Path))
def main(runs: int, few: int, workers: int, write: Path | None) -> None:
    text = page(measure(runs, workers, few=few))
    if write is not None:
        write.write_text(text, encoding="utf-8")
    click.echo(text)


if __name__ == "__main__":
    main()
