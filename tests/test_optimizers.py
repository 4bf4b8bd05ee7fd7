from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from harness.errors import ContractError, UsageError
from harness.optimizers import SCHEDULES, make_optimizer
from harness.recipe import Recipe


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
