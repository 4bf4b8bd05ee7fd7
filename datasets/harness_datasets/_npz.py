"""Reads an `.npz` of pickled lists without running anything that the pickle asks for.

A pickle is a program: it names functions and calls them. The one inside an object array
needs three of numpy's names, and here each of them is an inert stand-in that only keeps
what it is given. Every other name ends the reading. What comes out are arrays of integers,
because every row is copied, as integers, out of what the stand-ins kept.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from harness import DataError

# what one member may unpack to; the published ones have 14 million bytes
LIMIT = 256 * 2**20
PIECE = 2**20

# numpy 2 calls its core `_core`; old protocols spell bytes through `_codecs`
NAMES = frozenset(
    [
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    ]
)


class _Built:
    """What a stand-in "makes": it keeps the state that would have been restored."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _StandIn:
    """Takes the place of one of numpy's names."""

    __slots__ = ()

    def __call__(self, *args: Any) -> _Built:
        return _Built()

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it alters a function of numpy's")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in NAMES:
            raise pickle.UnpicklingError(
                f"it asks for {f'{module}.{name}'!r}, which is refused"
            )
        return _StandIn()


def read_rows(path: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads an object array of lists of non-negative ints, as one flat array.

    Args:
      path: the npz file.
      name: the array's name in it.

    Returns:
      values: int32 [total], all rows one after the other.
      offsets: int64 [n + 1]; row i is `values[offsets[i]:offsets[i + 1]]`.

    Raises:
      DataError: the file is truncated or foreign, or the array holds anything else.
    """
    with _told(path, name):
        shape, dtype, content = _member(path, name)
        if dtype != np.dtype(object) or len(shape) != 1:
            raise ValueError(f"it is {dtype} {list(shape)}, not a list of lists")
        rows = _unpickle(content)
        if len(rows) != shape[0]:
            raise ValueError(f"{shape[0]} rows are announced, {len(rows)} are there")
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        if lengths.sum() > len(content):  # a word takes two bytes or more
            raise ValueError("its rows are longer than the file: one stands in many places")
        flat = array("i")
        for row in rows:
            flat.fromlist(row)  # refuses what is no list, and in it what is no int
        values = np.frombuffer(flat, dtype=np.intc).astype(np.int32, copy=False)
        if values.size == 0 or values.min() < 0:
            raise ValueError("words are counted from 0; it has none, or negative ones")
        return values, np.concatenate([[0], np.cumsum(lengths)])


def read_labels(path: Path, name: str, *, num_classes: int) -> np.ndarray:
    """Reads a plain array of labels, int32 [n], each below `num_classes`.

    Raises:
      DataError: the file is truncated or foreign, or the array holds anything else.
    """
    with _told(path, name):
        shape, dtype, content = _member(path, name)
        if dtype.kind not in "iu" or len(shape) != 1:
            raise ValueError(f"it is {dtype} {list(shape)}, not a list of integers")
        if len(content) != shape[0] * dtype.itemsize:
            raise ValueError(f"{shape[0]} labels are announced, {len(content)} bytes are there")
        labels = np.frombuffer(content, dtype=dtype)
        if labels.size == 0 or labels.min() < 0 or labels.max() >= num_classes:
            raise ValueError(f"labels run from 0 to {num_classes - 1}; it has others, or none")
        return labels.astype(np.int32)


@contextmanager
def _told(path: Path, name: str) -> Iterator[None]:
    """Turns whatever unusable bytes raise into one line."""
    try:
        yield
    # hostile bytes may raise nearly anything in zipfile, zlib, pickle and numpy's parser
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path} is not the data it should be: {_kind(path)}{name}: {why}; replace it "
            "with an intact copy of the published file"
        ) from None


def _kind(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(64).lstrip().lower()
    except OSError:
        return ""
    return "it is a page of HTML; " if start.startswith((b"<!doctype", b"<html")) else ""


def _member(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype, bytes]:
    """Shape, dtype and the bytes behind the header of one array."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{name}.npy")
        if info.file_size > LIMIT:
            raise ValueError(f"it unpacks to {info.file_size:,} bytes, more than {LIMIT:,}")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("it is packed in a way that NumPy does not use")
        file = io.BytesIO()
        with archive.open(info) as member:
            # piece by piece: what is announced may be less than what a piece unpacks to
            while piece := member.read(PIECE):
                file.write(piece)
        file.seek(0)
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"npy version {version} is not known here")
    return shape, dtype, file.read()


def _unpickle(content: bytes) -> list[Any]:
    array_like = _Unpickler(io.BytesIO(content)).load()
    # numpy's state of an object array: version, shape, dtype, order, the list of its items
    state = array_like.state if isinstance(array_like, _Built) else None
    if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[4], list):
        raise ValueError("its pickle holds no object array")
    return state[4]
