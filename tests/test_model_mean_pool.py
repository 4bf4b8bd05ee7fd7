"""The mean-pooling baseline: its sizes, what it computes, and what each variant changes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from text_models import IMDB, SMALL, UNPADDED, params, registered, tokens
from text_models import evaluate_eagerly as evaluate

import harness
from harness_models import mean_pool
from harness_models.mean_pool import MeanPool
from harness_models.transformer import Transformer

PARAM_COUNTS = {"": 640_702, "masked": 640_702, "linear": 640_066}
VARIANTS = sorted(PARAM_COUNTS)


pytestmark = pytest.mark.usefixtures("strict_jax")


def build(variant: str = "", data: harness.DataSpec = SMALL, **changes: Any) -> MeanPool:
    fields = {**registered(mean_pool).variants, "": {}}[variant]
    return MeanPool(data, **{**fields, **changes}, rngs=nnx.Rngs(jax.random.key(0)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameter_counts_at_the_tutorials_sizes(variant: str):
    shapes = nnx.eval_shape(lambda: nnx.state(build(variant, IMDB), nnx.Param))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == PARAM_COUNTS[variant]


def test_the_variants_are_those_counted_and_each_changes_one_field():
    entry = registered(mean_pool)
    assert sorted(entry.variants) == [name for name in VARIANTS if name]
    for changes in entry.variants.values():
        ((field, value),) = changes.items()
        assert value != entry.defaults[field]


@pytest.mark.parametrize("data", [SMALL, UNPADDED], ids=["padded", "unpadded"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_outputs_are_finite_float32_a_class(variant: str, data: harness.DataSpec):
    outputs = evaluate(build(variant, data), tokens())
    assert outputs.shape == (4, 3) and outputs.dtype == np.float32
    assert np.isfinite(outputs).all()


def test_it_is_the_head_on_the_mean_of_the_token_vectors():
    model = build()
    p = params(model)
    mean = p["embed.token.embedding"][np.asarray(tokens())].mean(axis=1)
    units = np.maximum(mean @ p["head.hidden.kernel"] + p["head.hidden.bias"], 0)
    expected = units @ p["head.out.kernel"] + p["head.out.bias"]
    np.testing.assert_allclose(evaluate(model, tokens()), expected, atol=1e-5)


def test_linear_is_one_layer_on_the_mean():
    model = build("linear")
    p = params(model)
    mean = p["embed.token.embedding"][np.asarray(tokens())].mean(axis=1)
    expected = mean @ p["head.out.kernel"] + p["head.out.bias"]
    np.testing.assert_allclose(evaluate(model, tokens()), expected, atol=1e-5)


def test_it_is_the_transformer_without_its_parts():
    bare = Transformer(
        SMALL, position=False, attention=False, feedforward=False,
        rngs=nnx.Rngs(jax.random.key(0)),
    )  # fmt: skip
    np.testing.assert_array_equal(evaluate(build(), tokens()), evaluate(bare, tokens()))


def gradients(model: MeanPool, x: jax.Array, labels: jax.Array) -> nnx.State:
    def loss(model: MeanPool) -> jax.Array:
        log_p = jax.nn.log_softmax(model(x))
        return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean()

    return nnx.grad(loss, argnums=nnx.DiffState(0, nnx.Param))(model)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_parameter_gets_a_finite_gradient(variant: str):
    model = build(variant)
    model.eval()  # which parameters take part is the same, and dropout is slow to compile
    grads = gradients(model, tokens(), jnp.array([0, 1, 2, 0], jnp.int32))
    for path, leaf in nnx.to_flat_state(grads):
        assert np.isfinite(leaf[...]).all(), path
        assert np.abs(leaf[...]).max() > 1e-9, path


def test_masked_leaves_padding_out_of_the_mean():
    longer = jnp.pad(tokens(), ((0, 0), (5, 0)))  # [b, t + 5]
    masked = build("masked")
    np.testing.assert_allclose(evaluate(masked, tokens()), evaluate(masked, longer), atol=1e-6)
    base = build()
    difference = np.abs(evaluate(base, tokens()) - evaluate(base, longer)).max(axis=1)
    assert (difference[:3] > 1e-4).all()


def test_masked_is_the_base_model_where_nothing_is_padding():
    np.testing.assert_array_equal(
        evaluate(build("masked", UNPADDED), tokens()), evaluate(build("", UNPADDED), tokens())
    )


def test_dropout_is_on_in_training_and_off_in_evaluation():
    model = build()
    np.testing.assert_array_equal(evaluate(model, tokens()), evaluate(model, tokens()))
    model.train()
    assert not np.array_equal(model(tokens()), model(tokens()))


def test_a_seed_decides_the_parameters():
    first, again = params(build()), params(build())
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
    other = params(MeanPool(SMALL, rngs=nnx.Rngs(jax.random.key(1))))
    name = "embed.token.embedding"
    assert not np.array_equal(first[name], other[name])


def test_images_are_not_supported():
    images = harness.DataSpec(kind="image", shape=(8, 8, 1), num_classes=3)
    with pytest.raises(harness.Unsupported, match="image"):
        build(data=images)
