"""Reads pickled lists in processes of their own, whose memory and time are bounded.

A few bytes of a pickle can ask for any amount of memory or time, before `_npz` sees what
came of them. Here that costs a child its life and nobody else's: `python -m
harness_datasets._apart FILE SPLIT CLASSES` limits itself, reads one split, and writes three
`.npy` files to its standard output. The splits are read side by side.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness import DataError
from harness_datasets._npz import read_labels, read_rows

# what a child may take on top of its imports; a published array needs a quarter of it
MEMORY_BYTES = 2**31
# seconds of computing; a published array needs one
CPU_S = 120


class SplitArrays(NamedTuple):
    """One split: values int32 [total], offsets int64 [n + 1], labels int32 [n]."""

    values: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray


def read_splits(path: Path, splits: Sequence[str], *, num_classes: int) -> list[SplitArrays]:
    """`_npz.read_rows` of `x_<split>` and `read_labels` of `y_<split>`, a child for each.

    Raises:
      DataError: as those two, or a child died or wanted more than it may have.
    """
    with ThreadPoolExecutor(len(splits)) as pool:
        return list(pool.map(partial(_ask, path, num_classes), splits))


def _ask(path: Path, num_classes: int, split: str) -> SplitArrays:
    # -P: a file in the user's folder must not stand in for a library
    command = [sys.executable, "-P", "-m", "harness_datasets._apart"]
    child = subprocess.run(
        [*command, str(path), split, str(num_classes)], stdin=subprocess.DEVNULL,
        capture_output=True,
    )  # fmt: skip
    if child.returncode == 0:
        answer = io.BytesIO(child.stdout)
        return SplitArrays(*(np.load(answer, allow_pickle=False) for _ in range(3)))
    said = child.stderr.decode(errors="replace").strip().splitlines()
    if child.returncode == 1 and said and said[-1].startswith(str(path)):
        raise DataError(said[-1])
    raise DataError(
        f"{path} is not the data it should be: the process that read {split} died (exit "
        f"{child.returncode}); replace it with an intact copy of the published file"
    )


def _limit() -> None:
    """Bounds this process's time and address space, as far as the system can."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):  # not Linux
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    path, split, num_classes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    _limit()
    try:
        rows = read_rows(path, f"x_{split}")
        labels = read_labels(path, f"y_{split}", num_classes=num_classes)
    except DataError as error:
        raise SystemExit(str(error)) from None
    with answers:
        for array in (*rows, labels):
            answer = io.BytesIO()  # NumPy writes to files and memory, not to a pipe
            np.save(answer, array, allow_pickle=False)
            answers.write(answer.getbuffer())


if __name__ == "__main__":
    main()
