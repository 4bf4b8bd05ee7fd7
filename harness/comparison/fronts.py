"""What accuracy costs: the Pareto front, and the time to a given accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def front(accuracy: ArrayLike, cost: ArrayLike) -> NDArray[np.bool_]:
    """Which lines no other one beats: none is as accurate for less, or better for as much.

    It is a statement on the estimates as they stand, not a test.

    Args:
      accuracy: float [l], a value a line.
      cost: float [l], less is better. A line of which either is NaN is not on the front
        and beats none.

    >>> front([0.9, 0.8, 0.7], [3.0, 1.0, 2.0]).tolist()
    [True, True, False]
    """
    gain, price = np.asarray(accuracy, dtype=float), np.asarray(cost, dtype=float)
    known = ~(np.isnan(gain) | np.isnan(price))
    with np.errstate(invalid="ignore"):
        no_worse = (gain[:, None] >= gain) & (price[:, None] <= price)  # [l, l]: row beats
        better = (gain[:, None] > gain) | (price[:, None] < price)
    return known & ~(no_worse & better & known[:, None]).any(axis=0)


def time_to_target(epochs: Sequence[Mapping[str, Any]], target: float) -> float | None:
    """Seconds of training until the accuracy was first at least `target`, or None.

    Args:
      epochs: a run's epochs in order. Validation accuracy counts where there is one, else
        that on the test set.
      target: a fraction from 0 to 1.
    """
    seconds = 0.0
    for epoch in epochs:
        seconds += epoch.get("train_s") or 0.0
        judged = epoch.get("val_accuracy")
        accuracy = epoch.get("test_accuracy") if judged is None else judged
        if accuracy is not None and accuracy >= target:
            return seconds
    return None
