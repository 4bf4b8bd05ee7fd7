"""What examples cost that are read from files while a model trains on them.

    python -m benchmarks.scale_data --write benchmarks/results/scale_data.md

A small model is trained on examples in ArrayRecord files (`examples/array_records.py`) and on
the same examples as arrays, which the device is given as a whole; so little is computed in a
step that reading decides. Records are read one by one and many at once. Then chunks of an
order are read from a source of 10^9 examples that makes each when it is asked for, as the
engine reads them, without a step between them.
"""

from __future__ import annotations

import json
import os
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click
import grain
import numpy as np
import pandas as pd
from array_record.python.array_record_module import ArrayRecordWriter

import harness
from harness import machine
from harness.feed import Examples, chunks
from harness.orders import TrainingOrder, training_order

PLUGIN = Path(__file__).parents[1] / "examples" / "array_records.py"
WIDTH = 16  # features of an example of the plugin
BATCH, TEST, SEEDS, REPEATS = 512, 2000, 3, 3
AHEAD = 5  # chunks, the first and what is read ahead meanwhile
ALONE, TOGETHER = 500, 16_384
HUGE, CHUNKS = 10**9, 40


@dataclass(frozen=True)
class Made:
    """A source of examples that are made when they are asked for."""

    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int, /) -> dict[str, Any]:
        x = np.full(WIDTH, index, np.float32)
        return {"x": x, "y": np.int32(index % 2)}


def write_records(path: Path, size: int, *, seed: int) -> None:
    """Examples whose label is the sign of their first feature."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((size, WIDTH), np.float32)
    records = np.concatenate([x[:, :1] > 0, x], axis=1, dtype=np.float32)  # [size, 1 + WIDTH]
    # a group is read and unpacked as a whole, so random access wants one record in each
    writer = ArrayRecordWriter(str(path), "group_size:1")
    for record in records:
        writer.write(record.tobytes())
    writer.close()


def train(folder: Path, *, seeds: int) -> pd.DataFrame:
    """Rows of the same runs on records and on arrays."""
    at = f'folder="{folder}"'
    return harness.run(
        datasets=[f"array_records[{at}]", f"array_records[{at}, in_memory=true]"],
        models="mlp", plugins=[PLUGIN], seeds=seeds, epochs=1, batch_size=BATCH,
        store=f"sqlite:///{folder}/rows.db",
    )  # fmt: skip


def trained(size: int, *, seeds: int = SEEDS) -> list[str]:
    """Lines of the first table, of so many training examples.

    Raises:
      ClickException: files and arrays did not come to the same.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_records(folder / "train-0.array_record", size, seed=0)
        write_records(folder / "test-0.array_record", TEST, seed=1)
        begun = time.perf_counter()
        rows = train(folder, seeds=seeds)
        click.echo(f"{size:,} examples: {time.perf_counter() - begun:.0f} s", err=True)
    if len(rows[["seed", "params_hash"]].drop_duplicates()) > seeds:
        raise click.ClickException(
            f"{size} examples of files trained another model than arrays"
        )
    arrays = np.array([json.loads(text)["in_memory"] for text in rows["dataset_params"]])
    files = pd.DataFrame(rows.loc[~arrays])
    return [_line(size, "files", files), _line(size, "arrays", pd.DataFrame(rows.loc[arrays]))]


def _line(size: int, where: str, rows: pd.DataFrame) -> str:
    rate, peak = rows["examples_per_s"], rows["peak_rss_bytes"].max() / 2**20
    return (
        f"| {size:,} | {where} | {rate.median():,.0f} | "
        f"{rate.min():,.0f} to {rate.max():,.0f} | {rows['step_ms_p50'].median():.2f} | "
        f"{rows['data_wait_pct'].median():.0f} | {peak:,.0f} |"
    )


