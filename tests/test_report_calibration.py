"""Calibration: bins, and the expected calibration error."""

from __future__ import annotations

import numpy as np
import pytest
from reported import answers

from harness.report.calibration import BINS, MOST, bins, calibration_panels, calibrations, error
from harness.report.look import alone


def test_a_bin_has_its_count_its_confidence_and_its_accuracy():
    counts, confidence, accuracy = bins(
        np.array([0.52, 0.53, 1.0, 0.0]), np.array([True, False, True, False])
    )
    assert counts.sum() == 4 and counts[int(0.52 * BINS)] == 2
    assert confidence[7] == pytest.approx(0.525) and accuracy[7] == 0.5
    assert counts[[0, -1]].tolist() == [1, 1]  # the ends are inside
    assert np.isnan(confidence[1])


def test_who_is_right_as_often_as_it_says_has_no_error():
    sure = np.full(1000, 0.8)
    right = np.arange(1000) < 800
    assert error(*bins(sure, right)) == pytest.approx(0.0)
    assert error(*bins(sure, np.ones(1000, dtype=bool))) == pytest.approx(0.2)


def test_the_error_is_the_mean_of_the_seeds_own():
    # one seed says too much and one too little; together they would look calibrated
    one = answers(
        label=[0, 0], predicted=[[0, 0], [1, 1]], probability=[[0.5, 0.5], [0.5, 0.5]]
    )
    (found,) = calibrations([one])
    assert found.error == pytest.approx(0.5)
    assert found.mean_accuracy == 0.5 and found.mean_confidence == pytest.approx(0.5)
    assert error(found.counts, found.confidence, found.accuracy) == pytest.approx(0.0)


def test_a_line_without_probabilities_has_no_panel_and_only_the_first_have_one():
    silent = answers(label=[0], predicted=[[0]])
    told = answers(label=[0, 1], predicted=[[0, 0]], probability=[[0.9, 0.6]])
    found = calibrations([silent, *[told] * (MOST + 1)])
    panels = calibration_panels(found)
    assert (len(found), len(panels)) == (MOST + 1, MOST)
    curve = alone(panels[0]).axes[0].lines[1]
    np.testing.assert_allclose(
        np.asarray(curve.get_xydata(), dtype=float), [[0.6, 0.0], [0.9, 1.0]]
    )
