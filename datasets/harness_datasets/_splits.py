"""Splits of token ids out of flat arrays: padded where they are small, else by position."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.specs import Split
from harness_datasets._ragged import last_values, open_or_make
from harness_datasets._tokenizers import PAD

SPLITS = ("train", "test")
# padded splits of at most so many bytes are arrays, which the engine puts on the device
PADDED_BYTES = 2**29


class Rows:
    """A split's examples by position, out of flat arrays that may lie on a disk."""

    def __init__(self, flat: Mapping[str, np.ndarray], split: str, length: int) -> None:
        parts = ("values", "offsets", "order", "y")
        self._values, self._offsets, self._order, self._y = (
            flat[f"{split}_{part}"] for part in parts
        )
        self._length = length

    def __len__(self) -> int:
        return len(self._y)

    def __getitem__(self, index: int, /) -> dict[str, Any]:
        """{"x": int32 [t], "y": int32 []}."""
        row = self._order[index]
        ids = self._values[self._offsets[row] : self._offsets[row + 1]]
        x = np.full(self._length, PAD, dtype=np.int32)
        x[self._length - len(ids) :] = ids
        return {"x": x, "y": self._y[index]}


def splits(folder: Path, flat: dict[str, np.ndarray], length: int) -> dict[str, Split]:
    """Each split's examples, of t tokens; what is padded is kept in `folder`."""
    examples = sum(len(flat[f"{split}_y"]) for split in SPLITS)
    if examples * length * np.dtype(np.int32).itemsize > PADDED_BYTES:
        return {split: Rows(flat, split, length) for split in SPLITS}

    def pad() -> dict[str, np.ndarray]:
        return {f"{split}_x": _padded(flat, split, length) for split in SPLITS}

    arrays = open_or_make(folder, [f"{split}_x" for split in SPLITS], pad)
    return {split: {"x": arrays[f"{split}_x"], "y": flat[f"{split}_y"]} for split in SPLITS}


def _padded(flat: Mapping[str, np.ndarray], split: str, length: int) -> np.ndarray:
    """int32 [n, t], in the split's order."""
    order = flat[f"{split}_order"]
    x = np.empty((len(order), length), dtype=np.int32)
    for at, ids in last_values(
        flat[f"{split}_values"], flat[f"{split}_offsets"], rows=order, length=length
    ):
        x[at] = np.where(ids < 0, PAD, ids)
    return x
