"""The built-in metrics, held against scikit-learn, hand-made cases and definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as theirs

import harness
from harness_plugins.classification_metrics import auc, calibration_error, macro_f1
from harness_plugins.regression_metrics import mean_absolute_error, r_squared

RANDOM = np.random.RandomState(0)
LABELS = np.arange(60, dtype=np.int32) % 3
OUTPUTS = RANDOM.normal(size=(60, 3)).astype(np.float32) + np.eye(3, dtype=np.float32)[LABELS]


def predictions(task: str, outputs, probabilities, labels) -> harness.Predictions:
    spec = harness.DataSpec(
        kind="features", shape=(4,), num_classes=np.asarray(outputs).shape[1], task=task
    )
    return harness.Predictions(
        outputs=np.asarray(outputs), probabilities=np.asarray(probabilities),
        labels=np.asarray(labels), spec=spec,
    )  # fmt: skip


def classified(outputs: Any = OUTPUTS, labels: Any = LABELS) -> harness.Predictions:
    return predictions("classification", outputs, softmax(outputs, axis=1), labels)


def test_macro_f1_is_the_plain_mean_over_the_classes():
    said = OUTPUTS.argmax(axis=1)
    scores = []
    for c in range(3):
        both = ((said == c) & (LABELS == c)).sum()
        scores.append(2 * both / ((said == c).sum() + (LABELS == c).sum()))
    assert macro_f1(classified()) == pytest.approx(np.mean(scores))


def test_a_class_that_is_neither_met_nor_said_counts_as_zero():
    outputs = np.array([[5.0, 0.0, -5.0], [0.0, 5.0, -5.0]])
    assert macro_f1(classified(outputs, [0, 1])) == pytest.approx(2 / 3)


def test_auc_is_the_mean_of_each_class_against_the_rest():
    expected = theirs.roc_auc_score(LABELS, softmax(OUTPUTS, axis=1), multi_class="ovr")
    assert auc(classified()) == pytest.approx(expected)
    binary = classified([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.5, 0.0]], [0, 1, 0, 1])
    assert auc(binary) == 1.0


def test_auc_without_a_class_is_unsupported_and_names_it():
    with pytest.raises(harness.Unsupported, match="with and without '2'"):
        auc(classified(labels=LABELS % 2))


def test_calibration_error_is_the_distance_of_certainty_from_accuracy():
    # four answers of probability 0.75 in one bin, of which half are right
    outputs = np.log([[0.75, 0.25]] * 4)
    assert calibration_error(classified(outputs, [0, 0, 1, 1])) == pytest.approx(0.25)
    # two bins: 0.75 of which all are right, 0.95 of which none is
    outputs = np.log([[0.75, 0.25]] * 2 + [[0.95, 0.05]] * 2)
    found = calibration_error(classified(outputs, [0, 0, 1, 1]))
    assert found == pytest.approx((0.25 + 0.95) / 2)
    assert calibration_error(classified(outputs, [0, 0, 1, 1]), bins=1) == pytest.approx(0.35)


def test_certainty_falls_into_the_last_bin():
    sure = predictions("classification", [[9.0, 0.0]], [[1.0, 0.0]], [0])
    assert calibration_error(sure) == 0


def test_several_labels_have_f1_and_auc():
    labels = (RANDOM.rand(50, 4) > 0.5).astype(np.int32)
    chance = np.clip(labels * 0.3 + RANDOM.rand(50, 4) * 0.7, 0, 1)
    told = predictions("multi_label", np.log(chance / (1.001 - chance)), chance, labels)
    assert macro_f1(told) == pytest.approx(
        np.mean([theirs.f1_score(labels[:, c], chance[:, c] > 0.5) for c in range(4)])
    )
    assert auc(told) == pytest.approx(
        np.mean([theirs.roc_auc_score(labels[:, c], chance[:, c]) for c in range(4)])
    )


def test_regression_is_measured_in_the_targets_units():
    labels = RANDOM.normal(size=(40, 2)).astype(np.float32)
    outputs = labels + 0.1 * RANDOM.normal(size=(40, 2)).astype(np.float32)
    told = predictions("regression", outputs, outputs, labels)
    assert mean_absolute_error(told) == pytest.approx(
        theirs.mean_absolute_error(labels, outputs), rel=1e-6
    )
    assert r_squared(told) == pytest.approx(theirs.r2_score(labels, outputs), rel=1e-6)
    constant = predictions("regression", outputs, outputs, np.zeros((40, 2)))
    with pytest.raises(harness.Unsupported, match="targets that vary"):
        r_squared(constant)


@pytest.mark.parametrize("metric", [macro_f1, auc, calibration_error])
def test_what_is_of_classification_refuses_regression(metric):
    told = predictions("regression", OUTPUTS, OUTPUTS, OUTPUTS)
    with pytest.raises(harness.Unsupported, match="task is regression"):
        metric(told)


@pytest.mark.parametrize("metric", [mean_absolute_error, r_squared])
def test_what_is_of_regression_refuses_classification(metric):
    with pytest.raises(harness.Unsupported, match="task is classification"):
        metric(classified())


def test_a_single_label_of_many_is_no_pair_of_classes():
    labels = np.array([[1], [0], [1], [0]])
    chance = np.full((4, 1), 0.1)
    assert macro_f1(predictions("multi_label", np.log(chance), chance, labels)) == 0.0
