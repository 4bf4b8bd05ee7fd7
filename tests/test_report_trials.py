"""Trials: what was tried, and how it did."""

from __future__ import annotations

import json
from typing import Any

from stored import failed_row, make_row

from harness.report.look import alone
from harness.report.trials import Trial, read_trials, trial_panels
from harness.rows import Row
from harness.store import frame_of


def trial(model: str, rate: float, score: float | None, rung: int = 0, **values: Any) -> Row:
    tune = {"space": {"learning_rate": "1e-4:1e-2:log"}, "budget": 2, "rung": rung, "trial": 0,
            "chosen": {"learning_rate": rate, "model.pool": "mean"}}  # fmt: skip
    usual = {"kind": "trial", "val_accuracy": score, "tune": json.dumps(tune)}
    return make_row(model, **{"accuracy": None, "learning_rate": rate, **usual, **values})


ROWS = [
    trial("mlp", 1e-4, 0.3), trial("mlp", 1e-2, 0.5), trial("mlp", 1e-2, 0.7, rung=1),
    trial("rnn", 1e-4, 0.6),
    failed_row("rnn", kind="trial", tune=json.dumps({"chosen": {"learning_rate": 1e-2}})),
    make_row("mlp"),
]  # fmt: skip


def trials() -> list[Trial]:
    return read_trials(frame_of(ROWS))


def test_trials_are_read_with_what_was_tried():
    found = trials()
    assert [(one.model, one.rung, one.score, one.status) for one in found] == [
        ("mlp", 0, 0.3, "ok"), ("mlp", 0, 0.5, "ok"), ("mlp", 1, 0.7, "ok"),
        ("rnn", 0, 0.6, "ok"), ("rnn", 0, None, "failed"),
    ]  # fmt: skip
    assert found[0].chosen == {"learning_rate": 1e-4, "model.pool": "mean"}
    assert read_trials(frame_of([make_row()])) == []


def test_a_number_has_a_panel_of_its_values_against_validation():
    (panel,) = trial_panels(trials())  # a word has none
    assert panel.title == "digits: learning rate"
    assert "mlp 0.01 (0.700); rnn 0.0001 (0.600)" in panel.description
    axes = alone(panel).axes[0]
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines]  # type: ignore[index]
    assert points == [(1e-4, 0.3), (1e-2, 0.5), (1e-2, 0.7), (1e-4, 0.6)]
    assert axes.get_xscale() == "log"
    # open marks, so that equal points do not hide each other, and a ring around the best
    assert {line.get_markerfacecolor() for line in axes.lines} == {"none"}
    rings = [tuple(map(float, ring.get_offsets()[0])) for ring in axes.collections]  # type: ignore[index]
    assert rings == [(1e-2, 0.7), (1e-4, 0.6)]


def test_only_trials_that_ended_well_are_drawn():
    (panel,) = trial_panels(read_trials(frame_of([
        trial("mlp", 1e-4, 0.3), trial("mlp", 1e-2, 0.9, status="diverged"),
    ])))  # fmt: skip
    assert "mlp 0.0001 (0.300)" in panel.description
    assert len(alone(panel).axes[0].lines) == 1


def test_a_task_without_accuracy_is_judged_by_its_loss():
    rows = [trial("mlp", 1e-3, None, val_loss=0.5), trial("mlp", 1e-2, None, val_loss=0.25)]
    found = read_trials(frame_of(rows))
    assert [(one.score, one.is_loss) for one in found] == [(0.5, True), (0.25, True)]
    (panel,) = trial_panels(found)
    assert "mlp 0.01 (0.250)" in panel.description
    assert alone(panel).axes[0].get_ylabel() == "validation loss"
