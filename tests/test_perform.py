"""A suite that tunes, performed for real: what its rows hold, and what is reused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from performed import runs_of
from stored import make_result, make_row

import harness
from harness import api, index, perform, runner
from harness.cluster import Cluster
from harness.errors import StoreError
from harness.registry import Registry
from harness.store import Store, open_store
from harness.suites import Suite

RECIPE: dict[str, Any] = {"epochs": 2, "limit": 300, "batch_size": 32}
CHOSEN: dict[str, Any] = {"validation": 0.1, "select": "best"}
SUITE = Suite(
    datasets=("digits",), models=("mean_pool[width=4]", "majority"), recipe=RECIPE,
    metrics=("macro_f1",), tune={"learning_rate": "1e-3:1e-1"}, budget=4,
)  # fmt: skip


class Tuned:
    """A store after one command."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.notes: list[str] = []
        self.rows = self.perform(save=True)

    def perform(self, suite: Suite = SUITE, known: Registry | None = None, **options: Any):
        notes = self.notes

        class Listener(runner.Silent):
            def note(self, text: str) -> None:
                notes.append(text)

        rows = perform.perform(
            suite, known or index.open_registry(), store=self.url, listener=Listener(),
            options=perform.Options(in_process=True, **options),
        )  # fmt: skip
        from harness.frames import frame_of

        return frame_of(rows)

    def store(self) -> Store:
        return open_store(self.url)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Iterator[Tuned]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE_DIR", str(shared_cache))
        patch.setenv("HARNESS_PLUGINS", "")
        yield Tuned(f"sqlite:///{tmp_path_factory.mktemp('tuned')}/rows.db")


def of_kind(frame: pd.DataFrame, kind: str, model: str) -> pd.DataFrame:
    return frame.loc[(frame["kind"] == kind) & (frame["model"] == model)]


def told(row: Mapping[Any, Any]) -> dict[str, Any]:
    return json.loads(row["tune"])


def test_each_model_has_had_the_same_trials_and_one_run(done: Tuned):
    rates = [0.001, 0.00464, 0.0215, 0.1]
    for model in ("mean_pool", "majority"):
        trials = of_kind(done.rows, "trial", model)
        first, second = trials.iloc[:4], trials.iloc[4:]
        assert list(first["learning_rate"]) == rates and list(second["epochs"]) == [2, 2]
        assert set(trials["status"]) == {"ok"}, set(trials["error_message"])
        assert set(trials["seed"]) == {10_000}
        (run,) = of_kind(done.rows, "run", model).to_dict("records")
        assert run["status"] == "ok", run["error_message"]
        assert (run["tune_trials"], told(run)["epochs"], run["seed"]) == (4, 8, 0)
        assert (run["validation"], run["selection"]) == (0.1, "best")


def test_the_chosen_rate_is_the_best_on_validation(done: Tuned):
    trials = of_kind(done.rows, "trial", "mean_pool")
    last = trials.loc[trials["epochs"] == 2].sort_values("val_accuracy", ascending=False)
    (run,) = of_kind(done.rows, "run", "mean_pool").to_dict("records")
    assert len(set(trials["val_accuracy"])) > 2  # something to choose between
    assert run["learning_rate"] == last["learning_rate"].iloc[0]
    assert told(run)["chosen"] == {"learning_rate": run["learning_rate"]}
    assert told(run)["val_accuracy"] == last["val_accuracy"].iloc[0]


def test_no_trial_has_read_the_test_set_or_kept_anything_of_it(done: Tuned):
    trials = done.rows.loc[done.rows["kind"] == "trial"]
    columns = [name for name in trials if name.startswith("test_")]
    assert columns == ["test_accuracy", "test_loss", "test_macro_f1"]
    assert trials[columns].isna().all(axis=None)
    assert done.rows.loc[done.rows["kind"] == "run", columns].notna().all(axis=None)
    with done.store() as store:
        names = {n for r in store.results() if r.row["kind"] == "trial" for n in r.arrays}
        kept = {n for r in store.results() if r.row["kind"] == "run" for n in r.arrays}
    assert "train_loss" in names and "test_predicted" in kept
    assert not [name for name in names if name.startswith("test_")]
    # nor are parameters kept that nobody is going to ask
    assert names < kept and trials["saved_bytes"].isna().all()
    assert done.rows.loc[done.rows["kind"] == "run", "saved_bytes"].notna().all()


