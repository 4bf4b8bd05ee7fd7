"""Metrics of classification, of one label or of many: macro F1, calibration error, AUC.

scikit-learn computes what it has; it is imported when a metric is asked for.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from annotated_types import Ge

import harness
from harness.hookspecs import Register

MACRO: dict[str, Any] = {"average": "macro", "zero_division": 0}
BINARY: dict[str, Any] = {"average": "binary", "zero_division": 0}


def macro_f1(predictions: harness.Predictions) -> float:
    """F1 of each class, or label, and their plain mean; 0 for a class never met nor said."""
    from sklearn.metrics import f1_score

    if predictions.spec.task == "multi_label":
        said = predictions.probabilities > 0.5  # [n, c]
        # one by one: scikit-learn takes a single column for two classes
        pairs = zip(predictions.labels.T, said.T, strict=True)
        return float(np.mean([f1_score(y, each, **BINARY) for y, each in pairs]))
    _only_classification("macro_f1", predictions)
    said = predictions.outputs.argmax(axis=-1)  # [n]
    classes = np.arange(predictions.spec.num_classes)
    return float(f1_score(predictions.labels, said, labels=classes, **MACRO))


def calibration_error(
    predictions: harness.Predictions, *, bins: Annotated[int, Ge(1)] = 15
) -> float:
    """How far the probability of the answer is from how often it is right.

    The examples are put into `bins` equally wide bins by the probability of their predicted
    class; the distances between mean probability and accuracy of the bins are averaged by
    their sizes (Guo et al. 2017, "On Calibration of Modern Neural Networks").
    """
    _only_classification("calibration_error", predictions)
    said = predictions.outputs.argmax(axis=-1)  # [n]
    sure = predictions.probabilities.max(axis=-1).astype(np.float64)  # [n]
    right = said == predictions.labels
    # a bin holds its upper edge, so that certainty falls into the last one
    place = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)  # [n]
    gaps = np.bincount(place, weights=right - sure, minlength=bins)  # [bins]
    return float(np.abs(gaps).sum() / len(right))


def auc(predictions: harness.Predictions) -> float:
    """Area under the ROC curve; the mean of each class, or label, against the rest.

    Raises:
      Unsupported: a class is in no example, or in all: there is no curve.
    """
    from sklearn.metrics import roc_auc_score

    labels = predictions.labels
    if predictions.spec.task == "multi_label":
        present = labels  # [n, c]
    else:
        _only_classification("auc", predictions)
        present = labels[:, None] == np.arange(predictions.spec.num_classes)  # [n, c]
    count = present.sum(axis=0)  # [c]
    if (count == 0).any() or (count == len(labels)).any():
        name = predictions.spec.class_names[
            int(np.flatnonzero((count == 0) | (count == len(labels)))[0])
        ]
        raise harness.Unsupported(f"auc needs examples with and without {name!r}")
    return float(roc_auc_score(present, predictions.probabilities, average="macro"))


def _only_classification(name: str, predictions: harness.Predictions) -> None:
    if predictions.spec.task != "classification":
        raise harness.Unsupported(
            f"{name} is of classification; the data set's task is {predictions.spec.task}"
        )


@harness.hookimpl
def register_metrics(register: Register) -> None:
    register("macro_f1", macro_f1)
    register(
        "calibration_error",
        calibration_error,
        paper="Guo et al. 2017, On Calibration of Modern Neural Networks, ICML 2017",
    )
    register("auc", auc)
