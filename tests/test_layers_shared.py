"""The pieces in `harness_models._layers`, each against a plain definition of what it does."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small import mask_of, new_rngs, normal

import harness
from harness_models import _layers
from harness_models._attention import SelfAttention
from harness_models._positions import Relations

WIDTH = 8


pytestmark = pytest.mark.usefixtures("strict_jax")


def param_shapes(module: nnx.Module) -> list[tuple[int, ...]]:
    return [leaf.shape for leaf in jax.tree.leaves(nnx.state(module, nnx.Param))]


def test_text_sizes_are_vocabulary_and_positions():
    data = harness.DataSpec(kind="tokens", shape=(7,), vocab_size=11, num_classes=2)
    assert _layers.text_sizes(data) == (11, 7)


@pytest.mark.parametrize(
    "data",
    [
        harness.DataSpec(kind="image", shape=(8, 8, 1), num_classes=2),
        harness.DataSpec(kind="features", shape=(8,), num_classes=2),
        harness.DataSpec(kind="tokens", shape=(8, 8), vocab_size=11, num_classes=2),
    ],
)
def test_text_sizes_refuses_what_is_not_a_sequence_of_tokens(data: harness.DataSpec):
    with pytest.raises(harness.Unsupported) as caught:
        _layers.text_sizes(data)
    message = str(caught.value)
    assert data.kind in message and str(data.shape) in message and "\n" not in message


def test_real_positions_are_those_without_the_pad_id():
    tokens = jnp.array([[0, 0, 7], [5, 6, 7]])
    mask = _layers.real_positions(tokens, pad_id=0)
    assert mask is not None
    np.testing.assert_array_equal(mask, mask_of("..x", "xxx"))


def test_without_a_pad_id_there_is_no_mask():
    assert _layers.real_positions(jnp.array([[0, 0, 7]]), pad_id=None) is None


@pytest.mark.parametrize(
    "pool, plain",
    [(_layers.mean_over_positions, np.mean), (_layers.max_over_positions, np.max)],
)
def test_pooling_counts_real_positions_only(pool, plain):
    # all negative, so that a zero from padding could win a maximum
    x = -jnp.abs(normal(3, 4, WIDTH)) - 1
    pooled = pool(x, mask_of("..xx", "xxxx", "...."))
    rows = np.asarray(x)
    np.testing.assert_allclose(pooled[0], plain(rows[0, 2:], axis=0), rtol=1e-6)
    np.testing.assert_allclose(pooled[1], plain(rows[1], axis=0), rtol=1e-6)
    np.testing.assert_array_equal(pooled[2], np.zeros(WIDTH))
    np.testing.assert_allclose(pool(x, None), plain(rows, axis=1), rtol=1e-6)


@pytest.mark.parametrize("pool", [_layers.mean_over_positions, _layers.max_over_positions])
def test_pooling_a_row_of_padding_has_a_finite_gradient(pool):
    gradient = jax.grad(lambda x: pool(x, mask_of("....")).sum())(normal(1, 4, WIDTH))
    np.testing.assert_array_equal(gradient, np.zeros((1, 4, WIDTH)))


def test_an_embedding_adds_a_vector_for_the_position():
    embed = _layers.TokenEmbedding(5, 3, WIDTH, position=True, rngs=new_rngs())
    assert param_shapes(embed) == [(3, WIDTH), (5, WIDTH)]
    x = embed(jnp.array([[4, 4, 1]]))
    assert embed.position is not None
    positions = embed.position.embedding[...]
    np.testing.assert_allclose(x[0, 1] - x[0, 0], positions[1] - positions[0], atol=1e-6)


def test_an_embedding_without_positions_holds_no_vectors_for_them():
    embed = _layers.TokenEmbedding(5, 3, WIDTH, position=False, rngs=new_rngs())
    assert param_shapes(embed) == [(5, WIDTH)]
    x = embed(jnp.array([[4, 4, 1]]))
    np.testing.assert_array_equal(x[0, 0], x[0, 1])


def test_a_shorter_batch_takes_the_last_of_the_vectors_for_positions():
    embed = _layers.TokenEmbedding(5, 4, WIDTH, position=True, rngs=new_rngs())
    whole = embed(jnp.array([[0, 0, 3, 1]]))
    np.testing.assert_array_equal(embed(jnp.array([[3, 1]])), whole[:, 2:])
    np.testing.assert_array_equal(embed(jnp.array([[1]])), whole[:, 3:])


def test_a_feed_forward_layer_ends_at_the_width_it_began_with():
    layer = _layers.FeedForward(WIDTH, 3, rngs=new_rngs())
    assert layer(normal(2, 4, WIDTH)).shape == (2, 4, WIDTH)
    assert param_shapes(layer) == [(WIDTH,), (3, WIDTH), (3,), (WIDTH, 3)]


@pytest.mark.parametrize("activation", ["relu", "gelu", "swiglu"])
def test_units_of_a_feed_forward_layer_are_those_of_the_papers(activation: Any):
    layer = _layers.FeedForward(WIDTH, 3, activation=activation, rngs=new_rngs())
    x = np.asarray(normal(2, 4, WIDTH), np.float64)
    inner = x @ np.asarray(layer.expand.kernel[...])
    if activation == "relu":
        units = np.maximum(inner, 0)
    elif activation == "gelu":
        units = inner * np.vectorize(lambda v: (1 + math.erf(v / math.sqrt(2))) / 2)(inner)
    else:
        assert layer.gated is not None
        units = inner / (1 + np.exp(-inner)) * (x @ np.asarray(layer.gated.kernel[...]))
    expected = units @ np.asarray(layer.contract.kernel[...])  # biases start at zero
    np.testing.assert_allclose(layer(jnp.asarray(x, jnp.float32)), expected, atol=1e-5)


def test_swiglu_alone_has_a_third_layer():
    layer = _layers.FeedForward(WIDTH, 3, activation="swiglu", rngs=new_rngs())
    assert sorted(param_shapes(layer)) == sorted(
        2 * [(3,), (WIDTH, 3)] + [(WIDTH,), (3, WIDTH)]
    )


def test_post_norm_normalises_the_sum_of_input_and_update():
    layer = _layers.PostNorm(lambda x: 2 * x, WIDTH, dropout=0.0, rngs=new_rngs())
    x = normal(2, 4, WIDTH)
    tripled = 3 * np.asarray(x)
    centred = tripled - tripled.mean(axis=-1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


def test_post_norm_drops_parts_of_the_update_and_not_of_the_input():
    x = normal(2, 4, WIDTH)
    layer = _layers.PostNorm(lambda x: x, WIDTH, dropout=1.0, rngs=new_rngs())
    without = _layers.PostNorm(jnp.zeros_like, WIDTH, dropout=0.0, rngs=new_rngs())
    np.testing.assert_array_equal(layer(x), without(x))


def test_pre_norm_normalises_what_the_inner_layer_is_given_and_nothing_else():
    layer = _layers.PreNorm(lambda x: 2 * x, WIDTH, dropout=0.0, rngs=new_rngs())
    x = np.asarray(normal(2, 4, WIDTH))
    centred = x - x.mean(axis=-1, keepdims=True)
    normalised = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(layer(jnp.asarray(x)), x + 2 * normalised, atol=1e-5)


def test_pre_norm_drops_parts_of_the_update_and_not_of_the_input():
    x = normal(2, 4, WIDTH)
    layer = _layers.PreNorm(lambda x: x, WIDTH, dropout=1.0, rngs=new_rngs())
    np.testing.assert_array_equal(layer(x), x)


def new_block(*, attention: bool, feedforward: bool, **options: Any) -> _layers.EncoderBlock:
    return _layers.EncoderBlock(
        WIDTH, num_heads=2, ff_dim=6, dropout=0.1,
        attention=attention, feedforward=feedforward, rngs=new_rngs(), **options,
    )  # fmt: skip


def test_a_block_hands_its_options_to_its_sublayers():
    block = new_block(
        attention=True, feedforward=True, norm="pre", activation="gelu",
        relations=Relations(window=3),
    )  # fmt: skip
    for sublayer in (block.attention, block.feedforward):
        assert isinstance(sublayer, _layers.PreNorm)
    assert block.attention is not None and block.feedforward is not None
    assert isinstance(block.attention.inner, SelfAttention)
    assert block.attention.inner.relations == Relations(window=3)
    assert isinstance(block.feedforward.inner, _layers.FeedForward)
    assert block.feedforward.inner.activation == "gelu"


def test_a_block_without_its_sublayers_is_the_identity_and_holds_nothing():
    block = new_block(attention=False, feedforward=False)
    x = normal(2, 4, WIDTH)
    np.testing.assert_array_equal(block(x), x)
    assert jax.tree.leaves(nnx.state(block)) == []


def test_only_attention_carries_anything_from_one_position_to_another():
    x = normal(1, 4, WIDTH)
    changed = x.at[:, 0].add(1.0)
    for attention in (False, True):
        block = new_block(attention=attention, feedforward=True)
        block.eval()
        moved = not np.array_equal(block(x)[:, 1:], block(changed)[:, 1:])
        assert moved is attention


def test_a_head_without_units_is_one_linear_layer():
    head = _layers.Head(WIDTH, 0, 3, dropout=0.1, rngs=new_rngs())
    head.eval()
    assert param_shapes(head) == [(3,), (WIDTH, 3)]
    x = normal(2, WIDTH)
    np.testing.assert_allclose(head(x) + head(-x), 2 * head(0 * x), atol=1e-6)


def test_a_head_with_units_has_a_relu_layer():
    head = _layers.Head(WIDTH, 20, 3, dropout=0.1, rngs=new_rngs())
    head.eval()
    assert param_shapes(head) == [(20,), (WIDTH, 20), (3,), (20, 3)]
    x = normal(2, WIDTH)
    assert not np.allclose(head(x) + head(-x), 2 * head(0 * x), atol=1e-3)


def test_pre_norm_adds_what_comes_of_the_normalised_input():
    layer = _layers.PreNorm(lambda x, k: 2 * x + k, WIDTH, dropout=0.0, rngs=new_rngs())
    x = np.asarray(normal(2, 3, WIDTH))
    centred = x - x.mean(axis=-1, keepdims=True)
    unit = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
    context = jnp.ones((2, 3, 1))
    np.testing.assert_allclose(layer(jnp.asarray(x), context), x + 2 * unit + 1, atol=1e-4)
