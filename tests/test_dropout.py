"""Dropout's masks: their rate, their independence, and what they leave of the inputs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.extend.random import threefry_2x32

from harness_models._dropout import Dropout, random_levels, threefry


def dropped(rate: float, *, seed: int = 0, calls: int = 1) -> np.ndarray:
    """What `calls` calls leave of ones [400, 500]."""
    layer = Dropout(rate, rngs=nnx.Rngs(jax.random.key(seed)))
    return np.stack([np.asarray(layer(jnp.ones((400, 500)))) for _ in range(calls)])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_values_are_dropped_at_the_rate_and_the_others_scaled_up(rate: float):
    out = dropped(rate)
    share = (out == 0).mean()
    # five standard deviations of a binomial share of 200,000
    assert abs(share - rate) < 5 * np.sqrt(rate * (1 - rate) / out.size)
    np.testing.assert_allclose(out[out != 0], 1 / (1 - rate), rtol=1e-3)
    assert abs(out.mean() - 1) < 5 * np.sqrt(rate / (1 - rate) / out.size)


def test_masks_do_not_repeat_between_calls_seeds_rows_or_columns():
    first, second = dropped(0.5, calls=2) != 0
    other = (dropped(0.5, seed=1) != 0)[0]
    neighbours = [
        (first, second), (first, other), (first[1:], first[:-1]), (first[:, 1:], first[:, :-1])
    ]  # fmt: skip
    for a, b in neighbours:
        # agreement of fair coins: five standard deviations around a half
        assert abs((a == b).mean() - 0.5) < 2.5 / np.sqrt(a.size)


def test_the_same_seed_gives_the_same_masks():
    np.testing.assert_array_equal(dropped(0.3, calls=2), dropped(0.3, calls=2))


def test_levels_are_uniform():
    levels = np.asarray(random_levels(jax.random.key(3), jnp.uint32(7), (257, 511)))
    counts = np.bincount(levels.ravel() >> 8, minlength=256)  # by the high byte
    expected = levels.size / 256
    # chi squared with 255 degrees of freedom: mean 255, standard deviation 22.6
    assert abs(((counts - expected) ** 2 / expected).sum() - 255) < 5 * 22.6
    assert levels.max() < 1 << 16


def test_the_hash_is_jaxs_own():
    key, words = jax.random.key(5), jnp.arange(1000, dtype=jnp.uint32) * jnp.uint32(7919)
    own = np.concatenate(threefry(key, words[:500], words[500:]))
    np.testing.assert_array_equal(own, threefry_2x32(jax.random.key_data(key), words))


@pytest.mark.parametrize("shape", [(), (1,), (3,), (5, 7)])
def test_any_shape_gets_its_levels(shape: tuple[int, ...]):
    assert random_levels(jax.random.key(0), jnp.uint32(0), shape).shape == shape


def test_nothing_is_dropped_in_evaluation_or_at_rate_zero():
    x = jnp.arange(6.0)
    layer = Dropout(0.5, rngs=nnx.Rngs(0))
    layer.eval()
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(Dropout(0.0, rngs=nnx.Rngs(0))(x), x)


def test_all_is_dropped_at_rate_one_with_a_gradient_of_zero():
    layer = Dropout(1.0, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(layer(jnp.ones(4)), np.zeros(4))
    np.testing.assert_array_equal(jax.grad(lambda x: layer(x).sum())(jnp.ones(4)), np.zeros(4))


def test_a_rate_just_below_one_still_keeps_finite_values():
    out = Dropout(1 - 1e-9, rngs=nnx.Rngs(0))(jnp.ones(100))
    assert np.isfinite(out).all()
