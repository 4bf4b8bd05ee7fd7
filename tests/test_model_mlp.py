from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import harness
from harness_models.mlp import MLP

pytestmark = pytest.mark.usefixtures("strict_jax")
FEATURES = harness.DataSpec(kind="features", shape=(5,), num_classes=3)
IMAGE = harness.DataSpec(kind="image", shape=(4, 3, 2), num_classes=3)


def build(data: harness.DataSpec = FEATURES, **parameters) -> MLP:
    return MLP(data, rngs=nnx.Rngs(jax.random.key(0)), **parameters)


def count(model: MLP) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


@pytest.mark.parametrize("data", [FEATURES, IMAGE], ids=["features", "image"])
def test_it_gives_one_output_a_class(data: harness.DataSpec):
    x = jnp.ones((7, *data.shape), jnp.float32)
    outputs = build(data)(x)
    assert outputs.shape == (7, 3) and outputs.dtype == np.float32


def test_its_layers_hold_the_parameters_that_they_should():
    assert count(build(units=8)) == 5 * 8 + 8 + 8 * 3 + 3
    assert count(build(units=8, layers=3)) == 5 * 8 + 8 + 2 * (8 * 8 + 8) + 8 * 3 + 3
    assert count(build(units=0)) == 5 * 3 + 3


def test_without_units_it_is_linear():
    model = build(units=0)
    x = jax.random.normal(jax.random.key(1), (4, 5))
    sums = np.asarray(model(x[:2])) + np.asarray(model(x[2:]))
    twice = np.asarray(model(x[:2] + x[2:])) + np.asarray(model(jnp.zeros((2, 5), jnp.float32)))
    np.testing.assert_allclose(sums, twice, rtol=1e-4, atol=1e-5)


def test_tokens_are_refused():
    with pytest.raises(harness.Unsupported, match="needs numbers"):
        build(harness.DataSpec(kind="tokens", shape=(5,), vocab_size=9, num_classes=2))
