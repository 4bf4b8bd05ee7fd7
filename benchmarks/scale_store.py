"""What commands cost on a store of many rows.

A store is generated from one real row: a history of 200 cells with five seeds each, all of
them measured again and again by newer and newer code, as a CI does it; or runs all of different
cells. Then whole commands are timed as processes, imports included.

    python -m benchmarks.scale_store --rows 1000000 --write benchmarks/results/scale_store.md
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa

from harness import machine
from harness.database import connect, writing
from harness.rows import Result, Row
from harness.schema import ARRAYS, EPOCHS, ROWS
from harness.store import Store, open_store

CELLS, SEEDS, BATCH = 200, 5, 5000
DATASETS = 10
WITH_ARRAYS = 1000  # one row of so many has its epochs and arrays
REPEATS = 5
RUN = ["run", "-d", "digits", "-m", "mean_pool", "--epochs", "1", "--limit", "500"]
# 15 models, one of which the store knows
SUITE = """datasets = ["digits"]
models = ["*"]
seeds = 5
epochs = 1
limit = 500
"""


def real_result(folder: Path) -> Result:
    """What one run of the harness leaves behind."""
    url = f"sqlite:///{folder}/real.db"
    subprocess.run([sys.executable, "-m", "harness", *RUN, "--store", url], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    with open_store(url) as store:
        return next(store.results())


def varied(row: Row, number: int, *, history: bool) -> Row:
    """The row of another run: its cell, its seed, the code that made it."""
    cell, seed, commit = number, 0, 0
    if history:
        rest, seed = divmod(number, SEEDS)
        commit, cell = divmod(rest, CELLS)
    code = hashlib.sha256(str(commit).encode()).hexdigest()
    parts = json.loads(row["key_parts"])
    parts["seed"] = seed
    parts["machine"] = {**parts["machine"], "harness_code": code}
    at = f"{number:012x}"
    ok = number % 50 != 0
    changed = {
        "run_id": hashlib.sha256(at.encode()).hexdigest()[:12],
        "run_key": hashlib.sha256(f"{cell} {seed} {commit}".encode()).hexdigest(),
        "key_parts": json.dumps(parts, sort_keys=True), "seed": seed,
        "commit": code[:12], "test_accuracy": 0.5 + number % 977 / 2000 if ok else None,
        "status": "ok" if ok else "failed", "error_message": None if ok else "made to fail",
    }  # fmt: skip
    if cell:  # the first cell is the real one, which a plan can ask for
        changed |= {"dataset": f"data{cell % DATASETS}", "model": f"model{cell // DATASETS}"}
    return {**row, **changed}


def generate(url: str, real: Result, rows: int, *, history: bool) -> float:
    """Fills a new store; returns the seconds that entering rows of an older harness takes."""
    engine, _ = connect(url, must_exist=False)
    for start in range(0, rows, BATCH):
        numbers = range(start, min(start + BATCH, rows))
        made = [varied(real.row, number, history=history) for number in numbers]
        whole = [row["run_id"] for row in made[::WITH_ARRAYS]]
        with writing(engine) as connection:
            connection.execute(sa.insert(ROWS), made)
            connection.execute(sa.insert(EPOCHS), [
                {**epoch, "run_id": run_id} for run_id in whole for epoch in real.epochs
            ])  # fmt: skip
            connection.execute(sa.insert(ARRAYS), [
                {"run_id": run_id, "name": name, "npy": npy}
                for run_id in whole for name, npy in real.arrays.items()
            ])  # fmt: skip
    engine.dispose()
    begun = time.perf_counter()
    open_store(url).close()
    return time.perf_counter() - begun


def timed(command: list[str]) -> list[float]:
    """Seconds of a whole process, several times."""
    found = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "harness", *command], check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        found.append(time.perf_counter() - begun)
    return found


def adding(store: Store, real: Result, rows: int, *, history: bool) -> list[float]:
    """Seconds of adding one row to the store, with its epochs and arrays."""
    found = []
    for number in range(rows, rows + 20):
        row = varied(real.row, number, history=history)
        begun = time.perf_counter()
        store.add(Result(row=row, epochs=real.epochs, arrays=real.arrays))
        found.append(time.perf_counter() - begun)
    return found


def lines_of(
    url: str, real: Result, rows: int, folder: Path, *, history: bool
) -> Iterator[str]:
    suite = folder / "suite.toml"
    suite.write_text(SUITE)
    commands = {
        "harness --version": ["--version"],
        "harness table": ["table", "--store", url],
        "harness table --where 'accuracy > 0.9'": [
            "table", "--store", url, "--where", "accuracy > 0.9"],
        "harness run SUITE --resume --dry-run": [
            "run", str(suite), "--resume", "--dry-run", "--store", url],
    }  # fmt: skip
    if rows <= 100_000:
        commands["harness store export"] = [
            "store", "export", str(folder / "rows.jsonl"), "--store", url]  # fmt: skip
    for name, command in commands.items():
        yield _line(f"`{name}`", timed(command))
    with open_store(url) as store:
        yield _line("adding one row", adding(store, real, rows, history=history))


def _line(name: str, seconds: list[float]) -> str:
    return f"| {name} | {median(seconds):.3f} | {min(seconds):.3f} to {max(seconds):.3f} |"


def report(rows: int, folder: Path, *, history: bool) -> str:
    real = real_result(folder)
    path = folder / "rows.db"
    url = f"sqlite:///{path}"
    entering = generate(url, real, rows, history=history)
    size = path.stat().st_size / rows
    arrays = sum(len(npy) for npy in real.arrays.values())
    shape = (
        f"{CELLS} cells, {SEEDS} seeds, again and again" if history else "all of other cells"
    )
    told: list[Any] = [
        f"## {rows:,} rows: {shape}", "",
        f"SQLite; a row takes {size:,.0f} bytes with its indexes, `key_parts` of them "
        f"{len(real.row['key_parts'])}. One row of {WITH_ARRAYS} has epochs and arrays; the "
        f"arrays of this run take {arrays:,} bytes. Entering the rows of an older harness, "
        f"once, took {entering:.0f} s.", "", "| | median s | from, to |", "|---|--:|--:|",
    ]  # fmt: skip
    return "\n".join([*told, *lines_of(url, real, rows, folder, history=history)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--different", type=int, default=10_000, help="rows of other cells")
    parser.add_argument("--folder", help="where the stores are made")
    parser.add_argument("--write", help="the page that is written")
    options = parser.parse_args()
    head = [
        "# What a large store costs", "",
        f"`python -m benchmarks.scale_store --rows {options.rows}` on "
        f"{machine.utc()[:10]}: whole processes, {REPEATS} times each, on "
        f"{machine.cpu_model()}, Python "
        f"{sys.version.split()[0]}, SQLAlchemy {sa.__version__}.", "",
    ]  # fmt: skip
    parts = []
    for rows, history in ((options.rows, True), (options.different, False)):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            parts.append(report(rows, Path(folder), history=history))
    text = "\n".join(head) + "\n" + "\n\n".join(parts) + "\n"
    print(text)
    if options.write:
        Path(options.write).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
