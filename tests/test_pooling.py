"""The pieces in `harness_models._pooling`, each against a plain definition of what it does."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small import mask_of, new_rngs, normal

from harness_models import _layers, _pooling
from harness_models._pooling import PoolingName

WIDTH = 8
MASK = ("..xx", "xxxx", "....")
NAMES: list[PoolingName] = ["mean", "max", "last", "attention"]


pytestmark = pytest.mark.usefixtures("strict_jax")


@pytest.mark.parametrize("name", NAMES)
def test_only_attention_has_parameters(name: PoolingName):
    pool = _pooling.Pooling(name, WIDTH, rngs=new_rngs())
    count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(pool, nnx.Param)))
    assert count == (WIDTH * WIDTH + 2 * WIDTH if name == "attention" else 0)


def test_a_name_stands_for_its_function():
    x, mask = normal(3, 4, WIDTH), mask_of(*MASK)
    functions: list[tuple[PoolingName, Any]] = [
        ("mean", _layers.mean_over_positions), ("max", _layers.max_over_positions),
        ("last", _pooling.last_position),
    ]  # fmt: skip
    for name, function in functions:
        pool = _pooling.Pooling(name, WIDTH, rngs=new_rngs())
        np.testing.assert_array_equal(pool(x, mask), function(x, mask))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_masked_does_not_count(name: PoolingName):
    pool = _pooling.Pooling(name, WIDTH, rngs=new_rngs())
    x, mask = normal(3, 4, WIDTH), mask_of(*MASK)
    pooled = pool(x, mask)
    assert pooled.shape == (3, WIDTH)
    other = jnp.where(mask[:, :, None], x, 7.0)
    np.testing.assert_array_equal(pool(other, mask), pooled)
    np.testing.assert_allclose(pool(x[:1, 2:], None), pooled[:1], atol=1e-6)
    np.testing.assert_allclose(pool(x[1:2], None), pooled[1:2], atol=1e-6)
    np.testing.assert_array_equal(pooled[2], np.zeros(WIDTH))


@pytest.mark.parametrize("name", NAMES)
def test_a_row_of_padding_has_a_gradient_of_zeros(name: PoolingName):
    pool = _pooling.Pooling(name, WIDTH, rngs=new_rngs())
    gradient = jax.grad(lambda x: pool(x, mask_of("....")).sum())(normal(1, 4, WIDTH))
    np.testing.assert_array_equal(gradient, np.zeros((1, 4, WIDTH)))


def test_the_last_position_is_the_last_column():
    x = normal(2, 4, WIDTH)
    np.testing.assert_array_equal(_pooling.last_position(x, None), x[:, 3])
    np.testing.assert_array_equal(_pooling.last_position(x, mask_of("...x", "xxxx")), x[:, 3])


def test_attention_weighs_positions_by_how_they_fit_the_query():
    pool = _pooling.AttentionPooling(WIDTH, rngs=new_rngs())
    noise = normal(WIDTH, seed=5)
    pool.project.bias = nnx.Param(noise)  # it starts at zero: a forgotten one would not show
    x = np.asarray(normal(2, 4, WIDTH))
    hidden = np.tanh(x @ np.asarray(pool.project.kernel[...]) + np.asarray(noise))
    scores = np.exp(hidden @ np.asarray(pool.query.kernel[...]))[:, :, 0]  # [b, t]
    expected = []
    for row, kept in enumerate([[2, 3], [0, 1, 2, 3]]):
        weights = scores[row, kept] / scores[row, kept].sum()
        expected.append(weights @ x[row, kept])
    found = pool(jnp.asarray(x), mask_of("..xx", "xxxx"))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_half_precision_is_weighted_in_single():
    pool = _pooling.AttentionPooling(WIDTH, rngs=new_rngs())
    x, mask = normal(3, 4, WIDTH), mask_of(*MASK)
    single = pool(x, mask)
    pool.set_attributes(dtype=jnp.bfloat16)
    half = pool(x.astype(jnp.bfloat16), mask)
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), single, atol=0.05)
