"""Recurrences in `harness_models._scan`, each against a loop over positions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import normal

from harness_models._scan import backwards, recurrence

pytestmark = pytest.mark.usefixtures("strict_jax")


def looped(decay: Any, inputs: Any, *, order: int = 1) -> list[Any]:
    """The states `[b, ...]` position by position, in the order of positions.

    With NumPy's arrays it is a loop in Python, with JAX's it has a gradient.
    """
    t = inputs.shape[1]
    decay = decay + 0 * inputs
    state, states = 0 * inputs[:, 0], []
    for i in range(t)[::order]:
        state = decay[:, i] * state + inputs[:, i]
        states.append(state)
    return states[::order]


def complex_normal(*shape: int, seed: int) -> jax.Array:
    return jax.lax.complex(normal(*shape, seed=seed), normal(*shape, seed=seed + 100))


# of one example for all, of every example, one for all channels of a position, complex
CASES = {
    "shared": (jax.nn.sigmoid(normal(1, 7, 3)), normal(2, 7, 3, seed=2)),
    "own": (jax.nn.sigmoid(normal(2, 7, 3, 4)), normal(2, 7, 3, 4, seed=2)),
    "of_channels": (jax.nn.sigmoid(normal(2, 7, 1)), normal(2, 7, 3, seed=2)),
    "complex": (complex_normal(1, 7, 3, seed=3) / 2, complex_normal(2, 7, 3, seed=4)),
}


def test_the_example_of_its_docstring():
    inputs = jnp.array([[4.0, 0.0, 0.0, 1.0]])
    states = jax.jit(recurrence)(inputs * 0 + 0.5, inputs)
    np.testing.assert_array_equal(states, [[4, 2, 1, 1.5]])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("scan", "order"), [(recurrence, 1), (backwards, -1)])
def test_it_is_the_loop(case: str, scan: Any, order: int):
    decay, inputs = CASES[case]
    expected = np.stack(looped(np.asarray(decay), np.asarray(inputs), order=order), axis=1)
    np.testing.assert_allclose(jax.jit(scan)(decay, inputs), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("scan", "order"), [(recurrence, 1), (backwards, -1)])
def test_its_gradient_is_the_loops(case: str, scan: Any, order: int):
    decay, inputs = CASES[case]

    def loss(states: jax.Array) -> jax.Array:
        return (jnp.sin(states.real) + states.imag * states.real).sum()

    def mine(decay: jax.Array, inputs: jax.Array) -> jax.Array:
        return loss(scan(decay, inputs))

    def plain(decay: jax.Array, inputs: jax.Array) -> jax.Array:
        return loss(jnp.stack(looped(decay, inputs, order=order), axis=1))

    gradients = jax.jit(jax.grad(mine, argnums=(0, 1)))(decay, inputs)
    expected = jax.jit(jax.grad(plain, argnums=(0, 1)))(decay, inputs)
    for given, wanted in zip(gradients, expected, strict=True):
        assert given.dtype == wanted.dtype and given.shape == wanted.shape
        np.testing.assert_allclose(given, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("t", [1, 2, 64, 65])
def test_any_number_of_positions_will_do(t: int):
    decay, inputs = jax.nn.sigmoid(normal(1, t, 2)), normal(2, t, 2, seed=2)
    expected = np.stack(looped(np.asarray(decay), np.asarray(inputs)), axis=1)
    states = jax.jit(recurrence)(decay, inputs)
    np.testing.assert_allclose(states, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rate", [0.0, 1e-30, 1.0])
def test_extreme_decays_stay_finite_with_their_gradients(rate: float):
    decay, inputs = jnp.full((1, 500, 1), rate), normal(2, 500, 1)
    states, pull = jax.vjp(jax.jit(recurrence), decay, inputs)
    np.testing.assert_allclose(
        states[:, -1], looped(np.asarray(decay), np.asarray(inputs))[-1], rtol=1e-4, atol=1e-5
    )
    assert all(np.isfinite(leaf).all() for leaf in pull(states))


def test_zeros_in_front_leave_the_states_behind_them_as_they_are():
    decay, inputs = CASES["shared"]
    longer = jnp.pad(inputs, ((0, 0), (9, 0), (0, 0)))
    decays = jnp.pad(decay, ((0, 0), (9, 0), (0, 0)), constant_values=0.5)
    states = jax.jit(recurrence)(decays, longer)
    np.testing.assert_array_equal(states[:, :9], jnp.zeros((2, 9, 3)))
    np.testing.assert_allclose(states[:, 9:], jax.jit(recurrence)(decay, inputs), rtol=1e-6)
