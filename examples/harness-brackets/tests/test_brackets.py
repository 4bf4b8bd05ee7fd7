"""Do the data set and the model keep the harness's contract, and is the task what it says?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from harness_brackets.data import matching, unmatching

import harness
from harness import testing


@pytest.mark.parametrize(
    "check", testing.checks("brackets", "gru", dataset="brackets"), ids=str
)
def test_conformance(check: Callable[[], None]):
    check()


def test_brackets_match_where_they_should():
    draw = np.random.default_rng(0)
    for pairs in range(3, 12):
        up, off = matching(draw, pairs), unmatching(draw, pairs)
        assert up.sum() == off.sum() == 0
        assert np.cumsum(up).min() == 0
        assert np.cumsum(off).min() < 0


def test_a_recurrent_network_learns_them_and_counting_does_not():
    frame = harness.run(
        "brackets",
        ["gru", "majority"],
        epochs=6,
        batch_size=32,
        learning_rate=1e-2,
        in_process=True,
    )
    accuracy = dict(zip(frame["model"], frame["test_accuracy"], strict=True))
    assert accuracy["gru"] > 0.7
    assert accuracy["majority"] == pytest.approx(0.5, abs=0.02)
