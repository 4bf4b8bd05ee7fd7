"""Which trials and runs the cells of a suite are given."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kit import NET, POOL, WORDS, registry_of
from stored import make_row

from harness.cli.plan import budgets
from harness.entries import Entry, Parameter
from harness.errors import UsageError
from harness.plan import run_from_json, run_to_json
from harness.suites import Suite
from harness.tuning import TRIAL_SEED, TunedCell, tuned_cells

OPTIMIZER = Entry(
    kind="optimizer", name="adamw", source=NET.source,
    parameters=(Parameter(name="decay", type="float", default=0.1),),
    variants={"none": {"decay": 0.0}},
)  # fmt: skip
LEARNING_RATE = {"learning_rate": ""}


def cells_of(
    *models: str, tune: dict[str, str] = LEARNING_RATE, budget: int | None = 4, **changes: Any
) -> list[TunedCell]:
    suite = Suite(
        **{"datasets": ("words",), "models": models, "recipe": {"epochs": 2}, **changes},
        tune=tune, budget=budget,
    )  # fmt: skip
    known = registry_of(NET, POOL, WORDS, OPTIMIZER)
    return tuned_cells(suite, known, key_parts={"host": "here"})


def noted(*models: str, tune: dict[str, str]) -> tuple[list[TunedCell], list[str]]:
    notes: list[str] = []
    suite = Suite(datasets=("words",), models=models, tune=tune, budget=4)
    known = registry_of(NET, POOL, WORDS)
    return tuned_cells(suite, known, key_parts={}, note=notes.append), notes


def values(cell: TunedCell) -> list[dict[str, Any]]:
    return [one.values for one in cell.configurations]


def test_every_model_is_given_the_same_trials():
    cells = cells_of("net", "net:wide", "pool")
    rates = [0.0001, 0.000464, 0.00215, 0.01]
    for cell in cells:
        assert [trial.recipe.learning_rate for trial in cell.first] == rates
        assert {trial.seed for trial in cell.first} == {TRIAL_SEED}
        assert [(rung.trials, rung.epochs) for rung in cell.rungs] == [(4, 1), (2, 2)]
        assert cell.count == 4 + 2 + 1


def test_a_key_that_a_model_lacks_leaves_it_the_same_values_of_the_others():
    tune = {**LEARNING_RATE, "model.rate": "0.0:0.3", "model.width": "4:64:log"}
    (net, pool), notes = noted("net", "pool", tune=tune)
    assert [v["learning_rate"] for v in values(net)] == [
        v["learning_rate"] for v in values(pool)
    ]
    assert [v["model.width"] for v in values(net)] == [v["model.width"] for v in values(pool)]
    assert all("model.rate" not in v for v in values(pool))
    assert list(pool.space) == ["learning_rate", "model.width"]
    assert notes == ["model.rate is left out for what has no such parameter: pool"]
    assert [t.model.params for t in net.first] == [
        {"width": v["model.width"], "rate": v["model.rate"]} for v in values(net)
    ]


def test_a_variant_keeps_what_it_stands_for():
    (net, wide), notes = noted("net", "net:wide", tune={**LEARNING_RATE, "model.width": "4:8"})
    assert "model.width" in net.space and "model.width" not in wide.space
    assert {trial.model.params["width"] for trial in wide.first} == {64}
    assert notes == ["model.width is left out for variants that fix it: net:wide"]


def test_a_model_that_has_none_of_the_keys_is_not_tuned():
    (_, pool), _ = noted("net", "pool", tune={"model.rate": "0.0:0.3"})
    (run,) = pool.first
    assert (run.kind, run.tune, run.to_row()["tune_trials"]) == ("run", None, 0)
    assert (pool.count, run.recipe.validation) == (1, 0.1)


def test_the_same_values_again_are_trained_with_another_seed():
    tune = {"schedule": "constant,linear", "model.rate": "0.0:0.3"}
    (_, pool), _ = noted("net", "pool", tune=tune)
    tried = [(trial.recipe.schedule, trial.seed - TRIAL_SEED) for trial in pool.first]
    assert sorted(tried) == [("constant", 0), ("constant", 1), ("linear", 0), ("linear", 1)]


def test_a_trial_has_the_epochs_of_its_rung_and_a_key_of_its_own():
    (cell,) = cells_of("net")
    early, late, (run,) = cell.trial(0, 2), cell.trial(1, 2), cell.runs(2)
    assert (early.recipe.epochs, late.recipe.epochs, run.recipe.epochs) == (1, 2, 2)
    assert len({early.run_key, late.run_key, run.run_key}) == 3
    assert cell.trial(0, 2).run_key == early.run_key
    row = early.to_row()
    assert (row["kind"], row["tune_trials"], row["epochs"]) == ("trial", 0, 1)
    assert json.loads(row["tune"]) == {
        "space": {"learning_rate": "0.0001:0.01:log"}, "budget": 4, "rung": 0, "trial": 2,
        "chosen": {"learning_rate": 0.00215},
    }  # fmt: skip
    assert early.label == "words x net, trial 2, 1 epoch, learning_rate=0.00215"
    assert run_from_json(json.loads(json.dumps(run_to_json(early)))) == early


def test_trials_may_see_less_of_the_data_than_the_runs():
    (cell,) = cells_of("net", tune_limit=500)
    trial, (run,) = cell.trial(1, 2), cell.runs(2)
    assert (trial.recipe.limit, run.recipe.limit) == (500, None)
    assert (trial.tune or {})["limit"] == (run.tune or {})["limit"] == 500
    (whole,) = cells_of("net")
    assert trial.run_key != whole.trial(1, 2).run_key
    assert "limit" not in (whole.trial(1, 2).tune or {})  # keys of before stay as they were
    (few,) = cells_of("net", tune_limit=500, recipe={"epochs": 2, "limit": 100})
    assert few.trial(0, 0).recipe.limit == few.runs(0)[0].recipe.limit == 100
    assert (trial.tune or {})["runs_limit"] is None
    assert (few.trial(0, 0).tune or {})["runs_limit"] == 100


def test_a_plan_gives_trials_no_more_examples_than_their_runs():
    recipe = {"epochs": 2, "limit": 100}
    (few,), (whole,) = cells_of("net", tune_limit=500, recipe=recipe), cells_of("net")
    (part,) = cells_of("net", tune_limit=500)
    assert budgets([few]) == [
        "1 cell: 6 trials, 8 epochs of training on the first 100 examples at most, then 1 run"
    ]
    assert "training on the first 500 examples at most, then" in budgets([part])[0]
    assert "8 epochs of training, then" in budgets([whole])[0]


def test_the_runs_have_the_chosen_values_and_say_what_they_cost():
    (cell,) = cells_of("net", seeds=(0, 1), tune={**LEARNING_RATE, "model.width": "4:8"})
    chosen = values(cell)[3]
    rows = {
        (0, 0): make_row(kind="trial", epochs=1, status="diverged"),
        (0, 1): make_row(kind="trial", epochs=1, status="ok"),
        (0, 2): make_row(kind="trial", epochs=1, status="ok"),
        (0, 3): make_row(kind="trial", epochs=1, status="ok", val_accuracy=0.1),
        (1, 2): make_row(kind="trial", epochs=2, status="failed"),
        (1, 3): make_row(kind="trial", epochs=2, status="ok", val_accuracy=0.9, val_loss=0.5),
    }
    runs = cell.runs(3, rows)
    assert [run.seed for run in runs] == [0, 1]
    for run in runs:
        assert run.recipe.learning_rate == chosen["learning_rate"]
        assert run.model.params["width"] == chosen["model.width"]
        row = run.to_row()
        assert (row["kind"], row["tune_trials"]) == ("run", 4)
        assert json.loads(row["tune"]) == {
            "space": {"learning_rate": "0.0001:0.01:log", "model.width": "4:8:linear"},
            "budget": 4, "rungs": [[4, 1], [2, 2]], "epochs": 5, "ok": 2, "chosen": chosen,
            "at_end": cell.at_end(3), "val_accuracy": 0.9, "val_loss": 0.5,
        }  # fmt: skip


def test_what_a_trial_came_to_is_no_part_of_a_runs_key_but_the_space_is():
    (cell,), (other,) = cells_of("net"), cells_of("net", tune={"learning_rate": "1e-4:1e-1"})
    (run,) = cell.runs(0, {(0, 0): make_row(status="ok", val_accuracy=0.9)})
    assert run.run_key == cell.runs(0)[0].run_key != other.runs(0)[0].run_key
    assert run.run_key != cell.base.run(0).run_key  # an untuned run with the same values


def test_runs_for_which_nothing_was_chosen_claim_no_value_of_what_is_tuned():
    tune = {**LEARNING_RATE, "model.width": "4:8"}
    (cell,) = cells_of("net", tune=tune)
    row = cell.runs(None)[0].to_row()
    assert row["learning_rate"] is None and row["epochs"] == 2
    assert "width" not in json.loads(row["model_params"])
    assert "rate" in json.loads(row["model_params"])
    assert json.loads(row["tune"])["chosen"] == {} and row["tune_trials"] == 4
    assert cell.runs(0)[0].to_row()["learning_rate"] is not None


def test_the_budget_is_that_of_a_smaller_space_and_a_misspelt_key_is_guessed():
    (cell,) = cells_of("net", tune={"schedule": "constant,linear"}, budget=None)
    assert len(cell.configurations) == 2
    (cell,) = cells_of("net", budget=None)
    assert len(cell.configurations) == 8
    with pytest.raises(UsageError, match="did you mean 'width'"):
        cells_of("net", tune={"model.widht": "4:8"})


def test_metrics_and_observers_are_the_runs_alone():
    known = [NET, WORDS]
    known += [Entry(kind=k, name=k, source=NET.source) for k in ("metric", "observer")]
    suite = Suite(
        datasets=("words",), models=("net",), metrics=("metric",), observers=("observer",),
        tune=LEARNING_RATE, budget=2,
    )  # fmt: skip
    (cell,) = tuned_cells(suite, registry_of(*known), key_parts={})
    assert cell.first[0].metrics == cell.first[0].observers == ()
    assert len(cell.runs(0)[0].metrics) == len(cell.runs(0)[0].observers) == 1


def test_tuning_holds_out_data_and_chooses_the_epoch_on_it_unless_told_otherwise():
    (cell,) = cells_of("net")
    assert (cell.base.recipe.validation, cell.base.recipe.select) == (0.1, "best")
    (cell,) = cells_of("net", recipe={"validation": 0.2, "select": "last"})
    assert (cell.base.recipe.validation, cell.base.recipe.select) == (0.2, "last")
    found = cells_of("net", grid={"validation": (0.2, 0.3)})
    assert [cell.base.recipe.validation for cell in found] == [0.2, 0.3]


def test_each_point_of_a_grid_and_each_optimizer_is_tuned_by_itself():
    grid = {"optimizer": ("adamw:*",), "batch_size": (8, 16)}
    found = cells_of("net", grid=grid)
    told = [(c.base.recipe.optimizer, c.base.recipe.batch_size, len(c.first)) for c in found]
    assert told == [
        ("adamw", 8, 4), ("adamw:none", 8, 4), ("adamw", 16, 4), ("adamw:none", 16, 4),
    ]  # fmt: skip


def test_an_optimizer_can_be_tuned():
    (cell,) = cells_of("net", tune={"optimizer": "sgd,adamw[decay=0.2]"}, budget=2)
    plain, registered = cell.first
    assert (plain.recipe.optimizer, plain.optimizer) == ("sgd", None)
    assert registered.optimizer is not None and registered.optimizer.params == {"decay": 0.2}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"models": ("net[width=4]",), "tune": {"model.width": "4:8"}}, "given in net"),
        ({"models": ("pool",), "tune": {"model.rate": "0:1"}}, "no selected model has"),
        ({"models": ("net:wide",), "tune": {"model.width": "4:8"}}, "no selected model has"),
        ({"tune": {"model.width": "0:8"}}, "width=0: expected int >= 1"),
        ({"tune": {"model.width": ""}}, "no default range"),
        ({"tune": {"optimizer": "sgd,adamw:*"}}, "stands for 2 optimizers"),
        ({"tune": {"optimizer": "sgd,adamx"}}, "no optimizer 'adamx'"),
        ({"tune": {"model.width": "4:6"}}, "only 3 different values"),
        ({"recipe": {"validation": 0}}, "tuning with validation=0 would"),
        ({"recipe": {"validation": 0, "select": "last"}}, "tuning with validation=0 would"),
        ({"grid": {"validation": (0.1, 0)}}, "validation=0"),
        ({"seeds": (0, TRIAL_SEED + 3)}, "take another seed"),
        ({"tune_limit": 1}, "validation=0.1 with tune_limit=1, a share of each class, holds"),
        (
            {"tune_limit": 4, "grid": {"validation": (0.5, 0.1)}},
            "0.1 with tune_limit=4, .*none",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(changes: dict, said: str):
    models = changes.pop("models", ("net",))
    changes = {"budget": 2 if "optimizer" in changes.get("tune", {}) else 4, **changes}
    with pytest.raises(UsageError, match=said) as caught:
        cells_of(*models, **changes)
    assert "\n" not in str(caught.value)
