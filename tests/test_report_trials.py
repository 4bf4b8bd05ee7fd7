"""Trials: what was tried, how it did, and of which line of the table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from reported import lines_of
from stored import make_row, make_trial, make_tuned

from harness.frames import frame_of
from harness.report.trials import Trial, read_trials
from harness.rows import Row

RATE = "learning_rate"


def trials_of(rows: Sequence[Row]) -> list[Trial]:
    return read_trials(frame_of(rows), lines_of(rows))


def told(rows: Sequence[Row]) -> list[tuple[str, str, int]]:
    return [(one.dataset, one.model, one.place) for one in trials_of(rows)]


def test_trials_are_read_with_what_was_tried():
    chosen = {RATE: 1e-4, "model.pool": "mean"}
    found = trials_of([
        make_trial("mlp", 0.3, chosen), make_trial("mlp", 0.7, {RATE: 1e-2}, rung=1),
        make_trial("rnn", None, {RATE: 1e-2}, status="failed"), make_row("mlp"),
    ])  # fmt: skip
    assert [(one.model, one.rung, one.score, one.status) for one in found] == [
        ("mlp (not in the table)", 0, 0.3, "ok"), ("mlp (not in the table)", 1, 0.7, "ok"),
        ("rnn", 0, None, "failed"),
    ]  # fmt: skip
    assert found[0].chosen == chosen and found[0].epochs == 10
    assert trials_of([make_row()]) == []


def test_a_task_without_accuracy_is_judged_by_its_loss():
    (one,) = trials_of([make_trial("mlp", None, {RATE: 1e-3}, val_loss=0.5)])
    assert (one.score, one.is_loss) == (0.5, True)


def test_a_trial_has_the_name_and_the_place_of_its_line():
    dropout = {"model.dropout": 0.1, RATE: 1e-3}
    rows = [
        make_row("majority"), make_tuned("mlp", dropout),
        make_trial("mlp", 0.5, dropout), make_trial("mlp", 0.4, {**dropout, RATE: 1e-2}),
        make_trial("mlp", 0.4, {**dropout, "model.dropout": 0.3}),
    ]  # fmt: skip
    # the line has what was chosen in its name, and a trial what it tried beside it
    assert [line.model for line in lines_of(rows)] == ["majority", "mlp[dropout=0.1]"]
    assert told(rows) == [("digits", "mlp", 1)] * 3


def test_cells_that_are_tuned_each_by_itself_are_told_apart():
    widths: list[dict[str, Any]] = [{"params": {"width": width}} for width in (16, 64)]
    sizes: list[dict[str, Any]] = [{"batch_size": size} for size in (32, 128)]
    for several, names in (
        (widths, ["mlp[width=16]", "mlp[width=64]"]),
        (sizes, ["mlp, batch size 32", "mlp, batch size 128"]),
    ):
        runs = [make_tuned("mlp", {RATE: 1e-3}, **one) for one in several]
        trials = [
            make_trial("mlp", 0.5, {RATE: rate}, **one) for one in several for rate in (1e-3, 1)
        ]
        expected = [("digits", name, place) for place, name in enumerate(names) for _ in "ab"]
        assert told([*runs, *trials]) == expected
        assert told(trials) == expected  # before there is a run


def of_code(source: str, **values: Any) -> dict[str, Any]:
    """What a row says that was made by some code."""
    parts = {"model": {"source": {"source_hash": source}}, **values}
    return {"key_parts": json.dumps(parts), "jax_version": "0.9"}


def test_trials_of_other_code_are_no_trials_of_a_line():
    chosen = {RATE: 1e-2}
    rows = [
        make_trial("mlp", 0.99, chosen, model_plugin="p==1"),
        make_tuned("mlp", chosen, model_plugin="p==1"),
        make_trial("mlp", 0.7, chosen, model_plugin="p==2"),
        make_tuned("mlp", chosen, model_plugin="p==2"),
        make_trial("mlp", 0.7, chosen),  # nobody knows
    ]
    assert told(rows) == [
        ("digits", "mlp (not in the table)", 1), ("digits", "mlp", 0), ("digits", "mlp", 0),
    ]  # fmt: skip
    # an edited file has another hash, and no other version
    rows = [make_trial("mlp", 0.5, chosen, **of_code(source)) for source in ("old", "new")]
    assert told([make_tuned("mlp", chosen, **of_code("new")), *rows]) == [
        ("digits", "mlp (not in the table)", 1), ("digits", "mlp", 0),
    ]  # fmt: skip


def test_trials_of_each_optimizer_that_was_tried_are_those_of_the_line():
    plugin = {"optimizer": {"source": {"source_hash": "lion"}}}
    rows = [
        make_tuned("mlp", {"optimizer": "adam"}, **of_code("m")),
        make_trial("mlp", 0.5, {"optimizer": "adam"}, **of_code("m")),
        make_trial("mlp", 0.4, {"optimizer": "lion"}, **of_code("m", **plugin)),
    ]
    assert told(rows) == [("digits", "mlp", 0)] * 2


def test_other_data_and_other_epochs_are_no_trials_of_a_line():
    usual = {"data_fingerprint": "new45678", "epochs": 4}
    others: list[dict[str, Any]] = [
        {}, {"epochs": 8}, {"data_fingerprint": "old45678"}, {"limit": 50},
        {"data_fingerprint": None},
    ]  # fmt: skip
    trials = [make_trial("mlp", 0.5, {RATE: 1e-3}, **(usual | own)) for own in others]
    assert told([make_tuned("mlp", {RATE: 1e-3}, **usual), *trials]) == [
        ("digits", "mlp", 0), ("digits", "mlp (not in the table)", 1),
        ("digits (data old45678)", "mlp", 0), ("digits, first 50 examples", "mlp", 0),
        ("digits", "mlp", 0),
    ]  # fmt: skip


def test_trials_that_saw_less_of_the_data_are_those_of_their_line():
    run, trial = make_tuned("mlp", {RATE: 1e-3}), make_trial("mlp", 0.5, {RATE: 1e-3})
    tune = {**json.loads(trial["tune"]), "limit": 500}
    seen = {"limit": 500, "tune": json.dumps({**tune, "runs_limit": None})}
    of_run = {"tune": json.dumps({**json.loads(run["tune"]), "limit": 500})}
    assert told([run | of_run, trial | seen]) == [("digits", "mlp", 0)]
    # and not those of a line whose trials saw all
    assert told([run, trial | seen]) == [("digits", "mlp (not in the table)", 1)]
