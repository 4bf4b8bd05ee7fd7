"""A measurement that broke is not believed, and says what broke it."""

from __future__ import annotations

from typing import Any

import pytest
from gate_pairs import controls_of, make_pair, rounds_of

from harness.gate import controls
from harness.gate.controls import ROUNDS, broken, found_known, hopeless


def test_a_sound_measurement_is_believed():
    assert broken(rounds_of(0.1), controls_of(), seed=0) == ""


@pytest.mark.parametrize(
    ("pairs", "told", "why"),
    [
        (rounds_of(0.0), controls_of(itself=0.1), "beside itself was found to be slower"),
        (rounds_of(0.0), controls_of(itself=-0.1), "beside itself was found to be faster"),
        (rounds_of(0.0), controls_of(24, known=0.0), "known slowdown of 10 % was not found"),
        (rounds_of(0.0, steal=0.2), controls_of(), "the machine's host took it away (20% of"),
        (rounds_of(0.0, others=0.5), controls_of(), "other processes computed (50% of"),
        (rounds_of(0.0, idle_cpu=0.9), controls_of(), "computing where it was to wait (90% of"),
        (rounds_of(0.0, calibration=0.05), controls_of(), "compute kernels differed by +5"),
        (rounds_of(0.0), [], "no control was measured"),
    ],
    ids=["itself", "faster", "known", "steal", "others", "idle", "calibration", "none"],
)
def test_a_broken_measurement_says_why(pairs: Any, told: Any, why: str):
    assert why in broken(pairs, told, seed=0)


def test_a_known_slowdown_has_until_the_last_look_to_show():
    few = controls_of(10, known=0.0)
    assert broken(rounds_of(0.0), few, seed=0) == "" and not found_known(few, seed=0)
    assert found_known(controls_of(10), seed=0)
    assert not found_known(controls_of(9), seed=0) and not found_known([], seed=0)


def test_one_cell_that_is_always_disturbed_is_not_hidden_by_the_others():
    rounds = [[make_pair(cell="a"), make_pair(cell="b", others=0.5)] for _ in range(4)]
    assert "measurements of b were disturbed" in broken(rounds, controls_of(4), seed=0)
    assert hopeless(rounds)


def test_rounds_that_are_each_disturbed_in_another_cell_measure_nothing():
    rounds = [
        [make_pair(cell=str(cell), others=0.5 * (cell == at)) for cell in range(8)]
        for at in range(8)
    ]
    assert "in every round some cell was disturbed: other" in broken(
        rounds, controls_of(8), seed=0
    )


def test_more_rounds_are_no_use_once_most_was_disturbed():
    assert hopeless(rounds_of(0.0, others=0.5, count=ROUNDS))
    assert not hopeless(rounds_of(0.0, others=0.5, count=ROUNDS - 1))
    assert not hopeless(rounds_of(0.0)) and not hopeless([])
    assert controls.DROPPED < controls.HOPELESS  # what ends early is INVALID
