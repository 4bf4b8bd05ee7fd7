"""Which classes a line takes for which: counts over all seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from harness.report.answers import Answers
from harness.report.look import Panel

MATRIX = 12  # classes up to which a matrix is shown; more have their worst pairs only
PAIRS = 8
MOST = 24  # lines that have a matrix


@dataclass(frozen=True, kw_only=True, eq=False)
class Confusion:
    """The confusions of one line.

    Attributes:
      names: of the classes.
      counts: int [c, c], a row an actual class, a column a predicted one.
    """

    answers: Answers
    names: tuple[str, ...]
    counts: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """Float [c, c], of each actual class; 0 for a class without examples."""
        total = self.counts.sum(axis=1, keepdims=True)
        return self.counts / np.maximum(total, 1)

    @property
    def is_small(self) -> bool:
        return len(self.names) <= MATRIX

    def worst(self) -> list[tuple[str, str, int, float]]:
        """Actual and predicted class, how often and the share, the most frequent first."""
        wrong = self.counts * (1 - np.eye(len(self.names), dtype=np.int64))
        order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
        pairs = [divmod(int(flat), len(self.names)) for flat in order]
        return [
            (self.names[a], self.names[p], int(wrong[a, p]), float(self.shares[a, p]))
            for a, p in pairs
            if wrong[a, p]
        ]


def confusions(answers: Sequence[Answers], names: Sequence[str]) -> list[Confusion]:
    """The confusions of the first lines of one data set.

    Args:
      names: of the classes; classes without a name are called by their number.
    """
    classes = max([len(names), *(one.classes for one in answers)], default=0)
    full = (*names, *(str(number) for number in range(len(names), classes)))
    return [
        Confusion(answers=one, names=full, counts=count(one, classes)) for one in answers[:MOST]
    ]


def count(answers: Answers, classes: int) -> np.ndarray:
    """Int [c, c]: examples and seeds by actual class (row) and predicted class (column)."""
    actual = np.broadcast_to(answers.label, answers.predicted.shape)  # [s, n]
    flat = (actual * classes + answers.predicted).ravel()
    return np.bincount(flat, minlength=classes**2).reshape(classes, classes)


def confusion_panels(found: Sequence[Confusion]) -> list[Panel]:
    """The matrices as figures, for a file; a page has them as tables."""
    return [
        Panel(
            title=one.answers.line.model, description="Confusion matrix.",
            draw=lambda axes, one=one: _draw(axes, one), width=300, height=290,
        )
        for one in found
    ]  # fmt: skip


def _draw(axes: Axes, found: Confusion) -> None:
    axes.imshow(found.shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.grid(visible=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("actual")
    if not found.is_small:
        return
    ticks = range(len(found.names))
    axes.set_xticks(ticks, found.names, rotation=90)
    axes.set_yticks(ticks, found.names)
    for row in ticks:
        for column in ticks:
            colour = "white" if found.shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(found.counts[row, column]), color=colour,
                      ha="center", va="center", fontsize=6)  # fmt: skip
