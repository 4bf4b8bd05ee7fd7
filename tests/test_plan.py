"""From selections and suites to runs, checked before anything starts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kit import NET, POOL, SOURCE, WIDTH, WORDS, registry_of

from harness import plan, suites
from harness.choices import resolve
from harness.entries import Entry, Parameter, Source
from harness.errors import UnknownName, UsageError
from harness.plan import Run, expand
from harness.recipe import Recipe, parameters
from harness.registry import Registry, join
from harness.rows import NAMES
from harness.suites import Suite, suite_from_mapping

PARTS = {"jax_version": "1"}


@pytest.fixture
def known() -> Registry:
    return registry_of(NET, POOL, WORDS)


def runs_of(known: Registry, **changes: Any) -> list[Run]:
    suite = replace(Suite(datasets=("words",), models=("net",)), **changes)
    return expand(suite, known, key_parts=PARTS)


# expanding


def test_runs_come_data_sets_models_grid_seeds(known: Registry) -> None:
    found = runs_of(
        known, datasets=("words[length=1,2]",), models=("pool", "net"), seeds=(0, 1),
        grid={"epochs": (1, 2), "batch_size": (4, 8)},
    )  # fmt: skip
    order = [
        (r.dataset.params["length"], r.model.name, r.recipe.epochs, r.recipe.batch_size, r.seed)
        for r in found
    ]
    assert order == [
        (length, model, epochs, size, seed)
        for length in (1, 2)
        for model in ("pool", "net")
        for epochs in (1, 2)
        for size in (4, 8)
        for seed in (0, 1)
    ]


def test_what_is_selected_twice_runs_once(known: Registry) -> None:
    texts = ("net:wide", "net", "net:*", "net[width=32]", "net[rate=0.1]")
    names = [r.model.label for r in runs_of(known, models=texts)]
    assert names == ["net:wide", "net", "net:dry"]
    assert len(runs_of(known, datasets=("words", "*"))) == 1


def test_equal_points_of_a_grid_run_once(known: Registry) -> None:
    found = runs_of(known, grid={"learning_rate": (1e-3, 0.001, 1, 1.0)})
    assert [r.recipe.learning_rate for r in found] == [1e-3, 1.0]


def test_every_planned_run_has_an_id_of_its_own(known: Registry) -> None:
    found = [r.run_id for _ in range(3) for r in runs_of(known, seeds=tuple(range(50)))]
    assert len(set(found)) == len(found)
    assert {len(run_id) for run_id in found} == {12}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"models": ()}, "no model selected; name one with --model"),
        ({"datasets": ()}, "no dataset selected; name one with --dataset"),
        ({"models": ("nett",)}, "no model 'nett'"),
        ({"recipe": {"epoch": 1}}, "no hyper-parameter 'epoch'; did you mean 'epochs'"),
        ({"grid": {"epoch": (1,)}}, "no hyper-parameter 'epoch'; did you mean 'epochs'"),
        ({"grid": {"epochs": (1, 0)}}, "epochs=0: expected int >= 1"),
        ({"grid": {"epochs": ()}}, "epochs"),
        ({"recipe": {"select": "best"}}, "--validation 0.1"),
        ({"seeds": ()}, "seed"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(
    changes: dict[str, Any], told: str, known: Registry
) -> None:
    with pytest.raises(UsageError) as caught:
        runs_of(known, **changes)
    assert told in str(caught.value)


def test_the_best_epoch_needs_validation_in_every_run_of_a_grid(known: Registry) -> None:
    found = runs_of(known, recipe={"select": "best"}, grid={"validation": (0.1, 0.2)})
    assert [r.recipe.validation for r in found] == [0.1, 0.2]
    with pytest.raises(UsageError, match="validation=0"):
        runs_of(known, recipe={"select": "best"}, grid={"validation": (0.1, 0)})


# keys


def test_equal_runs_have_equal_keys(known: Registry) -> None:
    (first,), (second,) = runs_of(known), runs_of(known)
    assert first.run_key == second.run_key
    assert first.run_id != second.run_id


EQUAL: list[dict[str, Any]] = [
    {"models": ("net[width=32]",)},
    {"models": ("net[rate=0.10]",)},
    {"models": ("net[rate=1e-1,width=32]",)},
    {"datasets": ("words[length=2e2]",)},
    {"recipe": {"epochs": 10, "learning_rate": 0.001}},
    {"grid": {"epochs": (10,)}},
    {"name": "another suite"},
]


@pytest.mark.parametrize("changes", EQUAL, ids=str)
def test_what_changes_no_result_changes_no_key(
    changes: dict[str, Any], known: Registry
) -> None:
    (first,), (second,) = runs_of(known), runs_of(known, **changes)
    assert first.run_key == second.run_key


CHANGES: list[dict[str, Any]] = [
    {"seeds": (1,)},
    {"models": ("pool",)},
    {"models": ("net:wide",)},
    {"models": ("net[width=33]",)},
    {"models": ("net[rate=0.2]",)},
    {"datasets": ("words[length=100]",)},
    {"recipe": {"epochs": 11}},
    {"recipe": {"batch_size": 64}},
    {"recipe": {"eval_batch_size": 64}},
    {"recipe": {"optimizer": "sgd"}},
    {"recipe": {"learning_rate": 0.002}},
    {"recipe": {"schedule": "linear"}},
    {"recipe": {"validation": 0.1}},
    {"recipe": {"validation": 0.1, "select": "best"}},
    {"recipe": {"limit": 10}},
    {"recipe": {"precision": "bfloat16"}},
    {"recipe": {"accumulate": 2}},
    {"recipe": {"devices": 2}},
    {"recipe": {"devices": 2, "processes": 2}},
]


def test_every_change_gives_another_key(known: Registry) -> None:
    keys = [runs_of(known, **changes)[0].run_key for changes in [{}, *CHANGES]]
    assert len(set(keys)) == len(keys)
    touched = {name for changes in CHANGES for name in changes.get("recipe", {})}
    assert touched == set(parameters())


def test_a_plugins_code_is_in_the_key_and_its_place_is_not(known: Registry) -> None:
    def key(**changes: Any) -> str:
        moved = replace(SOURCE, **changes)
        entries = [replace(e, source=moved) for e in (NET, WORDS)]
        (run,) = runs_of(join([(moved, entries)]))
        return run.run_key

    assert key() == key(target="/b/kit.py")
    assert len({key(), key(source_hash="ff"), key(version="ff")}) == 3


def test_the_machines_parts_are_in_the_key(known: Registry) -> None:
    suite = Suite(datasets=("words",), models=("net",))
    (first,) = expand(suite, known, key_parts=PARTS)
    (second,) = expand(suite, known, key_parts={"jax_version": "2"})
    assert first.run_key != second.run_key


# what else plugins bring

ADAMW = Entry(
    kind="optimizer", name="adamw", source=SOURCE,
    parameters=(Parameter(name="weight_decay", type="float", default=0.0, minimum=0),),
    variants={"decayed": {"weight_decay": 0.1}},
)  # fmt: skip
F1 = Entry(kind="metric", name="f1", source=SOURCE, parameters=(WIDTH,))
CURVES = Entry(kind="observer", name="curves", source=SOURCE)
RANKING = Entry(kind="task", name="ranking", source=SOURCE)
MORE = (NET, POOL, WORDS, ADAMW, F1, CURVES, RANKING)


def test_an_optimizer_of_a_plugin_takes_parameters_and_variants() -> None:
    grid = {"optimizer": ("adamw[weight_decay=0,0.5]", "adamw:decayed", "yogi")}
    runs = runs_of(registry_of(*MORE), grid=grid)
    assert [(run.recipe.optimizer, run.optimizer and run.optimizer.params) for run in runs] == [
        ("adamw[weight_decay=0]", {"weight_decay": 0.0}),
        ("adamw[weight_decay=0.5]", {"weight_decay": 0.5}),
        ("adamw:decayed", {"weight_decay": 0.1}),
        ("yogi", None),
    ]
    assert len({run.run_key for run in runs}) == 4


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ("adamx", "no optimizer 'adamx'; did you mean 'adamax' or 'adam'"),
        ("yogi[b1=0.5]", "'yogi' is optax's with its defaults and takes no parameters here"),
        ("adamw[weight=1]", "optimizer 'adamw' has no parameter 'weight'; did you mean"),
        ("adamw[weight_decay=-1]", "weight_decay=-1: expected float >= 0"),
    ],
)
def test_an_optimizer_that_there_is_not_is_refused(optimizer: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        runs_of(registry_of(*MORE), recipe={"optimizer": optimizer})


def test_metrics_are_in_the_key_and_observers_are_not() -> None:
    known = registry_of(*MORE)
    (plain,) = runs_of(known)
    (measured,) = runs_of(known, metrics=("f1[width=3]",))
    (observed,) = runs_of(known, observers=("curves",))
    assert [c.label for c in measured.metrics] == ["f1[width=3]"]
    assert plain.run_key == observed.run_key != measured.run_key
    assert json.loads(measured.to_row()["other_plugins"]) == {"metric f1[width=3]": "kit==ab12"}
    assert json.loads(observed.to_row()["other_plugins"]) == {"observer curves": "kit==ab12"}
    assert [choice.name for choice in plain.tasks] == ["ranking"]
    with pytest.raises(UsageError, match="no metric 'f2'; known metrics: f1"):
        runs_of(known, metrics=("f2",))


def test_a_plugins_task_touches_no_run_on_built_in_data() -> None:
    built_in = replace(WORDS, source=replace(SOURCE, origin="built-in"))
    for words, same in ((WORDS, False), (built_in, True)):
        (without,) = runs_of(registry_of(NET, words))
        (with_it,) = runs_of(registry_of(NET, words, RANKING))
        assert (without.run_key == with_it.run_key) is same


def test_a_run_with_all_of_it_survives_the_way_through_json() -> None:
    (run,) = runs_of(
        registry_of(*MORE), metrics=("f1",), observers=("curves",),
        recipe={"optimizer": "adamw[weight_decay=0.5]"},
    )  # fmt: skip
    back = plan.run_from_json(json.loads(json.dumps(plan.run_to_json(run))))
    assert back == run and back.to_row() == run.to_row()
    assert back.sources == (SOURCE,) and len(back.choices) == 6


# runs as JSON and as rows


def test_a_run_survives_the_way_through_json(known: Registry) -> None:
    recipe = {"select": "best", "validation": 0.25, "limit": 7}
    (run,) = runs_of(known, models=("net:wide[rate=1e-17]",), recipe=recipe, seeds=(3,))
    back = plan.run_from_json(json.loads(json.dumps(plan.run_to_json(run))))
    assert back == run
    assert (back.label, back.to_row()) == (run.label, run.to_row())
    assert isinstance(back.recipe, Recipe) and isinstance(back.model.source, Source)


def test_a_row_knows_what_was_planned(known: Registry) -> None:
    (run,) = runs_of(
        known, models=("net:wide[rate=0.5]",), name="mine", seeds=(3,),
        recipe={"select": "best", "validation": 0.1},
    )  # fmt: skip
    row = run.to_row()
    assert set(row) <= set(NAMES)
    assert (row["suite"], row["seed"], row["run_id"]) == ("mine", 3, run.run_id)
    assert (row["dataset"], row["dataset_variant"]) == ("words", "")
    assert (row["model"], row["variant"], row["parent"]) == ("net", "wide", "net")
    assert json.loads(row["model_params"]) == {"width": 64, "rate": 0.5}
    assert json.loads(row["variant_params"]) == {"width": 64}
    assert json.loads(row["dataset_params"]) == {"length": 200}
    assert row["model_plugin"] == "kit==ab12"
    assert (row["selection"], row["validation"]) == ("best", 0.1)
    assert run.label == "words x net:wide[rate=0.5], seed 3"


def test_a_base_has_no_parent(known: Registry) -> None:
    (run,) = runs_of(known, models=("net[width=8]",))
    assert (run.to_row()["variant"], run.to_row()["parent"]) == ("", "")


# seeds and grids from the command line


def test_a_registry_made_by_hand_makes_a_plan(
    make_registry: Callable[..., Registry],
) -> None:
    class Net:
        def __init__(self, data: Any, *, width: int = 3, rngs: Any) -> None: ...

    def register_models(register: Any) -> None:
        register("net", Net, variants={"wide": {"width": 4}})

    known = make_registry(register_models)
    assert [c.params for c in resolve("model", "net:*", known)] == [{"width": 3}, {"width": 4}]
    with pytest.raises(UnknownName):
        resolve("dataset", "net", known)


KEYS = st.sampled_from([*suites.SUITE_KEYS, *parameters()]) | st.text(max_size=6)
LEAVES = (
    st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.datetimes()
    | st.dates() | st.times() | st.sampled_from(["best", "adam", 10**400, 1, 0.1, 2e4])
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@example({"name": 3})
@example({"optimizer": "a\nb"})
@example({"grid": {"a\nb": [1]}})
@example({"grid": {"a\nb": []}})
@example({"grid": {"epochs": [{"a": [math.inf]}]}})
@example({"seeds": 10**9})
@settings(deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_mapping_is_a_suite_or_a_usage_error_of_one_line(content: dict[str, Any]) -> None:
    known = registry_of(NET, POOL, WORDS)
    try:
        suite = suite_from_mapping(content, name="mine", folder=Path("/x"))
        # what was taken must also make a plan
        runs = expand(
            replace(suite, datasets=("words",), models=("net",)), known, key_parts=PARTS
        )
    except UsageError as error:
        assert len(str(error).splitlines()) == 1
        return
    assert isinstance(suite.name, str)
    assert all(isinstance(p, str) for p in (*suite.datasets, *suite.models, *suite.plugins))
    assert len(runs) >= len(suite.seeds) >= 1
    assert json.loads(json.dumps([plan.run_to_json(run) for run in runs]))
