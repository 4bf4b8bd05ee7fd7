"""Reads images as MNIST and CIFAR-10 are published: bytes of known places, nothing to run.

Of a file as much is kept as its own numbers say, and those are bounded: a small file that
unpacks into a large one takes time and no memory. Whether a file is compressed is seen from
its bytes, because browsers unpack and keep the name.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from harness import DataError

MOST = 100_000  # images of a file; the published ones have at most 60,000
MNIST_SIDE, CIFAR_SIDE = 28, 32
CLASSES = 10
UNSIGNED_BYTE = 8
RECORD = 1 + 3 * CIFAR_SIDE**2  # a label, then the red, the green and the blue values
AT_ONCE = 2**20  # bytes of what is passed over
REPLACE = "replace it with an intact copy of the published file"


def read_mnist(images: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    """One split: uint8 [n, 28, 28, 1] and labels uint8 [n].

    Raises:
      DataError: a file is not what it should be, or they do not belong together.
    """
    x, y = read_idx(images, (MNIST_SIDE, MNIST_SIDE)), read_idx(labels, ())
    with _faults_of(labels, "file of labels"):
        _check_labels(y)
        if len(x) != len(y):
            raise ValueError(f"{len(y):,} labels for the {len(x):,} images of {images.name}")
    return x[..., None], y


def read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """An IDX file of bytes, plain or gzipped: uint8 [n, *shape].

    Raises:
      DataError: it is none, another shape is in it, or it is not whole.
    """
    with _faults_of(path, "IDX file"), _unpacked(path) as file:
        dims = 1 + len(shape)
        if file.read(4) != bytes([0, 0, UNSIGNED_BYTE, dims]):
            raise ValueError(f"it does not begin as one of bytes in {dims} dimensions")
        n, *found = np.frombuffer(_exactly(file, 4 * dims), ">u4").tolist()
        if tuple(found) != shape or not 0 < n <= MOST:
            raise ValueError(f"expected [n, {', '.join(map(str, shape))}], got {[n, *found]}")
        values = np.frombuffer(_exactly(file, n * int(np.prod(shape))), np.uint8)
        if file.read(1):
            raise ValueError("there is more behind its last value")
    return values.reshape(n, *shape)


def read_archive(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """`read_records` of some files of a `.tar.gz`, or `.tar`; nothing is written anywhere.

    Raises:
      DataError: it is no such archive, or it lacks a file.
    """
    found: dict[str, np.ndarray] = {}
    with _faults_of(path, "archive of CIFAR-10 batches"):
        with _unpacked(path) as file:
            for name, part in _members(file, names):
                found[name] = part
                if len(found) == len(names):
                    break
        if absent := [name for name in names if name not in found]:
            raise ValueError(f"it has no {', '.join(absent)}")
    return found


def read_records(path: Path) -> np.ndarray:
    """A binary file of CIFAR-10: uint8 [n, 3073], a label, then red, green and blue.

    Raises:
      DataError: it is none, or it is not whole.
    """
    with _faults_of(path, "batch of CIFAR-10"), path.open("rb") as file:
        return _records(file.read(MOST * RECORD + 1))


def split_records(records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [n, 32, 32, 3] and labels uint8 [n] of records [n, 3073]."""
    colours = records[:, 1:].reshape(-1, 3, CIFAR_SIDE, CIFAR_SIDE)  # [n, 3, s, s]
    return colours.transpose(0, 2, 3, 1), records[:, 0]


def _members(file: IO[bytes], names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """The records of those files of a tar stream that have one of some names.

    Python's own `tarfile` takes what stands for a long name or for more fields into memory,
    as much as the header says. Here that is passed over, as every other file is.
    """
    while any(block := file.read(tarfile.BLOCKSIZE)):
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        empty = member.isdir() or member.islnk() or member.issym() or member.isdev()
        size, name = 0 if empty else member.size, Path(member.name).name
        if name in names and member.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
            yield name, _records(_exactly(file, _bounded(size)))
            _skip(file, -size % tarfile.BLOCKSIZE)
        else:
            _skip(file, size + -size % tarfile.BLOCKSIZE)


def _bounded(size: int) -> int:
    """A size of a file of records."""
    if not 0 < size <= MOST * RECORD or size % RECORD:
        raise ValueError(f"expected records of {RECORD} bytes, got {size:,} bytes")
    return size


def _skip(file: IO[bytes], size: int) -> None:
    while size > 0:
        size -= len(_exactly(file, min(size, AT_ONCE)))


def _records(content: bytes) -> np.ndarray:
    _bounded(len(content))
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    _check_labels(records[:, 0])
    return records


def _check_labels(labels: np.ndarray) -> None:
    if labels.max() >= CLASSES:
        raise ValueError(f"it has a label {labels.max()}, expected 0 to {CLASSES - 1}")


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not packed:
            yield raw
            return
        with gzip.open(raw) as file:
            yield file  # type: ignore[misc]


def _exactly(file: IO[bytes], n: int) -> bytes:
    found = file.read(n)
    if len(found) < n:
        raise ValueError(f"it ends after {len(found):,} of {n:,} bytes")
    return found


@contextmanager
def _faults_of(path: Path, what: str) -> Iterator[None]:
    """Whatever is wrong with a file is a DataError that names it."""
    try:
        yield
    except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError) as error:
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{path} is not the {what} it should be: {why}; {REPLACE}") from None
