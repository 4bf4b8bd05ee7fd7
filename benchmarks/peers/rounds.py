"""Runs the arms, each in a fresh process, in turn, several rounds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import harness
from benchmarks import start
from benchmarks.peers import sizes
from benchmarks.peers.arms import ARMS, EPOCHS, Arm
from benchmarks.peers.job import Job
from harness.allocator import worker_environment

ROOT = Path(__file__).parents[2]
# seconds an arm may take; the slowest needs a few minutes
PATIENCE = 1800.0
Record = dict[str, Any]


@contextmanager
def data_folder(limit: int | None) -> Iterator[tuple[str, str]]:
    """A folder with the arrays that all arms read, and a name for what they are."""
    with tempfile.TemporaryDirectory() as folder:
        name, arrays = _imdb() or _synthetic()
        for key, array in arrays.items():
            np.save(Path(folder) / f"{key}.npy", np.ascontiguousarray(array[:limit]))
        yield folder, name if limit is None else f"{name}, first {limit:,} examples"


def _imdb() -> tuple[str, dict[str, np.ndarray]] | None:
    try:
        data = harness.load_dataset("imdb")
    except harness.DataError as error:
        print(f"no IMDB ({error}); SYNTHETIC TOKENS instead", file=sys.stderr)
        return None
    arrays: dict[str, np.ndarray] = {}
    for name, split in (("train", data.train), ("test", data.test)):
        assert isinstance(split, Mapping)
        arrays |= {f"{key}_{name}": np.asarray(split[key]) for key in ("x", "y")}
    return "IMDB", arrays


def _synthetic() -> tuple[str, dict[str, np.ndarray]]:
    random = np.random.RandomState(0)
    arrays = {}
    for split in ("train", "test"):
        arrays[f"x_{split}"] = random.randint(0, sizes.VOCAB, (25_000, sizes.LENGTH)).astype(
            np.int32
        )
        arrays[f"y_{split}"] = random.randint(0, 2, 25_000).astype(np.int32)
    return "SYNTHETIC tokens of IMDB's shape, so accuracies mean nothing", arrays


def run_arm(
    arm: Arm, model: str, folder: str, *, epochs: int | None = None, blocks: int = 6
) -> Record:
    """One process: what it answered, or "error" with the last line it said."""
    job = Job(arm.name, model, epochs or EPOCHS[model], blocks, folder, arm.options)
    environment = worker_environment(os.environ) if arm.huge_pages else os.environ
    record: Record = {"arm": arm.name, "model": model}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.peers.process"],
            input=json.dumps(asdict(job)), capture_output=True, text=True, cwd=ROOT,
            env=environment, timeout=PATIENCE,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {**record, "error": f"it was still running after {PATIENCE:g} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return {**record, "error": lines[-1]}
    return {**record, **json.loads(done.stdout.splitlines()[-1])}


def machine_rates() -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.peers.machine_rates"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    return json.loads(done.stdout)


def starts(models: Sequence[str]) -> Record:
    """Seconds to load IMDB and to start a worker, first and second time."""
    if not start.source().is_file():
        return {"error": f"no {start.source()}: set HARNESS_DATA_DIR"}
    try:
        return {"start": start.measure(models)}
    except (Exception, SystemExit) as error:  # an hour's other figures are not lost for it
        return {"error": f"{type(error).__name__}: {error}"}


def run_rounds(
    rounds: int, models: tuple[str, ...], names: tuple[str, ...], folder: str, data: str
) -> Iterator[Record]:
    """Yields a record for every process; each round one with the machine's rates and, when
    all arms run, one with the times to load and to start."""
    chosen = [arm for arm in ARMS if not names or arm.name in names]
    for number in range(rounds):
        yield {"round": number, "arm": "machine", "data": data, **machine_rates()}
        if not names:
            yield {"round": number, "arm": "start", **starts(models)}
        for model in models:
            # the order turns, so that no arm always follows the same one
            for arm in [*chosen[number:], *chosen[:number]]:
                missing = arm.missing()
                if missing:
                    yield {
                        "round": number, "arm": arm.name, "model": model,
                        "error": f"missing: pip install {' '.join(missing)}",
                    }  # fmt: skip
                    continue
                yield {"round": number, **run_arm(arm, model, folder)}
