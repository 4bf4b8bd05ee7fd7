"""The hyper-parameters of a run, their names held against optax."""

from __future__ import annotations

import inspect
import math
from dataclasses import fields
from typing import Any

import pytest

from harness import recipe
from harness.errors import UsageError
from harness.recipe import OPTIMIZERS, SCHEDULES, Recipe, make_recipe
from harness.rows import COLUMNS


def test_the_defaults_are_the_contracts() -> None:
    made = make_recipe({})
    assert made == Recipe()
    assert (made.epochs, made.batch_size, made.eval_batch_size) == (10, 128, 256)
    assert (made.optimizer, made.learning_rate, made.schedule) == ("adam", 1e-3, "constant")
    assert (made.validation, made.select, made.limit) == (0.0, "last", None)


def test_values_are_kept_in_their_type() -> None:
    made = make_recipe({"epochs": 3.0, "learning_rate": 1, "limit": 2e3, "validation": 0})
    assert made == Recipe(epochs=3, learning_rate=1.0, limit=2000)
    assert [type(v) for v in (made.epochs, made.learning_rate, made.limit)] == [int, float, int]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("epochs", 0, "expected int >= 1"),
        ("epochs", 1.5, "expected int >= 1"),
        ("epochs", True, "expected int >= 1"),
        ("epochs", None, "expected int >= 1"),
        ("batch_size", -1, "expected int >= 1"),
        ("eval_batch_size", 0, "expected int >= 1"),
        ("learning_rate", 0, "learning_rate=0: expected"),
        ("learning_rate", -1e-3, "learning_rate=-0.001: expected"),
        ("learning_rate", "fast", "expected float"),
        ("learning_rate", math.inf, "learning_rate=inf: expected"),
        ("learning_rate", math.nan, "learning_rate=nan: expected"),
        ("validation", 1.0, "expected float >= 0 and <= 0.9"),
        ("validation", -0.1, "expected float >= 0 and <= 0.9"),
        ("limit", 0, "expected int >= 1 or none"),
        ("select", "first", "expected last or best"),
        ("optimizer", 1, "expected str"),
        ("schedule", "cosine", "cosine_decay"),
        ("schedule", None, "expected constant or"),
    ],
)
def test_unusable_values_say_what_is_allowed(name: str, value: Any, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_recipe({name: value})
    assert name in str(caught.value) and told in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match="no hyper-parameter 'epoch'; did you mean 'epochs'"):
        make_recipe({"epoch": 3})


def test_the_best_epoch_is_not_chosen_on_the_test_set() -> None:
    assert make_recipe({"select": "best", "validation": 0.1}).select == "best"
    with pytest.raises(UsageError, match="--validation 0.1"):
        make_recipe({"select": "best"})


@pytest.mark.parametrize(
    ("limit", "fraction", "message"),
    [
        (50, 0.001, "holds out none; give 0.02 or more"),
        (4, 0.9, "holds out all; give 0.5 or less"),
        (1, 0.1, "holds out none; give more examples"),
    ],
)
def test_a_validation_that_no_class_can_have_is_refused_with_the_limit(
    limit: int, fraction: float, message: str
) -> None:
    with pytest.raises(UsageError, match=f"={fraction} with limit={limit}, .*class, {message}"):
        make_recipe({"limit": limit, "validation": fraction})
    assert make_recipe({"limit": 50, "validation": 0.02}).validation == 0.02


