"""A data set in ArrayRecord files: random access to more examples than memory holds.

Each record is the bytes of its example, float32 [17]: the label, 0 or 1, then 16 features.
Records of a group are read and unpacked together, so for a random order each is a group of
its own:

    from array_record.python.array_record_module import ArrayRecordWriter
    writer = ArrayRecordWriter("DIR/train-0.array_record", "group_size:1")
    for y, x in examples:
        writer.write(np.concatenate([[y], x]).astype(np.float32).tobytes())
    writer.close()

A test-0.array_record stands beside it; package array_record comes with grain. Train on them:

    harness run --plugin array_records.py -d 'array_records[folder=DIR]' -m mlp

What fits into memory is faster there: `array_records[folder=DIR, in_memory=true]`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grain
import numpy as np

import harness

WIDTH = 16  # features of an example


@dataclass(frozen=True)
class Records:
    """The examples of some files by position."""

    source: Any

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int, /) -> dict[str, np.ndarray]:
        return _example(self.source[index])

    def __getitems__(self, indices: Sequence[int], /) -> list[dict[str, np.ndarray]]:
        # a read takes a time that grows with the records of a file, so one reads many
        return [_example(record) for record in self.source.__getitems__(indices)]


def _example(record: bytes) -> dict[str, np.ndarray]:
    if len(record) != 4 * (1 + WIDTH):
        raise harness.DataError(
            f"a record has {len(record)} bytes; expected {4 * (1 + WIDTH)}, a label "
            f"and {WIDTH} features of float32; write each as the docstring of the plugin says"
        )
    values = np.frombuffer(record, np.float32)  # [1 + WIDTH]
    return {"x": values[1:], "y": values[0].astype(np.int32)}


def array_records(*, folder: str = "records", in_memory: bool = False) -> harness.Dataset:
    """Files train-*.array_record and test-*.array_record of a folder."""
    train, test = (sorted(Path(folder).glob(f"{split}-*")) for split in ("train", "test"))
    if not train or not test:
        raise harness.DataError(
            f"folder {str(Path(folder).resolve())!r} has no train-*.array_record or no "
            "test-*.array_record; give the folder that has both"
        )
    spec = harness.DataSpec(
        kind="features", shape=(WIDTH,), num_classes=2, fingerprint=_fingerprint(train + test)
    )
    if in_memory:
        return harness.Dataset(_arrays(_open(train)), _arrays(_open(test)), spec)
    return harness.Dataset(_open(train), _open(test), spec)


def _arrays(records: Records) -> dict[str, np.ndarray]:
    read = records.__getitems__(range(len(records)))
    return {
        "x": np.stack([one["x"] for one in read]),  # [n, WIDTH]
        "y": np.array([one["y"] for one in read], np.int32),
    }


def _open(paths: Sequence[Path]) -> Records:
    return Records(grain.sources.ArrayRecordDataSource([str(path) for path in paths]))


def _fingerprint(paths: Sequence[Path]) -> str:
    """Of names and sizes: to read a terabyte for its hash would take longer than a run."""
    told = [(path.name, path.stat().st_size) for path in paths]
    return hashlib.sha256(repr(told).encode()).hexdigest()


@harness.hookimpl
def register_datasets(register: Any) -> None:
    register("array_records", array_records, requires=("array_record",))
