"""Do the data set and the model keep the harness's contract, and is the task what it says?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from harness_brackets.data import brackets, how_many_match, matching, unmatching

import harness
from harness import testing


@pytest.mark.parametrize(
    "check", testing.checks("brackets", "brackets_gru", dataset="brackets"), ids=str
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


def test_the_shortest_length_has_enough_sequences_and_a_shorter_one_is_refused():
    data = harness.load_dataset("brackets[max_length=16]")
    assert data.spec.shape == (16,)
    with pytest.raises(harness.UsageError, match="max_length"):
        harness.load_dataset("brackets[max_length=15]")


def test_more_sequences_than_there_are_is_refused_in_a_line():
    drawn = {tuple(matching(np.random.default_rng(i), 4)) for i in range(300)}
    assert how_many_match(8) == len(drawn) + 5 + 2  # of four, three and two pairs
    with pytest.raises(harness.UsageError, match="only 2047 sequences match"):
        brackets(max_length=16, examples=4096)


def test_a_recurrent_network_learns_them_and_counting_does_not():
    frame = harness.run(
        "brackets",
        ["brackets_gru", "majority"],
        epochs=6,
        batch_size=32,
        learning_rate=1e-2,
        in_process=True,
    )
    accuracy = dict(zip(frame["model"], frame["test_accuracy"], strict=True))
    assert accuracy["brackets_gru"] > 0.7
    assert accuracy["majority"] == pytest.approx(0.5, abs=0.02)
