from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from harness.errors import ContractError, UsageError
from harness.optimizers import SCHEDULES, make_optimizer
from harness.recipe import OPTIMIZERS, Recipe


def test_adam_is_optax_adam_with_its_defaults():
    params = {"w": jnp.array([1.0, -2.0])}
    grads = {"w": jnp.array([0.5, 0.1])}
    ours = make_optimizer(Recipe(optimizer="adam", learning_rate=0.1), steps=10)
    theirs = optax.adam(0.1, b1=0.9)
    a, _ = ours.update(grads, ours.init(params), params)
    b, _ = theirs.update(grads, theirs.init(params), params)
    np.testing.assert_array_equal(a["w"], b["w"])  # type: ignore[index]


@pytest.mark.parametrize("name", sorted(SCHEDULES))
@pytest.mark.parametrize("steps", [1, 5, 1000])
def test_no_schedule_goes_above_its_rate_or_below_zero(name: str, steps: int):
    schedule = SCHEDULES[name](0.5, steps)
    values = np.array([schedule(i) for i in range(steps)])
    assert np.isfinite(values).all()
    assert values.min() >= 0
    assert values.max() <= 0.5 * (1 + 1e-6)


@pytest.mark.parametrize("name", ["cosine_decay", "linear", "warmup_cosine_decay"])
def test_decays_end_with_the_last_step(name: str):
    schedule = SCHEDULES[name](0.5, 1000)
    assert np.asarray(schedule(1000)) < 1e-3 < np.asarray(schedule(900))


def test_a_schedule_moves_the_step_of_sgd():
    optimizer = make_optimizer(
        Recipe(optimizer="sgd", learning_rate=1.0, schedule="linear"), steps=2
    )
    params = {"w": jnp.array([0.0])}
    state = optimizer.init(params)
    moved = []
    for _ in range(2):
        updates, state = optimizer.update({"w": jnp.array([1.0])}, state, params)
        moved.append(float(updates["w"][0]))  # type: ignore[index]
    assert moved == [-1.0, -0.5]


def test_what_a_plugin_makes_must_be_an_optimizer():
    def nothing(rate):
        return None

    with pytest.raises(ContractError, match="optimizer 'mine' returned NoneType; expected an"):
        make_optimizer(Recipe(optimizer="mine"), steps=1, factory=nothing)  # type: ignore
    with pytest.raises(UsageError, match="'mine' is a plugin's, which is not loaded here"):
        make_optimizer(Recipe(optimizer="mine"), steps=1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_rate_in_the_state_moves_parameters_as_optax_does(name: str):
    """Whether some optimizer of optax looks at its learning rate while it is traced."""
    params = {"w": jnp.linspace(-1, 1, 6).reshape(2, 3), "b": jnp.ones(3)}
    grads = jax.tree.map(lambda p: 0.1 * p + 0.05, params)
    theirs = getattr(optax, name)(0.01)

    def two_steps(optimizer: optax.GradientTransformation, state: Any) -> Any:
        moved = params
        for _ in range(2):
            updates, state = optimizer.update(grads, state, moved)
            moved = optax.apply_updates(moved, updates)
        return moved

    ours = make_optimizer(Recipe(optimizer=name, learning_rate=0.01), steps=10)
    a = jax.jit(lambda s: two_steps(ours, s))(ours.init(params))
    b = jax.jit(lambda s: two_steps(theirs, s))(theirs.init(params))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7), a, b)


@pytest.mark.parametrize("schedule", ["constant", "warmup_cosine_decay"])
def test_runs_that_differ_in_their_rate_alone_share_one_program(schedule: str):
    params = {"w": jnp.ones(3)}

    def program(rate: float) -> str:
        optimizer = make_optimizer(Recipe(learning_rate=rate, schedule=schedule), steps=10)
        return jax.jit(optimizer.update).lower(params, optimizer.init(params), params).as_text()

    assert program(1e-3) == program(1e-2)


def test_a_factory_that_looks_at_its_rate_is_told_that_it_cannot():
    def looking(rate: Any) -> optax.GradientTransformation:
        return optax.sgd(rate if rate > 0 else 0.1)

    optimizer = make_optimizer(Recipe(optimizer="mine"), steps=1, factory=looking)
    params = {"w": jnp.ones(3)}
    with pytest.raises(
        ContractError, match="optimizer 'mine' looks at its learning rate, which"
    ):
        jax.jit(optimizer.update)(params, optimizer.init(params), params)
