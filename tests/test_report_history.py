"""What is read for a plot, and what is said of runs that have nothing to draw."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from stored import failed_row, make_epochs, make_result, make_row, npy

from harness.errors import UsageError
from harness.report.history import read_histories
from harness.rows import Result
from harness.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/rows.db") as opened:
        yield opened


def test_a_history_holds_the_stored_curves(store: Store):
    store.add(make_result(make_row("mlp", "deep", 3, run_id="a"), steps=[0.75, 0.5, 0.25]))
    [history], notes = read_histories(store, ["a"])
    assert notes == []
    assert (history.run_id, history.dataset, history.model) == ("a", "digits", "mlp:deep")
    assert (history.seed, history.judged_on) == (3, "test")
    assert history.train_loss.tolist() == [0.75, 0.5, 0.25]
    assert history.epochs.tolist() == [1, 2]
    assert history.loss.tolist() == [0.75, 0.5]
    assert history.accuracy.tolist() == [0.625, 0.875]


def test_held_out_data_comes_before_the_one_test_at_the_end(store: Store):
    epochs = make_epochs([0.5, 0.25], [0.5, 0.75], split="val")
    last = {**epochs[1], "test_loss": 0.125, "test_accuracy": 1.0}
    store.add(Result(row=make_row(run_id="a"), epochs=(epochs[0], last)))
    [history], _ = read_histories(store, ["a"])
    assert history.judged_on == "validation"
    assert history.loss.tolist() == [0.5, 0.25]
    assert history.accuracy.tolist() == [0.5, 0.75]


def test_epochs_that_were_not_evaluated_are_left_out(store: Store):
    skipped = {"epoch": 1, "train_loss": 0.9}
    evaluated = {"epoch": 2, "test_loss": 0.5}
    store.add(Result(row=make_row(run_id="a"), epochs=(skipped, evaluated)))
    [history], _ = read_histories(store, ["a"])
    assert history.epochs.tolist() == [2]
    assert np.isnan(history.accuracy).tolist() == [True]


def test_a_run_without_history_is_noted_and_the_others_are_read(store: Store):
    store.add(Result(row=failed_row("rnn", 2, run_id="bad")))
    store.add(make_result(make_row(run_id="good")))
    histories, notes = read_histories(store, ["bad", "good"])
    assert [history.run_id for history in histories] == ["good"]
    assert notes == ["run bad (rnn on digits, seed 2, failed) has no history and is not drawn"]


def test_a_run_cut_short_keeps_what_it_has(store: Store):
    row = failed_row(run_id="a", status="timeout")
    store.add(Result(row=row, arrays={"train_loss": npy([0.5])}))
    [history], notes = read_histories(store, ["a"])
    assert (history.train_loss.tolist(), history.epochs.size, notes) == ([0.5], 0, [])


def test_without_a_choice_every_run_is_read(store: Store):
    for name in ("b", "a"):
        store.add(make_result(make_row(run_id=name)))
    assert [history.run_id for history in read_histories(store, None)[0]] == ["b", "a"]


def test_a_run_named_twice_is_read_once(store: Store):
    store.add(make_result(make_row(run_id="abc")))
    assert len(read_histories(store, ["abc", "a"])[0]) == 1


def test_an_unknown_run_is_refused(store: Store):
    with pytest.raises(UsageError, match="no run starts with 'zz'"):
        read_histories(store, ["zz"])


def test_models_are_told_apart_by_parameters_and_recipe_only_where_they_vary(store: Store):
    rows = [
        make_row(run_id="a", params={"width": 8, "depth": 1}),
        make_row(run_id="b", params={"width": 16, "depth": 1}),
        make_row(run_id="c", params={"width": 16, "depth": 1}, learning_rate=1e-4),
    ]
    for row in rows:
        store.add(make_result(row))
    names = [history.model for history in read_histories(store, ["a", "b"])[0]]
    assert names == ["mlp[width=8]", "mlp[width=16]"]
    names = [history.model for history in read_histories(store, ["b", "c"])[0]]
    assert names == ["mlp, learning_rate=0.001", "mlp, learning_rate=0.0001"]
