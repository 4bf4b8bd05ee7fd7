"""Reads pickled lists in processes of their own, whose memory is bounded.

A few bytes of a pickle can ask for any amount of memory, before `_npz` sees what came of
them. Here that costs a child its life and nobody else's: `python -m
harness_datasets._apart FILE NAME` limits itself, reads one array, and writes two `.npy`
files to its standard output. Several arrays are read side by side.
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

import numpy as np

from harness import DataError
from harness_datasets._npz import read_rows

# what a child may take on top of its imports; a published array needs a quarter of it
MEMORY_BYTES = 2**31

Rows = tuple[np.ndarray, np.ndarray]


def read_rows_apart(path: Path, names: Sequence[str]) -> list[Rows]:
    """`_npz.read_rows` of several arrays, each in a child.

    Returns:
      For each of `names` its values int32 [total] and offsets int64 [n + 1].

    Raises:
      DataError: as `read_rows`, or a child died or wanted more memory than it may have.
    """
    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(partial(_ask, path), names))


def _ask(path: Path, name: str) -> Rows:
    # -P: a file in the user's folder must not stand in for a library
    command = [sys.executable, "-P", "-m", "harness_datasets._apart", str(path), name]
    child = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    if child.returncode == 0:
        answer = io.BytesIO(child.stdout)
        return np.load(answer, allow_pickle=False), np.load(answer, allow_pickle=False)
    said = child.stderr.decode(errors="replace").strip().splitlines()
    if child.returncode == 1 and said and said[-1].startswith(str(path)):
        raise DataError(said[-1])
    raise DataError(
        f"{path} is not the data it should be: the process that read {name} died (exit "
        f"{child.returncode}); replace it with an intact copy of the published file"
    )


def _limit_memory() -> None:
    """Bounds this process's address space; where the system cannot, it stays as it is."""
    try:
        import resource

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
    _limit_memory()
    try:
        rows = read_rows(Path(sys.argv[1]), sys.argv[2])
    except DataError as error:
        raise SystemExit(str(error)) from None
    with answers:
        for array in rows:
            answer = io.BytesIO()  # NumPy writes to files and memory, not to a pipe
            np.save(answer, array, allow_pickle=False)
            answers.write(answer.getbuffer())


if __name__ == "__main__":
    main()
