"""What stands for a planned run, and what does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from stored import failed_row, make_row, npy

from harness import index, plan, resume, runner, suites
from harness.fingerprints import Now
from harness.plan import Run
from harness.resume import State
from harness.rows import Result
from harness.store import Store, open_store

MACHINE = {"host": "here", "jax_version": "1"}


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/rows.db") as opened:
        yield opened


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data and device of now, without the child that looks."""
    monkeypatch.setattr(resume, "now_of", lambda data: [Now("print", "cpu") for _ in data])


def runs(machine: dict[str, str] = MACHINE, *, vmapped: int = 1, **recipe: Any) -> list[Run]:
    suite = suites.Suite(
        datasets=("digits",), models=("mean_pool", "majority"), recipe={"epochs": 4, **recipe},
        seeds=tuple(range(vmapped)), vmap_seeds=vmapped > 1,
    )  # fmt: skip
    return plan.expand(suite, index.open_registry(), key_parts=machine)


def row(run: Run, **values: Any) -> Result:
    measured = {
        "run_id": run.run_id, "status": "ok", "data_fingerprint": "print", "device_kind": "cpu",
        "data_s": 1.0, "compile_s": 2.0, "train_s": 8.0, "eval_s": 4.0,
    }  # fmt: skip
    return Result(row=make_row(**{**run.to_row(), **measured, **values}))


def words(found: list[State]) -> list[tuple[str, tuple[str, ...]]]:
    return [(state.word, state.reasons) for state in found]


def test_nothing_stands_for_what_was_never_run(store: Store):
    assert words(resume.states(runs(), store)) == [("missing", ("never run",))] * 2


def test_an_ok_row_of_the_key_stands_for_its_run(store: Store):
    first, second = runs()
    store.add(row(first))
    found = resume.states(runs(), store)
    assert [s.word for s in found] == ["stored", "missing"]
    assert found[0].row is not None and found[0].row["run_id"] == first.run_id
    assert found[0].estimate_s == pytest.approx(resume.START_S + 15)


def test_a_row_without_the_parameters_that_are_wanted_stands_for_nothing(store: Store):
    first, _ = runs()
    store.add(row(first))
    assert resume.states(runs(), store)[0].word == "stored"
    found = resume.states(runs(), store, save=True)
    assert words(found)[0] == ("stale", ("its parameters are not kept",))
    store.add(row(replace(first, run_id="saved"), saved_bytes=8))
    store.add(row(replace(first, run_id="later")))
    state = resume.states(runs(), store, save=True)[0]
    assert state.word == "stored" and state.row is not None
    assert state.row["run_id"] == "saved"


@pytest.mark.parametrize("status", ["failed", "timeout", "oom", "diverged", "interrupted"])
def test_a_failure_is_never_taken_for_a_result(store: Store, status: str):
    first, _ = runs()
    store.add(row(first, status=status, error_type="E", error_message="why"))
    assert words(resume.states(runs(), store))[0] == ("missing", (f"{status}: E: why",))
    store.add(row(replace(first, run_id="later")))
    assert resume.states(runs(), store)[0].word == "stored"
    store.add(row(replace(first, run_id="latest"), status=status))
    assert resume.states(runs(), store)[0].word == "stored"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"data_fingerprint": "old"}, "data old -> print"),
        ({"device_kind": "H100"}, "device H100 -> cpu"),
    ],
)
def test_a_row_of_other_data_or_another_device_is_stale(store: Store, values, why: str):
    first, _ = runs()
    store.add(row(first, **values))
    assert words(resume.states(runs(), store))[0] == ("stale", (why,))


def test_a_row_of_another_key_is_stale_and_says_which_part_differs(store: Store):
    first, _ = runs(machine={**MACHINE, "jax_version": "0.9", "host": "there"})
    store.add(row(first))
    [(word, reasons), _] = words(resume.states(runs(), store))
    assert word == "stale"
    assert sorted(reasons) == ["machine.host there -> here", "machine.jax_version 0.9 -> 1"]


def test_a_changed_plugin_is_named(store: Store):
    first, _ = runs()
    source = replace(first.model.source, source_hash="a" * 64)
    other = replace(first, model=replace(first.model, source=source), run_key="other")
    parts = json.loads(json.dumps(first.key_parts))
    parts["model"]["source"]["source_hash"] = "a" * 64
    store.add(row(replace(other, key_parts=parts)))
    [(word, (why,)), _] = words(resume.states(runs(), store))
    assert word == "stale" and why.startswith("model.source.source_hash aaaaaaaa -> ")


def test_a_row_of_an_older_harness_is_stale(store: Store):
    first, _ = runs()
    store.add(row(replace(first, run_key="other"), key_parts=None))
    [(word, (why,)), _] = words(resume.states(runs(), store))
    assert word == "stale" and "older harness" in why


def test_another_recipe_or_seed_is_another_cell(store: Store):
    first, _ = runs(learning_rate=0.5)
    store.add(row(first))
    store.add(row(replace(runs()[0], run_id="s", run_key="s", seed=7)))
    assert words(resume.states(runs(), store))[0] == ("missing", ("never run",))


