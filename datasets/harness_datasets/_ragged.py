"""Arrays prepared once and mapped into memory ever after.

Rows of different lengths are kept flat: `values` holds all of them one after the other,
and row i is `values[offsets[i]:offsets[i + 1]]`. A folder of `.npy` files is made under a
lock in a `.part` folder and renamed when it is complete, so a folder that has its name is
whole; a second process waits and then maps what the first one made.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock

from harness import DataError

ROWS_AT_ONCE = 512  # the index arrays of a block stay in the processor's cache


def open_or_make(
    folder: Path, names: Sequence[str], make: Callable[[], Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """The arrays of `folder`, read-only and memory-mapped; `make` is called if it is not there.

    Args:
      folder: where they are kept; its name must change whenever their content would.
      names: the arrays that belong to it.
      make: returns them all.

    Raises:
      DataError: the folder cannot be written.
    """

    def write(part: Path) -> None:
        for name, values in make().items():
            np.save(part / f"{name}.npy", values, allow_pickle=False)

    return open_or_write(folder, names, write)


def open_or_write(
    folder: Path, names: Sequence[str], write: Callable[[Path], None]
) -> dict[str, np.ndarray]:
    """As `open_or_make`, for arrays that memory need not hold: `write` makes their files.

    Args:
      folder: where they are kept; its name must change whenever their content would.
      names: the arrays that belong to it.
      write: is given an empty folder and puts `<name>.npy` there for each of them.

    Raises:
      DataError: the folder cannot be written.
    """
    arrays = _open(folder, names)
    if arrays is not None:
        return arrays
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            arrays = _open(folder, names)  # another process may have made it meanwhile
            if arrays is None:
                _write(folder, write)
                arrays = _open(folder, names)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be written ({error.strerror or error}); free the disk or set "
            "HARNESS_CACHE_DIR to a folder that can be written"
        ) from None
    if arrays is None:
        raise AssertionError(f"{folder} was made without one of {names}")
    return arrays


def _open(folder: Path, names: Sequence[str]) -> dict[str, np.ndarray] | None:
    """The arrays, or None where one is absent or damaged."""
    try:
        # a plain array over the mapping: slices of np.memmap cost several times more
        return {name: np.asarray(_map(folder / f"{name}.npy")) for name in names}
    except (OSError, ValueError, EOFError):
        return None


def _map(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _write(folder: Path, write: Callable[[Path], None]) -> None:
    part = folder.with_name(f"{folder.name}.part")
    # what a process left that died here before; the lock says that none is at work
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        write(part)
    except Exception:
        shutil.rmtree(part, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)  # it is there only if it is damaged
    os.rename(part, folder)


class Growing:
    """An `.npy` file that arrays are appended to, for more values than memory holds."""

    def __init__(self, path: Path, dtype: type[np.generic]) -> None:
        self._dtype = np.dtype(dtype)
        self._count = 0
        self._file = path.open("wb")
        self._header()

    def append(self, values: np.ndarray) -> None:
        """Writes values [m] behind those that are there."""
        values.astype(self._dtype, copy=False).tofile(self._file)
        self._count += len(values)

    def close(self) -> None:
        """Says in the header how many there are."""
        self._file.seek(0)
        self._header()
        self._file.close()

    def _header(self) -> None:
        # NumPy leaves room in it for any number of rows, so that it can be written again
        shape = {"shape": (self._count,), "fortran_order": False, "descr": self._dtype.str}
        np.lib.format.write_array_header_1_0(self._file, shape)


def last_values(
    values: np.ndarray, offsets: np.ndarray, *, rows: np.ndarray, length: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """The last `length` values of each row, aligned to the right, block by block.

    >>> values, offsets = np.array([7, 8, 9, 5]), np.array([0, 3, 4])
    >>> for at, block in last_values(values, offsets, rows=np.array([1, 0]), length=2):
    ...     print(at, block.tolist())
    slice(0, 2, None) [[-1, 5], [8, 9]]

    Args:
      values: int32 [total], none of them negative.
      offsets: int64 [n + 1].
      rows: int64 [m], which rows and in which order.
      length: t, how many values are kept.

    Yields:
      The place of the block among the m rows, and the block int32 [block, t], with -1
      where a row is too short.
    """
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        chosen = rows[begin : begin + ROWS_AT_ONCE]
        starts, ends = offsets[chosen], offsets[chosen + 1]  # [block]
        at = ends[:, None] + np.arange(-length, 0)  # [block, 1] + [t] -> [block, t]
        block = np.where(at >= starts[:, None], values[np.maximum(at, 0)], -1)
        yield slice(begin, begin + len(chosen)), block.astype(np.int32, copy=False)
