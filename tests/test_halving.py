"""Which trials come next."""

from __future__ import annotations

from typing import Any

import pytest
from stored import make_row

from harness.halving import Chosen, Hopeless, Rung, Trials, next_step, ranked, schedule
from harness.rows import Row

RUNGS = (Rung(4, 1), Rung(2, 2))


def trial(accuracy: float | None, *, loss: float | None = 1.0, **values: Any) -> Row:
    return make_row(accuracy=None, kind="trial", val_accuracy=accuracy, val_loss=loss, **values)


def failed(status: str = "diverged", **values: Any) -> Row:
    return trial(None, loss=None, status=status, **{"error_message": "no", **values})


def rung(number: int, *rows: Row) -> dict[tuple[int, int], Row]:
    return {(number, i): row for i, row in enumerate(rows)}


@pytest.mark.parametrize(
    ("budget", "epochs", "rungs"),
    [
        (8, 4, [(8, 1), (4, 2), (2, 4)]),
        (8, 100, [(8, 25), (4, 50), (2, 100)]),
        (8, 3, [(8, 1), (4, 3)]),
        (8, 1, [(8, 1)]),
        (5, 10, [(5, 5), (2, 10)]),
        (3, 10, [(3, 10)]),
        (2, 4, [(2, 4)]),
        (16, 10, [(16, 1), (8, 2), (4, 5), (2, 10)]),
    ],
)
def test_a_rung_has_half_of_the_trials_and_twice_the_epochs(budget, epochs, rungs):
    assert [(r.trials, r.epochs) for r in schedule(budget, epochs)] == rungs


def test_every_schedule_begins_with_the_budget_and_ends_with_all_epochs():
    for budget in range(2, 40):
        for epochs in range(1, 40):
            rungs = schedule(budget, epochs)
            assert rungs[0].trials == budget and rungs[-1].epochs == epochs
            assert all(r.trials >= 2 and r.epochs >= 1 for r in rungs)


def test_the_first_rung_comes_first_and_what_is_there_is_not_asked_for_again():
    assert next_step(RUNGS, {}) == Trials(0, (0, 1, 2, 3))
    assert next_step(RUNGS, {(0, 0): trial(0.5), (0, 2): trial(0.1)}) == Trials(0, (1, 3))


def test_the_better_half_goes_on_and_the_best_of_the_last_rung_is_chosen():
    rows = rung(0, trial(0.5), trial(0.7), trial(0.1), trial(0.6))
    assert next_step(RUNGS, rows) == Trials(1, (1, 3))
    rows |= {(1, 1): trial(0.7), (1, 3): trial(0.8)}
    assert next_step(RUNGS, rows) == Chosen(3, rows[1, 3])


def test_what_is_not_ok_does_not_go_on():
    rows = rung(0, failed(), trial(0.2), failed("timeout"), failed())
    assert next_step(RUNGS, rows) == Trials(1, (1,))
    rows[1, 1] = failed()
    # the last rung has nothing: what was best before it is chosen
    assert next_step(RUNGS, rows) == Chosen(1, rows[0, 1])


def test_without_an_ok_trial_the_first_one_says_why():
    rows = rung(0, failed(error_message="loss inf"), failed(), failed(), failed())
    step = next_step(RUNGS, rows)
    assert step == Hopeless(rows[0, 0], "none of 4 trials was ok; the first: loss inf")


@pytest.mark.parametrize(
    "row",
    [
        failed("skipped"),
        failed("unavailable"),
        failed("failed", phase="load"),
        failed("failed", phase="data"),
    ],
)
def test_an_end_that_has_nothing_to_do_with_the_values_is_the_end_of_all(row: Row):
    assert next_step(RUNGS, {(0, 0): row}) == Hopeless(row, "its first trial: no")


@pytest.mark.parametrize("row", [failed(), failed("failed", phase="train"), failed("timeout")])
def test_another_end_of_the_first_trial_stops_none(row: Row):
    assert next_step(RUNGS, {(0, 0): row}) == Trials(0, (1, 2, 3))


@pytest.mark.parametrize("status", ["skipped", "unavailable"])
def test_what_a_model_refuses_may_be_the_value_of_its_own_parameter(status: str):
    refused = failed(status, phase="construct")
    rows = rung(0, refused)
    assert next_step(RUNGS, rows, keys=["model.patch"]) == Trials(0, (1, 2, 3))
    assert next_step(RUNGS, rows, keys=["optimizer"]) == Trials(0, (1, 2, 3))
    assert next_step(RUNGS, rows, keys=["batch_size"]) == Hopeless(
        refused, "its first trial: no"
    )
    rows |= rung(0, *[refused] * 4)
    said = "none of 4 trials was ok; the first: no"
    assert next_step(RUNGS, rows, keys=["model.patch"]) == Hopeless(refused, said)


@pytest.mark.parametrize(
    ("phase", "key", "is_end"),
    [
        ("load", "model.patch", True),
        ("load", "optimizer", True),
        ("data", "model.patch", True),
        ("data", "optimizer", False),
    ],
)
def test_what_ends_before_a_value_is_looked_at_is_the_end_of_all(phase, key, is_end):
    for status in ("failed", "unavailable"):
        step = next_step(RUNGS, rung(0, failed(status, phase=phase)), keys=[key])
        assert isinstance(step, Hopeless) == is_end


def test_a_failure_says_more_than_a_refused_value():
    rows = rung(0, failed("skipped"), failed("skipped"), failed(error_message="inf"), failed())
    said = "none of 4 trials was ok; trial 2: inf"
    assert next_step(RUNGS, rows, keys=["model.patch"]) == Hopeless(rows[0, 2], said)


def test_equal_accuracies_are_told_apart_by_the_loss_and_then_by_order():
    rows = [
        trial(0.5, loss=0.9),
        trial(0.5, loss=0.8),
        trial(0.5, loss=0.8),
        trial(0.4, loss=0.1),
    ]
    assert ranked(dict(enumerate(rows))) == (1, 2, 0, 3)


def test_without_an_accuracy_the_smallest_loss_is_best():
    rows = [trial(None, loss=3.0), trial(None, loss=0.5), trial(None, loss=2.0)]
    assert ranked(dict(enumerate(rows))) == (1, 2, 0)


def test_where_nothing_is_tuned_there_is_nothing_to_do():
    assert next_step((), {}) == Chosen(None, None)
