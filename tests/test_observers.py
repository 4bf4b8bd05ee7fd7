"""Observers hear of a run in order, between its steps, and cost it nothing but time."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from small import Bag, Heard, token_data

import harness
from harness.assemble import build_model
from harness.engine import fit
from harness.errors import PluginError
from harness.observers import HOOKS, Observers
from harness.recipe import Recipe


class Notes:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    @harness.hookimpl
    def run_start(self, run) -> None:
        self.heard.append(("start", run["run_id"]))

    @harness.hookimpl
    def chunk_end(self, step, losses, seconds) -> None:
        self.heard.append(("chunk", step, len(losses), losses.dtype, seconds > 0))

    @harness.hookimpl
    def evaluation_end(self, epoch, values) -> None:
        self.heard.append(("evaluation", epoch, values["test_accuracy"]))

    @harness.hookimpl
    def run_end(self, row) -> None:
        self.heard.append(("end", row["status"]))


class Picky:
    """Wants one hook and one of its arguments."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    @harness.hookimpl
    def chunk_end(self, step) -> None:
        self.steps.append(step)


class Breaks(Picky):
    @harness.hookimpl
    def chunk_end(self, step) -> None:
        super().chunk_end(step)
        raise ValueError("disk full")


def train(observers: Observers) -> Heard:
    heard = Heard()
    data = token_data()
    recipe = Recipe(epochs=2, batch_size=16)
    model = build_model(Bag, data.spec, {}, seed=0)
    fit(model, data, recipe, seed=0, emit=heard, watched=observers)
    return heard


def test_a_training_is_heard_chunk_by_chunk_and_epoch_by_epoch():
    notes, picky = Notes(), Picky()
    observers = Observers({"notes": notes, "picky": picky}, note=print)
    observers.run_start(run={"run_id": "r"})
    heard = train(observers)
    observers.run_end(row={"status": "ok"})
    float32 = np.dtype("float32")
    accuracies = [epoch["test_accuracy"] for epoch in heard.epochs]
    assert notes.heard == [
        ("start", "r"),
        ("chunk", 6, 6, float32, True),
        ("evaluation", 1, accuracies[0]),
        ("chunk", 12, 6, float32, True),
        ("evaluation", 2, accuracies[1]),
        ("end", "ok"),
    ]
    assert picky.steps == [6, 12]
    assert heard.measured["observer_s"] > 0


def test_an_observer_changes_no_result():
    plain, watched = (
        train(Observers({}, note=print)),
        train(Observers({"n": Notes()}, note=print)),
    )
    assert plain.measured["params_hash"] == watched.measured["params_hash"]
    assert plain.measured["hlo_hash"] == watched.measured["hlo_hash"]


def test_an_observer_that_raises_is_told_once_and_the_others_go_on(capsys):
    told: list[str] = []
    breaks, picky = Breaks(), Picky()
    train(Observers({"breaks": breaks, "picky": picky}, note=told.append))
    assert told == [
        "observer breaks failed in chunk_end and hears nothing more: ValueError: disk full"
    ]
    assert (breaks.steps, picky.steps) == ([6], [6, 12])
    assert "Traceback" in capsys.readouterr().err


class Leaves:
    @harness.hookimpl
    def run_end(self) -> None:
        raise SystemExit(3)


def test_an_observer_that_calls_exit_does_not_end_the_run(capsys):
    told: list[str] = []
    Observers({"leaves": Leaves()}, note=told.append).run_end(row={})
    assert told == ["observer leaves failed in run_end and hears nothing more: SystemExit: 3"]


class Misspelt:
    @harness.hookimpl
    def chunk_ends(self, step) -> None: ...


class Demanding:
    @harness.hookimpl
    def chunk_end(self, gradients) -> None: ...


class Silent:
    def chunk_end(self, step) -> None: ...


@pytest.mark.parametrize(
    ("observer", "message"),
    [
        (
            Misspelt(),
            "observer o: unknown hook 'chunk_ends'.*the hooks are run_start, chunk_end",
        ),
        (Demanding(), "gradients"),
        (Silent(), "observer o has no hook; mark a method of run_start"),
    ],
)
def test_an_observer_that_could_never_hear_is_refused(observer, message: str):
    with pytest.raises(PluginError, match=message):
        Observers({"o": observer}, note=print)


class Slow:
    """Lets a thousand seconds pass on the clock each time."""

    passed = 0.0

    @harness.hookimpl
    def chunk_end(self) -> None:
        Slow.passed += 1000

    @harness.hookimpl
    def evaluation_end(self) -> None:
        Slow.passed += 1000


def test_the_time_of_observers_is_in_no_other_column(monkeypatch: pytest.MonkeyPatch):
    real = time.perf_counter
    monkeypatch.setattr(time, "perf_counter", lambda: real() + Slow.passed)
    measured = train(Observers({"slow": Slow()}, note=print)).measured
    assert 4000 <= measured["observer_s"] < 5000
    assert measured["train_s"] + measured["eval_s"] < 1000
    assert measured["first_step_ms"] < 1e6 and measured["step_ms_p90"] < 1e6
    # of all the time between the first chunk and the last
    assert measured["host_overhead_pct"] < 99


def test_the_hooks_are_in_the_order_of_a_runs_life():
    assert HOOKS == ("run_start", "chunk_end", "evaluation_end", "run_end")
