from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
from flax import nnx
from small import Heard, arrays, token_data

import harness
from harness import plan, plugins, registry, suites
from harness.checkpoints import Checkpoint
from harness.contention import watched
from harness.entries import Failure, Source
from harness.errors import Diverged, Unavailable
from harness.events import Ended, Note
from harness.execute import Settings, ended, execute, keep_checkpoints
from harness.paths import checkpoint_folder
from harness.progress import note
from harness.recipe import Recipe
from harness_plugins.multi_label import multi_label

SOURCE = Source(name="here", origin="session", target="here", version="1", source_hash="0")

TUNED = {"space": {"learning_rate": "0.1:1:log"}, "budget": 2, "trial": 0, "chosen": {}}


class Mean(nnx.Module):
    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs):
        assert data.vocab_size is not None
        self.embed = nnx.Embed(data.vocab_size, data.num_classes, rngs=rngs)

    def __call__(self, tokens):
        return self.embed(tokens).mean(axis=1)


def small() -> harness.Dataset:
    note("a note on the data")
    return token_data()


def nothing():
    return {"x": 1}


def make(dataset=small, more=(), **asked) -> tuple[plan.Run, registry.Registry]:
    """A run of a small data set, with what else is registered and asked for."""
    named: list[tuple[Any, str, Any]] = [
        ("model", "mean", Mean), ("dataset", "small", dataset), *more,
    ]  # fmt: skip
    entries = [plugins.make_entry(*entry, source=SOURCE) for entry in named]
    known = registry.join([(SOURCE, entries)])
    recipe = {"epochs": 1, "batch_size": 32, **asked.pop("recipe", {})}
    asked = {"datasets": ("small",), "models": ("mean",), **asked}
    suite = suites.Suite(recipe=recipe, **asked)
    return plan.expand(suite, known, key_parts={})[0], known


def last(heard: Heard) -> Ended:
    return next(e for e in heard.events if isinstance(e, Ended))


def test_a_run_ends_ok_and_passes_notes_on():
    run, known = make()
    heard = Heard()
    execute(run, known, heard)
    assert last(heard) == Ended("ok")
    assert Note("a note on the data") in heard.events
    assert heard.measured["data_fingerprint"] == "small"


def test_a_data_set_that_returns_something_else_is_named(capsys):
    run, known = make(nothing)
    heard = Heard()
    execute(run, known, heard)
    assert last(heard).error_message == (
        "data set 'small' returned dict; expected a harness.Dataset"
    )
    assert "Traceback" in capsys.readouterr().err  # the log has the whole story


def test_a_plugin_that_no_longer_loads_is_named(capsys):
    run, known = make()
    failure = Failure(source=SOURCE, error_type="OSError", message="gone", traceback="")
    heard = Heard()
    execute(run, replace(known, entries={}, failures=(failure,)), heard)
    assert last(heard).error_message == "plugin here failed to load: OSError: gone"


def test_an_unusable_batch_size_is_a_failure_of_one_line(capsys):
    run, known = make()
    heard = Heard()
    execute(replace(run, recipe=Recipe(batch_size=1000)), known, heard)
    assert last(heard).status == "failed"
    assert "use at most 100" in last(heard).error_message


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (None, False),
        (ValueError("no"), False),
        (MemoryError(), True),
        (OSError(28, "No space left on device"), True),
        (KeyboardInterrupt(), True),
    ],
)
def test_a_checkpoint_is_thrown_away_at_an_end_that_would_only_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException | None, kept: bool
):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    run, _ = make()
    with (
        suppress(Exception, KeyboardInterrupt),
        keep_checkpoints(run, Settings(1e-9), lambda event: None) as own,
    ):
        assert own is not None
        own.write(1, Checkpoint({"state": {"a": jax.numpy.ones(3)}}, {}))
        if error is not None:
            raise error
    folder = checkpoint_folder(run.run_key)
    assert any(path.name.isdigit() for path in folder.glob("*")) == kept


def test_a_checkpoint_is_taken_up_also_by_a_run_that_writes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    run, _ = make()
    with keep_checkpoints(run, Settings(0.0, resume=True), lambda event: None) as own:
        assert own is not None and own.resume and not own.due()
    with keep_checkpoints(run, Settings(0.0), lambda event: None) as own:
        assert own is None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (harness.Unsupported("x"), "skipped"),
        (Unavailable("x"), "unavailable"),
        (Diverged("x"), "diverged"),
        (MemoryError("x"), "oom"),
        (RuntimeError("RESOURCE_EXHAUSTED: out of memory"), "oom"),
        (ValueError("x"), "failed"),
        (SystemExit(2), "failed"),
    ],
)
def test_an_exception_decides_the_status(error: BaseException, status: str):
    assert ended(error).status == status
    assert ended(error).error_type == type(error).__name__


@pytest.mark.parametrize(
    ("kind", "tune", "advice"),
    [
        ("run", None, "; try a smaller --learning-rate"),
        ("run", {**TUNED, "space": {"batch_size": "8:16"}}, "; try a smaller --learning-rate"),
        ("run", TUNED, "; tune smaller values of learning_rate"),
        ("trial", TUNED, ""),
    ],
)
def test_what_diverged_is_advised_what_its_command_takes(
    kind: Any, tune: dict | None, advice: str, monkeypatch: pytest.MonkeyPatch
):
    def diverge(*_: object) -> None:
        raise Diverged("training loss nan at step 3")

    monkeypatch.setattr("harness.execute._execute", diverge)
    run, known = make()
    heard = Heard()
    execute(replace(run, kind=kind, tune=tune), known, heard)
    assert last(heard).error_message == f"training loss nan at step 3{advice}"


