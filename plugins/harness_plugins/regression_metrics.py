"""Metrics of regression, in the units of the targets: mean absolute error, R squared."""

from __future__ import annotations

import numpy as np

import harness
from harness.hookspecs import Register


def mean_absolute_error(predictions: harness.Predictions) -> float:
    """The distance of a prediction from its target, over all examples and targets."""
    _only_regression("mean_absolute_error", predictions)
    distance = np.abs(predictions.outputs.astype(np.float64) - predictions.labels)  # [n, c]
    return float(distance.mean())


def r_squared(predictions: harness.Predictions) -> float:
    """The share of the targets' variance that is explained, its mean over the targets.

    0 is the constant predictor that knows the mean of the split; worse ones are below.

    Raises:
      Unsupported: a target is constant.
    """
    _only_regression("r_squared", predictions)
    targets = predictions.labels.astype(np.float64)  # [n, c]
    varied = np.square(targets - targets.mean(axis=0)).sum(axis=0)  # [c]
    if (varied == 0).any():
        raise harness.Unsupported("r_squared needs targets that vary")
    left = np.square(targets - predictions.outputs).sum(axis=0)  # [c]
    return float((1 - left / varied).mean())


def _only_regression(name: str, predictions: harness.Predictions) -> None:
    if predictions.spec.task != "regression":
        raise harness.Unsupported(
            f"{name} is of regression; the data set's task is {predictions.spec.task}"
        )


@harness.hookimpl
def register_metrics(register: Register) -> None:
    register("mean_absolute_error", mean_absolute_error)
    register("r_squared", r_squared)
