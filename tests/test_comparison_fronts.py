from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.comparison import front, time_to_target

NAN = float("nan")
POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)


@given(POINTS)
def test_the_front_is_what_nothing_else_beats(points: list[tuple[int, int]]):
    found = front([a for a, _ in points], [c for _, c in points])
    beaten = [
        any((a >= b and c <= d) and (a, c) != (b, d) for a, c in points) for b, d in points
    ]
    assert found.tolist() == [not one for one in beaten]


def test_equal_lines_are_both_on_the_front():
    assert front([0.9, 0.9], [1.0, 1.0]).tolist() == [True, True]


def test_a_line_without_a_cost_is_on_no_front_and_beats_none():
    assert front([0.99, 0.9, 0.8], [NAN, 2.0, 1.0]).tolist() == [False, True, True]
    assert front([NAN, 0.9], [0.1, 2.0]).tolist() == [False, True]
    assert front(np.array([]), np.array([])).tolist() == []


def epochs(*accuracies: float | None, split: str = "test") -> list[dict[str, Any]]:
    return [{"train_s": 2.0, f"{split}_accuracy": value} for value in accuracies]


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (epochs(0.5, 0.85, 0.9), 4.0),
        (epochs(0.5, 0.84), None),
        (epochs(0.5, 0.9, 0.2, split="val"), 4.0),
        (epochs(None, None), None),
        ([], None),
    ],
)
def test_the_time_to_an_accuracy_is_that_of_the_first_epoch_with_it(told: Any, seconds: Any):
    assert time_to_target(told, 0.85) == seconds


def test_where_validation_is_judged_the_test_set_is_not():
    both = [{"train_s": 1.0, "val_accuracy": 0.5, "test_accuracy": 0.9},
            {"train_s": 1.0, "val_accuracy": 0.9, "test_accuracy": 0.1}]  # fmt: skip
    assert time_to_target(both, 0.85) == 2.0