def test_a_batch_goes_through_in_equal_parts() -> None:
    assert make_recipe({"batch_size": 12, "accumulate": 4}).accumulate == 4
    with pytest.raises(UsageError, match="accumulate=5 does not divide batch_size=12"):
        make_recipe({"batch_size": 12, "accumulate": 5})
    with pytest.raises(UsageError, match="accumulate"):
        make_recipe({"accumulate": 0})


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"batch_size": 20, "devices": 8},
         "devices=8 cannot share batch_size=20 evenly; give batch_size=16 or 24, or a number "
         "of devices that divides 20"),
        ({"batch_size": 4, "devices": 8},
         "devices=8 cannot share batch_size=4 evenly; give batch_size=8, or a number of "
         "devices that divides 4"),
        ({"devices": 2, "eval_batch_size": 25},
         "devices=2 cannot share eval_batch_size=25 evenly; give eval_batch_size=24 or 26, or "
         "a number of devices that divides 25"),
        ({"batch_size": 24, "devices": 8, "accumulate": 2},
         "devices=8 cannot share batch_size=24 in 2 parts evenly; give batch_size=16 or 32, or "
         "a number of devices that divides 12"),
    ],
)  # fmt: skip
def test_a_batch_that_devices_cannot_share_gets_sizes_that_they_can(values, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_recipe(values)
    assert str(caught.value) == told


def test_processes_share_devices_evenly() -> None:
    assert make_recipe({"devices": 4, "processes": 2}).to_row()["process_count"] == 2
    with pytest.raises(UsageError) as caught:
        make_recipe({"processes": 2})
    assert str(caught.value) == (
        "processes=2 cannot share devices=1 evenly; give devices=2, or a number of processes "
        "that divides 1"
    )


def test_devices_are_a_part_of_the_recipe_and_a_column_of_the_place() -> None:
    assert make_recipe({"devices": 8}).to_row()["device_count"] == 8
    assert Recipe().to_row()["device_count"] == 1
    with pytest.raises(UsageError, match="devices"):
        make_recipe({"devices": 0})


def test_an_unknown_precision_gets_the_known_ones() -> None:
    with pytest.raises(UsageError, match="expected float32 or bfloat16"):
        make_recipe({"precision": "float16"})


def test_parameters_are_the_fields_in_order() -> None:
    known = recipe.parameters()
    assert list(known) == [f.name for f in fields(Recipe)]
    assert {name: p.default for name, p in known.items()} == vars(Recipe())
    for f in fields(Recipe):
        declared = str(f.type).replace(" | None", "")
        kind = known[f.name].type
        assert declared == kind or (kind == "str" and declared.startswith("Literal"))
        assert known[f.name].optional == ("None" in str(f.type))


def test_every_default_passes_its_own_check() -> None:
    assert make_recipe(vars(Recipe())) == Recipe()


def test_a_row_has_the_columns_of_its_group() -> None:
    row = Recipe(select="best", validation=0.1, limit=10).to_row()
    # what tuning has to say is no hyper-parameter, and devices are a place
    named = {c.name for c in COLUMNS if c.group == "recipe"}
    assert {*row, "tune"} == named | {"device_count", "process_count"}
    assert (row["selection"], row["limit"], row["precision"]) == ("best", 10, "float32")
    assert (row["accumulate"], row["tune_trials"]) == (1, 0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_are_optax_optimizers_of_a_learning_rate(name: str) -> None:
    import optax

    parameters = list(inspect.signature(getattr(optax, name)).parameters.values())
    assert parameters[0].name == "learning_rate"
    required = [p for p in parameters[1:] if p.default is p.empty]
    assert [p for p in required if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)] == []


def test_every_optimizer_takes_a_step() -> None:
    import jax
    import jax.numpy as jnp
    import numpy as np

    from harness.optimizers import make_optimizer

    before = jnp.full((2, 3), 0.5)

    @jax.jit  # one program for all is compiled far sooner than each by itself
    def step() -> dict[str, jax.Array]:
        after = {}
        for name in OPTIMIZERS:
            optimizer = make_optimizer(Recipe(optimizer=name, learning_rate=0.1), steps=10)
            state, after[name] = optimizer.init(before), before
            for _ in range(2):  # rprop does not move before its second step
                updates, state = optimizer.update(jnp.full((2, 3), 0.25), state, after[name])
                after[name] = after[name] + jnp.asarray(updates)
        return after

    after = step()
    assert [n for n in OPTIMIZERS if not np.isfinite(after[n]).all()] == []
    assert [n for n in OPTIMIZERS if np.array_equal(after[n], before)] == []
    assert {value.dtype for value in after.values()} == {jnp.dtype("float32")}


def test_schedules_are_the_ones_that_the_engine_makes() -> None:
    from harness import optimizers

    assert tuple(sorted(optimizers.SCHEDULES)) == SCHEDULES
    assert tuple(sorted(OPTIMIZERS)) == OPTIMIZERS


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_have_optax_names(name: str) -> None:
    import optax

    assert name in vars(optax) or f"{name}_schedule" in vars(optax)


# of its peak rate: at the first step, half-way, and one past the last of 1000 steps
ENDS: dict[str, tuple[float, float, float]] = {
    "constant": (1, 1, 1),
    "linear": (1, 0.5, 0),
    "cosine_decay": (1, 0.5, 0),
    "exponential_decay": (1, 0.1, 0.01),
    "warmup_constant": (0, 1, 1),
    "warmup_cosine_decay": (0, (1 + math.cos(math.pi * 4 / 9)) / 2, 0),
    # up for three tenths, down to the start at 0.85, then to almost nothing
    "linear_onecycle": (1 / 25, 1 - 0.96 * 200 / 550, 1 / 25e4),
    "cosine_onecycle": (1 / 25, (1 + math.cos(math.pi * 2 / 7)) / 2, 1 / 25e4),
}


@pytest.fixture(scope="module")
def rates() -> dict[str, Any]:
    """Every schedule's rate at each of 1001 steps, of a peak of 1: float32 [k]."""
    import jax
    import jax.numpy as jnp

    from harness.optimizers import SCHEDULES as MADE

    made = jax.jit(
        lambda: {n: jax.vmap(s(1.0, 1000))(jnp.arange(1001)) for n, s in MADE.items()}
    )
    return made()


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_starts_and_ends_as_documented(name: str, rates: dict[str, Any]) -> None:
    found = [float(rates[name][step]) for step in (0, 500, 1000)]
    assert found == pytest.approx(list(ENDS[name]), abs=1e-5)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_learning_rate_is_the_schedules_peak(name: str, rates: dict[str, Any]) -> None:
    assert float(rates[name].max()) == pytest.approx(1)
