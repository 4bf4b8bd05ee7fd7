"""What the runs of a line answered on the test set, and what would have been right.

Only classification has one class an example; lines of other tasks have no answers here, nor
have runs that were stored without labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.report.lines import Line
from harness.rows import Row
from harness.store import Store


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """The answers of one line's runs to the same test examples.

    Attributes:
      data: what makes test sets the same: the data's fingerprint and the limit on it.
      row: of one of the runs, to find the data by.
      label: int [n], the class of each example.
      predicted: int [s, n], a row a seed.
      probability: float [s, n], of the predicted class; None where it was not stored.
    """

    line: Line
    data: tuple[str | None, int | None]
    row: Row
    label: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray | None

    @property
    def classes(self) -> int:
        return 1 + int(max(self.label.max(initial=0), self.predicted.max(initial=0)))

    @cached_property
    def votes(self) -> np.ndarray:
        """Int [n], the class that most seeds say, of equally many the smallest."""
        each = np.arange(self.classes)[:, None, None]
        return (self.predicted[None] == each).sum(axis=1).argmax(axis=0)  # [c, s, n] -> [n]


def read_answers(store: Store, lines: Sequence[Line]) -> list[Answers]:
    """The answers of the lines that have any."""
    found = []
    for line in lines:
        one = _read(store, line)
        if one is not None:
            found.append(one)
    return found


def _read(store: Store, line: Line) -> Answers | None:
    label = data = first = None
    predicted: list[np.ndarray] = []
    probability: list[np.ndarray | None] = []
    for row in line.ok:
        if row["task"] not in (None, "classification"):
            continue
        said, right = (store.array(row["run_id"], f"test_{n}") for n in ("predicted", "label"))
        if said is None or right is None or said.ndim != 1 or said.shape != right.shape:
            continue
        if label is None:
            label, data = right, (row["data_fingerprint"], row["limit"])
            first = row
        elif not np.array_equal(label, right):
            continue
        predicted.append(said)
        probability.append(store.array(row["run_id"], "test_probability"))
    if label is None or data is None or first is None or not label.size:
        return None
    known = [p for p in probability if p is not None and p.shape == label.shape]
    return Answers(
        line=line, data=data, row=first, label=label.astype(np.int64),
        predicted=np.stack(predicted).astype(np.int64),
        probability=(
            np.stack(known).astype(np.float64) if len(known) == len(predicted) else None
        ),
    )  # fmt: skip
