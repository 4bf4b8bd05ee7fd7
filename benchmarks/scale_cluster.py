"""What many workers of a Dask cluster cost the command that uses them.

    python -m benchmarks.scale_cluster --write benchmarks/results/scale_cluster.md

A scheduler and its workers are threads of this process, all on its cores: what is measured is
an upper bound of what a command and a scheduler do for so many workers. They are greeted as
a plan greets them, a file that their machine has to be sent included, and then tasks that do
nothing are given to them as runs are.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from harness import machine, sources
from harness.cluster.greeting import greeted, needed
from harness.cluster.roster import Roster
from harness.cluster.shipping import Root, root_of

SHIPPED = 2**20  # bytes of the file that each worker is sent
TASKS = 1024  # as many as runs of one command go on at once


@dataclass(frozen=True)
class Cost:
    """Seconds: until all workers may be used, to look again, for tasks that do nothing."""

    workers: int
    greet_s: float
    look_s: float
    tasks_s: float


@contextmanager
def cluster(workers: int) -> Iterator[Any]:
    """A client of a scheduler with so many workers of one thread."""
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what ends tells of its end

    there: Any = LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=False, protocol="tcp://",
        dashboard_address="127.0.0.1:0", memory_limit=0,
    )  # fmt: skip
    with there, Client(there.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(workers)
        yield client


def measure(workers: int, root: Root, plugins: str) -> Cost:
    """
    Raises:
      ClickException: not all workers may be used.
    """
    with cluster(workers) as client:
        greet = partial(
            greeted, client, here=machine.key_parts(), plugins=plugins, roots=[root]
        )
        roster = Roster(greet=greet, resources={}, note=partial(click.echo, err=True))
        greet_s, look_s = (_look(roster, client) for _ in range(2))
        if len(roster.slots) != workers:
            raise click.ClickException(f"{len(roster.slots)} of {workers} workers are used")
        begun = time.perf_counter()
        futures = [
            client.submit(str, i, pure=False, workers=list(roster.slots)) for i in range(TASKS)
        ]
        client.gather(futures)
        return Cost(workers, greet_s, look_s, time.perf_counter() - begun)


def _look(roster: Roster, client: Any) -> float:
    begun = time.perf_counter()
    roster.look(client.scheduler_info(n_workers=-1)["workers"])
    return time.perf_counter() - begun


def page(counts: list[int]) -> str:
    plugins = needed(sources.find_sources())
    lines = [
        "# What many workers cost\n",
        f"`python -m benchmarks.scale_cluster --workers {','.join(map(str, counts))}` on "
        f"{machine.utc()[:10]}: threads of one process, once each. Greeting is until all may "
        f"be used, each asked what it has, and a file of {SHIPPED / 2**20:g} MiB sent to their "
        f"machine; looking again is what happens every second; {TASKS} tasks do nothing.\n",
        "| workers | greeting, s | ms a worker | looking again, ms | tasks, s | ms a task |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "data.bin"
        file.write_bytes(os.urandom(SHIPPED))
        for count in counts:
            told = measure(count, root_of(file), plugins)
            click.echo(f"{told}", err=True)
            lines.append(
                f"| {count} | {told.greet_s:.2f} | {1e3 * told.greet_s / count:.1f} | "
                f"{1e3 * told.look_s:.1f} | {told.tasks_s:.2f} | "
                f"{1e3 * told.tasks_s / TASKS:.2f} |"
            )
    versions = machine.versions()
    lines.append(
        f"\n{machine.cpu_model()}, {os.cpu_count()} cores, Python {versions['python_version']}"
    )
    return "\n".join(lines) + "\n"


@click.command(help=__doc__)
@click.option("--workers", default="10,50,100", show_default=True)
@click.option("--write", type=click.Path(path_type=Path))
def main(workers: str, write: Path | None) -> None:
    text = page([int(count) for count in workers.split(",")])
    if write is not None:
        write.write_text(text, encoding="utf-8")
    click.echo(text)


if __name__ == "__main__":
    main()
