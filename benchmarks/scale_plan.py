"""What a plan of many runs costs, beside the runs.

    python -m benchmarks.scale_plan --runs 10000 --write benchmarks/results/scale_plan.md

A plan is shown, performed in the command's own process and shown again. Its runs are of a model
that fits no data (`refuses.py`), so each ends as `unsupported` before a program is made: what
is left is what the harness does for a run that it plans, writes down, begins, ends and stores.
Beside it stands as much for a tenth of the runs, which tells what grows faster than the plan.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from harness import machine
from harness.store import open_store

PLUGIN = Path(__file__).with_name("refuses.py")
SEEDS = 5
DONE = (0, 3)  # exit statuses: as planned, with or without a result


@dataclass(frozen=True)
class Cost:
    """Of a whole command, its imports included."""

    name: str
    seconds: float
    peak_mib: float


def cost(name: str, *words: str) -> Cost:
    """Performs a command.

    Raises:
      ClickException: it did not do what it was asked.
    """
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", *words],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in DONE:
        raise click.ClickException(f"harness {' '.join(words)}: left with {process.returncode}")
    return Cost(name, seconds, usage.ru_maxrss / 1024)


def suite(runs: int) -> str:
    """A grid of so many runs, five seeds of each value."""
    values = ", ".join(f"{1e-3 + n * 1e-6:g}" for n in range(runs // SEEDS))
    return (
        'datasets = ["digits"]\nmodels = ["refuses"]\n'
        f"seeds = {SEEDS}\n[grid]\nlearning_rate = [{values}]\n"
    )


def costs(runs: int, folder: Path) -> Iterator[Cost]:
    """Of each command on a plan of so many runs, in order."""
    store = f"sqlite:///{folder}/{runs}.db"
    file = folder / f"{runs}.toml"
    file.write_text(suite(runs))
    asked = ("run", str(file), "--plugin", str(PLUGIN), "--store", store)
    yield cost("`harness run --dry-run`, an empty store", *asked, "--dry-run")
    yield cost("`harness run --in-process`", *asked, "--in-process")
    with open_store(store) as opened:
        if opened.count() != runs or opened.lost():
            raise click.ClickException(f"of {runs} runs {opened.count()} are stored")
    yield cost("`harness run --resume --dry-run`", *asked, "--resume", "--dry-run")
    yield cost("`harness table`", "table", "--store", store)


def page(runs: int) -> str:
    with tempfile.TemporaryDirectory() as name:
        list(costs(SEEDS, Path(name)))  # the index of plugins is written
        few = list(costs(runs // 10, Path(name)))
        many = list(costs(runs, Path(name)))
    lines = [
        "# What a plan of many runs costs\n",
        f"`python -m benchmarks.scale_plan --runs {runs}` on {machine.utc()[:10]}: a model "
        f"that fits no data, {runs // SEEDS:,} learning rates with {SEEDS} seeds, and a tenth "
        "of them. Whole commands, once each; memory is the command's own.\n",
        f"| command | {runs // 10:,} runs, s | MiB | {runs:,} runs, s | MiB | ms a run more |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for less, more in zip(few, many, strict=True):
        each = 1e3 * (more.seconds - less.seconds) / (runs - runs // 10)
        lines.append(
            f"| {more.name} | {less.seconds:.1f} | {less.peak_mib:,.0f} | "
            f"{more.seconds:.1f} | {more.peak_mib:,.0f} | {each:.2f} |"
        )
    lines.append(
        f"\n{machine.cpu_model()}, {os.cpu_count()} cores, SQLite, "
        f"Python {machine.versions()['python_version']}"
    )
    return "\n".join(lines) + "\n"


@click.command(help=__doc__)
@click.option("--runs", default=10_000, show_default=True)
@click.option("--write", type=click.Path(path_type=Path))
def main(runs: int, write: Path | None) -> None:
    text = page(runs)
    if write is not None:
        write.write_text(text, encoding="utf-8")
    click.echo(text)


if __name__ == "__main__":
    main()
