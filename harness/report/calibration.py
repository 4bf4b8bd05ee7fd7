"""Calibration: how often a line is right when it is so sure.

The probability of the predicted class is cut into bins of equal width. The expected
calibration error is the mean distance between confidence and accuracy, weighted by the
examples of each bin (Guo et al., "On Calibration of Modern Neural Networks", 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from harness.report.answers import Answers
from harness.report.look import CONTEXT, INK, Panel, look

BINS = 15
MOST = 24  # lines that have a panel


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """The bins of one line, all seeds together.

    Attributes:
      counts: int [bins], examples and seeds.
      confidence, accuracy: float [bins], means; NaN in an empty bin.
      error: expected calibration error, a fraction; the mean of the seeds' own errors.
    """

    answers: Answers
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    error: float

    @property
    def mean_confidence(self) -> float:
        return float(np.nansum(self.confidence * self.counts) / self.counts.sum())

    @property
    def mean_accuracy(self) -> float:
        return float(np.nansum(self.accuracy * self.counts) / self.counts.sum())


def calibrations(answers: Sequence[Answers]) -> list[Calibration]:
    """The calibration of each line whose probabilities are stored."""
    return [
        _calibration(one, one.probability) for one in answers if one.probability is not None
    ]


def _calibration(answers: Answers, probability: np.ndarray) -> Calibration:
    right = answers.predicted == answers.label  # [s, n]
    counts, confidence, accuracy = bins(probability, right)
    errors = [error(*bins(p, r)) for p, r in zip(probability, right, strict=True)]
    return Calibration(
        answers=answers, counts=counts, confidence=confidence, accuracy=accuracy,
        error=float(np.mean(errors)),
    )  # fmt: skip


def bins(
    probability: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count, mean probability and accuracy of each bin.

    Args:
      probability: float [...], 0 to 1.
      right: bool [...].

    Returns:
      Three arrays [bins]; the means of an empty bin are NaN.
    """
    sure, hit = probability.ravel(), right.ravel()
    place = np.clip((sure * BINS).astype(np.int64), 0, BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(place, sure, BINS) / counts
        accuracy = np.bincount(place, hit, BINS) / counts
    return counts, confidence, accuracy


def error(counts: np.ndarray, confidence: np.ndarray, accuracy: np.ndarray) -> float:
    """The expected calibration error of bins, as `bins` gives them."""
    return float(np.nansum(np.abs(confidence - accuracy) * counts) / counts.sum())


def calibration_panels(found: Sequence[Calibration]) -> list[Panel]:
    """A reliability diagram for each of the first lines."""
    return [
        Panel(
            title=one.answers.line.model, description=_described(one),
            draw=lambda axes, one=one: _draw(axes, one), width=236, height=222,
        )
        for one in found[:MOST]
    ]  # fmt: skip


def _described(one: Calibration) -> str:
    return (
        f"Reliability diagram: expected calibration error {one.error:.3f}, mean confidence "
        f"{one.mean_confidence:.3f}, accuracy {one.mean_accuracy:.3f}."
    )


def _draw(axes: Axes, one: Calibration) -> None:
    how = look(one.answers.line.place)
    edges = np.arange(BINS) / BINS
    # where the examples are, as bars that reach up to a quarter of the panel
    axes.bar(edges, 0.25 * one.counts / one.counts.max(), 1 / BINS, align="edge",
             color=CONTEXT, alpha=0.45)  # fmt: skip
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
    some = one.counts > 0
    axes.plot(one.confidence[some], one.accuracy[some], color=how.colour, marker=how.marker)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")
