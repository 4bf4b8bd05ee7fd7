"""The registered optimizers: optax's by default, their parameters from a selection."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from harness.optimizers import make_optimizer
from harness.recipe import Recipe
from harness_plugins import optax_optimizers as own
from harness_plugins.muon import muon


class Net(nnx.Module):
    def __init__(self) -> None:
        self.first = nnx.Linear(4, 6, rngs=nnx.Rngs(0))
        self.second = nnx.Linear(6, 2, rngs=nnx.Rngs(1))


PARAMS = nnx.state(Net(), nnx.Param)
GRADS = jax.tree.map(
    lambda p: jnp.cos(jnp.arange(p.size, dtype=p.dtype)).reshape(p.shape), PARAMS
)


def stepped(optimizer: optax.GradientTransformation, *, steps: int = 2) -> list[np.ndarray]:
    """The parameters after so many steps."""
    params, state = PARAMS, optimizer.init(PARAMS)
    for _ in range(steps):
        updates, state = optimizer.update(GRADS, state, params)
        params = optax.apply_updates(params, updates)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(params)]


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "lion"])
def test_without_parameters_each_is_optaxs_of_that_name(name: str):
    mine = stepped(getattr(own, name)(0.1))
    for a, b in zip(mine, stepped(getattr(optax, name)(0.1)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_parameters_arrive():
    for with_it, without in [
        (own.adam(0.1, b1=0.5), own.adam(0.1)),
        (own.adamw(0.1, weight_decay=0.5), own.adamw(0.1)),
        (own.adamw(0.1, max_norm=1e-9, eps=1e-3), own.adamw(0.1, eps=1e-3)),
        (own.sgd(0.1, momentum=0.9), own.sgd(0.1)),
        (own.sgd(0.1, momentum=0.9, nesterov=True), own.sgd(0.1, momentum=0.9)),
        (own.lion(0.1, weight_decay=0.5), own.lion(0.1)),
        (muon(0.1, beta=0.5, nesterov=False), muon(0.1)),
    ]:
        pairs = zip(stepped(with_it), stepped(without), strict=True)
        assert any(not np.allclose(a, b) for a, b in pairs)


def test_muon_moves_a_matrix_by_an_orthogonal_step():
    params = {"w": jnp.zeros((3, 5))}
    optimizer = muon(1.0, nesterov=False)
    grads = {"w": jax.random.normal(jax.random.key(0), (3, 5))}
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    singular = np.linalg.svd(np.asarray(updates["w"]), compute_uv=False)  # type: ignore[index]
    # five iterations bring all singular values near one, and not closer
    assert singular.max() / singular.min() < 2
    assert np.linalg.cond(np.asarray(grads["w"])) > 2


def test_a_plugins_optimizer_is_given_the_rate_or_its_schedule():
    given = []

    def note(rate):
        given.append(rate)
        return optax.sgd(rate)

    make_optimizer(Recipe(optimizer="x", learning_rate=0.5), steps=10, factory=note)
    make_optimizer(
        Recipe(optimizer="x", learning_rate=0.5, schedule="linear"), steps=10, factory=note
    )
    assert given[0] == 0.5 and [float(given[1](n)) for n in (0, 10)] == [0.5, 0.0]