def test_a_planned_run_that_left_no_row_says_when_it_was_planned(store: Store):
    store.plan([runner.planned(runs()[0])])
    [(word, (why,)), _] = words(resume.states(runs(), store))
    assert word == "missing" and why.startswith("planned 20") and "left no row" in why


def test_a_lost_run_stays_lost_when_another_recipe_is_planned(store: Store):
    store.plan([runner.planned(runs()[0])])
    store.plan([runner.planned(runs(learning_rate=0.5)[0])])
    assert [x["run_key"] for x in store.lost()] == [
        runs()[0].run_key, runs(learning_rate=0.5)[0].run_key,
    ]  # fmt: skip
    store.plan([runner.planned(runs()[0])])  # anew: that is what it takes
    assert len(store.lost()) == 2


def test_what_it_would_be_measured_on_is_told_where_a_result_made_it_worth_a_look(store: Store):
    first, second = runs()
    assert [s.now for s in resume.states([first, second], store)] == [None, None]
    store.add(row(first))
    # both runs are of one data set
    assert [s.now for s in resume.states([first, second], store)] == [Now("print", "cpu")] * 2


def test_time_is_estimated_from_the_same_entries_by_epochs(store: Store):
    first, _ = runs(epochs=8)
    store.add(row(first))
    found = resume.states(runs(), store)
    assert found[0].estimate_s == pytest.approx(resume.START_S + 3 + 12 / 2)
    assert found[1].estimate_s is None


@pytest.mark.parametrize(
    ("before", "after", "steps", "times"),
    [
        # 1,600 examples in 50 batches of 32, 8 epochs of which took 8 seconds
        ({}, {"limit": 160}, 400, 0.1),
        ({}, {"limit": 5000}, 400, 1.0),
        ({"limit": 320}, {"limit": 160}, 80, 0.5),
        ({"limit": 320}, {}, 80, None),  # nobody knows how many there are
        ({"limit": 5000}, {"limit": 9000}, 400, 1.0),  # it saw all of them
        ({"limit": 5000}, {}, 400, 1.0),
        ({"validation": 0.5}, {"limit": 800}, 200, 1.0),
        ({"validation": 0.5}, {}, 200, 2.0),
        ({"validation": 0.5}, {"validation": 0.5, "limit": 800}, 200, 0.5),
        ({}, {"limit": 160}, None, None),  # no losses are stored
    ],
)
def test_time_is_estimated_by_examples(
    store: Store, before: dict[str, Any], after: dict[str, Any], steps: int | None,
    times: float | None,
):  # fmt: skip
    size = {"batch_size": 32}
    first, _ = runs(epochs=8, **size, **before)
    losses = {} if steps is None else {"train_loss": npy([0.0] * steps)}
    store.add(replace(row(first), arrays=losses))
    told = resume.states(runs(**size, **after), store)[0].estimate_s
    expected = None if times is None else pytest.approx(resume.START_S + 3 + 12 * times / 2)
    assert told == expected


def test_a_small_run_takes_no_estimate_from_whole_ones(store: Store):
    whole, _ = runs(epochs=8)
    small, _ = runs(epochs=2, limit=10)
    store.add(row(whole))
    store.add(row(small, train_s=0.1))
    told = resume.states(runs(), store)[0].estimate_s
    assert told == pytest.approx(resume.START_S + 3 + 12 / 2)


def test_a_failed_row_gives_no_estimate(store: Store):
    store.add(Result(row=failed_row("mean_pool", dataset="digits", train_s=1.0)))
    assert resume.states(runs(), store)[0].estimate_s is None


def test_seeds_of_one_program_share_the_time_that_it_takes(store: Store):
    asked = runs(vmapped=3)[:3]
    for run in asked:
        store.add(row(run))
    assert asked[0].to_row()["vmap_seeds"] == 3
    told = [state.estimate_s for state in resume.states(asked, store)]
    assert told == [pytest.approx((resume.START_S + 15) / 3)] * 3


def test_a_row_from_before_there_were_trials_is_of_the_same_cell(store: Store):
    first, _ = runs()
    assert "kind" not in first.key_parts and "tune" not in first.key_parts
    older = {"run_key": "older", "kind": None, "tune": None, "tune_trials": None}
    parts = json.dumps({**first.key_parts, "seed": 0, "machine": {**MACHINE, "host": "there"}})
    store.add(row(first, **older, key_parts=parts))
    assert words(resume.states(runs(), store))[0] == ("stale", ("machine.host there -> here",))


def test_a_tuned_row_is_of_another_cell_than_an_untuned_run(store: Store):
    first, _ = runs()
    tune = {"space": {"learning_rate": "0.0001:0.01:log"}, "budget": 4}
    tuned = replace(first, run_key="tuned", tune=tune)
    store.add(row(tuned, status="failed"))
    assert words(resume.states([first], store)) == [("missing", ("never run",))]
    later = replace(tuned, run_key="later", key_parts={"seed": 1})
    assert resume.states([later], store)[0].word == "stale"
    for changes in ({"budget": 8}, {"limit": 500}):
        other = replace(later, tune={**tune, **changes})
        assert resume.states([other], store)[0].word == "missing"