class Picky(Mean):
    def __init__(self, data: harness.DataSpec, *, width: int = 3, rngs: nnx.Rngs):
        raise harness.UsageError(f"width={width} is odd; use one of 2, 4")


@pytest.mark.parametrize(
    ("kind", "key", "status", "error_type"),
    [
        ("run", "model.width", "failed", "UsageError"),
        ("trial", "learning_rate", "failed", "UsageError"),
        ("trial", "model.width", "skipped", "RefusedValue"),
    ],
)
def test_a_value_that_a_model_refuses_fails_unless_tuning_tries_it(
    kind: Any, key: str, status: str, error_type: str, capsys: pytest.CaptureFixture[str]
):
    run, known = make(models=("picky",), more=[("model", "picky", Picky)])
    heard = Heard()
    execute(replace(run, kind=kind, tune={**TUNED, "space": {key: "2:3"}}), known, heard)
    assert last(heard) == Ended(status, error_type, "width=3 is odd; use one of 2, 4")
    assert "in __init__" in capsys.readouterr().err


def test_times_are_comparable_unless_another_run_went_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("harness.execute.default_folder", lambda: tmp_path)
    alone, beside = Heard(), Heard()
    execute(*make(), alone)
    with watched(tmp_path) as shared:
        execute(*make(), beside)
        assert shared()
    assert alone.measured["timing_comparable"] is True
    assert beside.measured["timing_comparable"] is False


# what else plugins bring


def several() -> harness.Dataset:
    data = token_data()
    train, test = (
        {"x": split["x"], "y": np.stack([split["y"], 1 - split["y"]], axis=1)}
        for split in (arrays(data.train), arrays(data.test))
    )
    return harness.Dataset(train, test, replace(data.spec, task="several"))


def share(predictions: harness.Predictions, *, of: float = 0.5) -> float:
    return float((predictions.probabilities > of).mean())


class Diary:
    rows: list[dict] = []

    @harness.hookimpl
    def run_start(self, run) -> None:
        Diary.rows = [dict(run)]

    @harness.hookimpl
    def run_end(self, row) -> None:
        Diary.rows.append(dict(row))


def test_the_task_that_the_spec_names_is_the_one_that_is_learnt():
    run, known = make(several, [("task", "several", multi_label)])
    heard = Heard()
    execute(run, known, heard)
    assert last(heard) == Ended("ok")
    assert heard.measured["task"] == "several"
    assert json.loads(heard.measured["other_plugins"]) == {"task several": "here==1"}
    assert heard.arrays["test_predicted"].shape == (37, 2)


def test_a_task_that_nobody_registers_is_named():
    run, known = make(several, [("task", "sever", multi_label)])
    heard = Heard()
    execute(run, known, heard)
    assert last(heard).error_message == (
        "data set 'small' has the task 'several'; did you mean 'sever'? known tasks: "
        "classification, sever"
    )


def test_a_task_is_a_task():
    run, known = make(several, [("task", "several", nothing)])
    heard = Heard()
    execute(run, known, heard)
    assert "task 'several' returned dict; expected a harness.Task" in last(heard).error_message


def test_metrics_and_the_optimizer_get_their_parameters():
    rates = []

    def own(learning_rate, *, scale: float = 1.0):
        rates.append((learning_rate, scale))
        return optax.sgd(learning_rate * scale)

    run, known = make(
        small, [("metric", "share", share), ("optimizer", "own", own)],
        metrics=("share", "share[of=0]"), recipe={"optimizer": "own[scale=0.5]"},
    )  # fmt: skip
    heard = Heard()
    execute(run, known, heard)
    # made once to be checked, and again where the rate is traced
    assert rates[0] == (1e-3, 0.5) and {scale for _, scale in rates} == {0.5}
    found = json.loads(heard.measured["metrics"])
    assert found == {"test_share": pytest.approx(0.5, abs=0.01), "test_share[of=0]": 1.0}


@pytest.mark.parametrize(("dataset", "status"), [(small, "ok"), (nothing, "failed")])
def test_an_observer_hears_how_a_run_ended(dataset, status: str):
    run, known = make(dataset, [("observer", "diary", Diary)], observers=("diary",))
    heard = Heard()
    execute(run, known, heard)
    started, ended = Diary.rows
    assert started["run_id"] == ended["run_id"] == run.run_id
    assert (ended["status"], last(heard).status) == (status, status)
    assert ended["test_accuracy"] == heard.measured.get("test_accuracy")
    assert heard.measured["observer_s"] > 0


def test_an_observer_that_cannot_be_made_costs_itself_alone():
    def broken():
        raise OSError("disk full")

    run, known = make(small, [("observer", "broken", broken)], observers=("broken",))
    heard = Heard()
    execute(run, known, heard)
    assert last(heard) == Ended("ok")
    text = "observer broken cannot be made and hears nothing: OSError: disk full"
    assert Note(text) in heard.events