def reading(size: int) -> str:
    """A line of the second table: examples a second from a file, in random order."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "train-0.array_record"
        write_records(path, size, seed=0)
        source: Any = grain.sources.ArrayRecordDataSource([str(path)])
        rates = []
        for asked, at_once in ((ALONE, 1), (TOGETHER, TOGETHER)):
            positions = random.integers(0, size, asked).tolist()
            source.__getitems__(positions[:1])  # the file is open
            begun = time.perf_counter()
            for first in range(0, asked, at_once):
                source.__getitems__(positions[first : first + at_once])
            rates.append(asked / (time.perf_counter() - begun))
    return f"| {size:,} | {rates[0]:,.0f} | {rates[1]:,.0f} |"


def read(order: TrainingOrder, source: Made, *, first: int, count: int) -> float:
    """Examples a second that come out of the pipeline of an engine which takes no time."""
    examples = Examples(None, source, range(len(source)))
    found = chunks(examples, order, start=first)
    for _ in range(AHEAD):  # threads are there, and what they read ahead is gone
        next(found)
    begun = time.perf_counter()
    steps = sum(next(found).steps for _ in range(count))
    return steps * order.batch_size / (time.perf_counter() - begun)


def placed(order: TrainingOrder, *, first: int, count: int) -> float:
    """Examples a second whose places in the order are found, and nothing else."""
    begun = time.perf_counter()
    found = sum(order[first + i].size for i in range(count))
    return found / (time.perf_counter() - begun)


def huge(size: int, *, count: int) -> str:
    """A line of the third table; memory is that of making the order and reading of it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    order = training_order(size, batch_size=BATCH, epochs=1, seed=0)
    order[0]
    first_s = time.perf_counter() - begun
    source, far = Made(size), order.chunks_per_epoch // 2
    found = [placed(order, first=far, count=count) for _ in range(REPEATS)]
    rates = [read(order, source, first=far, count=count) for _ in range(REPEATS)]
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return (
        f"| {size:,} | {first_s:.3f} | {median(found):,.0f} | {median(rates):,.0f} | "
        f"{min(rates):,.0f} to {max(rates):,.0f} | {more / 1024:,.0f} |"
    )


TRAINING = """## Training

`mlp` on examples of {width} floats, in batches of {batch}, {seeds} seeds of one epoch; both
ways trained the same parameters, to the bit. Medians; memory is the largest of a process,
with its libraries.

| examples | from | examples/s | from, to | ms a step | waiting for data, % | MiB |
|---:|---|---:|---:|---:|---:|---:|"""
RECORDS = """
## Reading records

From one file with a record in each group, in random order, without a training: {alone} reads of
one record, and one read of {together:,}.

| records | one by one, examples/s | at once, examples/s |
|---:|---:|---:|"""
READING = """
## Reading from sources that make their examples

{count} chunks in the middle of an epoch, in batches of {batch}, {repeats} times: how long the
first chunk of an order takes, how many places of it are found in a second, how many examples
are read in a second from a source that makes them, by the engine's threads, and what more
memory all of that takes.

| examples | first chunk, s | places/s | examples/s | from, to | MiB more |
|---:|---:|---:|---:|---:|---:|"""


def page(sizes: list[int], *, count: int = CHUNKS) -> str:
    # the computed order first: memory that a permutation took would hide what it takes
    told = [huge(size, count=count) for size in (HUGE, 10**7)]
    versions = machine.versions()
    lines = [
        "# What examples cost that are read from files\n",
        f"`python -m benchmarks.scale_data --sizes {','.join(map(str, sizes))}` on "
        f"{machine.utc()[:10]}.\n",
        TRAINING.format(width=WIDTH, batch=BATCH, seeds=SEEDS),
        *(line for size in sizes for line in trained(size)),
        RECORDS.format(alone=ALONE, together=TOGETHER),
        *map(reading, sizes),
        READING.format(count=count, batch=BATCH, repeats=REPEATS),
        *told,
        f"\n{machine.cpu_model()}, {os.cpu_count()} cores, grain {versions['grain_version']}, "
        f"jax {versions['jax_version']}, Python {versions['python_version']}",
    ]
    return "\n".join(lines) + "\n"


@click.command(help=__doc__)
@click.option("--sizes", default="100000,1000000", show_default=True)
@click.option("--write", type=click.Path(path_type=Path))
def main(sizes: str, write: Path | None) -> None:
    text = page([int(size) for size in sizes.split(",")])
    if write is not None:
        write.write_text(text, encoding="utf-8")
    click.echo(text)


if __name__ == "__main__":
    main()