def test_a_tuned_run_is_the_run_that_its_values_make(done: Tuned):
    (run,) = of_kind(done.rows, "run", "mean_pool").to_dict("records")
    plain = harness.run(
        "digits", "mean_pool[width=4]", learning_rate=run["learning_rate"], in_process=True,
        **RECIPE, **CHOSEN,
    ).iloc[0]  # fmt: skip
    assert plain["params_hash"] == run["params_hash"]
    assert plain["run_key"] != run["run_key"] and plain["tune_trials"] == 0


def test_resume_reuses_all_of_it_and_a_new_seed_the_trials(done: Tuned):
    again = done.perform(resume=True, save=True)
    assert list(again["run_id"]) == list(done.rows["run_id"])
    suite = perform.replace(SUITE, models=("majority",), seeds=(0, 1))
    more = done.perform(suite, resume=True)
    old = set(done.rows["run_id"])
    assert [r["seed"] for r in more.to_dict("records") if r["run_id"] not in old] == [1]


def test_rerun_failed_leaves_out_what_is_only_missing(done: Tuned):
    suite = perform.replace(SUITE, models=("mean_pool[width=4]", "mlp"))
    rows = done.perform(suite, rerun="failed")
    assert set(rows["model"]) == {"mean_pool"}
    assert set(rows["run_id"]) <= set(done.rows["run_id"])
    assert done.notes[-1].startswith("1 cell of the plan left out: not failed")


def test_what_python_is_given_is_tuned(monkeypatch: pytest.MonkeyPatch):
    asked: list[Suite] = []

    def listen(suite: Suite, known: Registry, **_: Any) -> list[dict]:
        asked.append(suite)
        return []

    monkeypatch.setattr(api, "perform", listen)
    harness.run("digits", "majority", tune="learning_rate", **RECIPE)
    harness.run("digits", "mlp", tune=["model.units=8:16"], budget=3, **RECIPE)
    harness.run("digits", "mlp", tune={"model.units": "8:16", "learning_rate": ""}, **RECIPE)
    assert [(suite.tune, suite.budget) for suite in asked] == [
        ({"learning_rate": ""}, None), ({"model.units": "8:16"}, 3),
        ({"model.units": "8:16", "learning_rate": ""}, None),
    ]  # fmt: skip
    with pytest.raises(harness.UsageError, match="learning_rate is tuned and has a value"):
        harness.run("digits", "mlp", tune="learning_rate", learning_rate=0.1)
    with pytest.raises(harness.UsageError, match=r"tune has \(0.1, 1.0\); expected texts"):
        harness.run("digits", "mlp", tune={"learning_rate": (0.1, 1.0)})  # type: ignore[dict-item]


def test_a_store_that_fails_meanwhile_has_nothing_and_costs_no_run():
    class Failing:
        def states(self, runs: Any) -> Any:
            raise StoreError("store x: the disk is gone")

    notes: list[str] = []
    assert perform._stored(Failing(), notes.append, []) == {}  # type: ignore[arg-type]
    assert notes == ["store x: the disk is gone; what it has stored is measured again"]


def test_a_run_that_ends_while_a_command_resumes_is_taken_up_and_not_begun_anew(
    known: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its planned line goes with its row, which a cluster's worker may store at any moment."""
    (run,) = runs_of(known, "mean_pool")
    options = perform.Options(resume=True, cluster=Cluster(scheduler="tcp://nowhere:1"))
    choose, begun = perform.choose_runs, []

    def slowly(*asked: Any, **more: Any):
        found = choose(*asked, **more)
        store.add(make_result(make_row(run_id="planned-then", run_key=run.run_key)))
        return found

    monkeypatch.setattr(perform, "choose_runs", slowly)
    performer = runner.Performer(
        name="dask", execute=lambda run, log, heard: begun.append(run.run_id)
    )
    with open_store(f"sqlite:///{tmp_path}/rows.db") as store:
        store.plan([{**runner.planned(run), "run_id": "planned-then"}])
        perform._perform_runs(
            [run], store, perform.Place(performer), options, lambda result: None,
            runner.Silent(),
        )  # fmt: skip
    assert begun == ["planned-then"]
