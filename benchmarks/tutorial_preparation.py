"""The tutorial's preparation of IMDB: every review a Python list, padded one by one.

The test of the data set compares its arrays with these; `start.py` compares the time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np


def prepare(
    source: Path, *, vocab_size: int, max_length: int, index_from: int, oov_id: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """x int64 `[n, max_length]` and y `[n]` of each split, from the published npz."""
    with np.load(source, allow_pickle=True) as file:
        raw = {name: file[name] for name in file.files}
    random = np.random.RandomState(113)
    prepared = {}
    for split in ("train", "test"):
        order = np.arange(len(raw[f"x_{split}"]))
        random.shuffle(order)
        reviews = [[rank + index_from for rank in r] for r in raw[f"x_{split}"][order]]
        known = [[id_ if id_ < vocab_size else oov_id for id_ in r] for r in reviews]
        rows = [_pad(review, max_length) for review in known]
        prepared[split] = np.asarray(rows), raw[f"y_{split}"][order]
    return prepared


def _pad(review: list[int], length: int) -> np.ndarray:
    """The last `length` ids, with zeros in front where there are fewer."""
    if len(review) < length:
        return np.pad(np.array(review, np.int64), (length - len(review), 0))
    return np.array(review[len(review) - length :], np.int64)
