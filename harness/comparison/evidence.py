"""What statistics need beside the rows: which test examples each run got right, its epochs.

Two runs answer the same examples if what would have been right is the same: their data may be
of one name, and have no fingerprint that tells an older version of it apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.store import Store

# the test examples of a run, as far as its answers tell: a digest of the labels, how many
Asked = tuple[str, int]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Of each run by its `run_id`.

    Attributes:
      right: bool [n], whether each test example was right. Of a run whose answers or labels
        are not stored, or whose task has no right answers, there is none.
      labels: a digest of what would have been right, of the same runs.
      epochs: its epochs in order, with the names of `harness.rows.EPOCH_COLUMNS`.
    """

    right: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    epochs: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    def asked(self, runs: Iterable[str]) -> set[Asked]:
        """What some runs were asked; nothing if the answers of none are stored."""
        return {
            (self.labels.get(run, ""), len(self.right[run]))
            for run in runs
            if run in self.right
        }


def alike(first: set[Asked], second: set[Asked]) -> bool:
    """Whether two lines were asked the same, or nothing is known of what one was asked."""
    return not first or not second or len(first | second) == 1


def read_evidence(store: Store, runs: pd.DataFrame, *, epochs: bool = False) -> Evidence:
    """Reads what the store has on some runs.

    Args:
      store: where they are.
      runs: rows with `run_id`, `status` and `test_accuracy`, as `counted` gives them.
      epochs: whether epochs are read too; only the time to an accuracy needs them.

    Raises:
      StoreError: the store fails, or a stored array is damaged.
    """
    judged = runs.loc[(runs["status"] == "ok") & runs["test_accuracy"].notna()]
    accuracy = dict(zip(judged["run_id"], judged["test_accuracy"], strict=True))
    predicted = store.arrays("test_predicted", accuracy)
    labels = store.arrays("test_label", predicted)
    right = {
        run: answers for run, label in labels.items()
        if (answers := _right(predicted[run], label, accuracy[run])) is not None
    }  # fmt: skip
    told = {run: store.epochs(run) for run in accuracy} if epochs else {}
    digests = {run: _digest(labels[run]) for run in right}
    return Evidence(right=right, labels=digests, epochs=told)


def _digest(labels: NDArray[Any]) -> str:
    """Equal for equal labels, whatever the type of number that they are stored in."""
    content = f"{labels.shape}".encode() + labels.astype(np.float64).tobytes()
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _right(
    predicted: NDArray[Any], labels: NDArray[Any], accuracy: float
) -> NDArray[np.bool_] | None:
    """Where prediction and label agree, if that is what this task calls right."""
    if predicted.shape != labels.shape or not len(labels):
        return None
    right = (predicted == labels).reshape(len(labels), -1).all(axis=1)  # [n, ...] -> [n]
    # a plugin's task may mean something else by a right answer
    return right if abs(right.mean() - accuracy) < 1e-6 else None
