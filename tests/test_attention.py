"""Attention against flax's module and against the formula in the paper."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small import mask_of, new_rngs, normal

import harness
from harness_models import _attention
from harness_models._positions import Relations, rotate

WIDTH = 8


pytestmark = pytest.mark.usefixtures("strict_jax")


def flax_attention(num_heads: int) -> nnx.MultiHeadAttention:
    return nnx.MultiHeadAttention(num_heads, WIDTH, WIDTH, decode=False, rngs=new_rngs())


def copy_weights(source: nnx.MultiHeadAttention, target: _attention.SelfAttention) -> None:
    """Gives `target` the weights of `source`, with the axes of the heads merged."""
    state = nnx.state(target, nnx.Param)
    given = nnx.state(source, nnx.Param)
    merged = jax.tree.map(lambda own, other: other.reshape(own.shape), state, given)
    # biases start at zero: fill them, or a forgotten one would not show
    filled = jax.tree.map(lambda leaf: leaf + 0.1 * (leaf.ndim == 1), merged)
    nnx.update(target, filled)
    nnx.update(source, jax.tree.map(lambda a, b: a.reshape(b.shape), filled, given))


@pytest.mark.parametrize("num_heads", [1, 2, 4])
@pytest.mark.parametrize("rows", [(), ("....x", "..xxx", "xxxxx")], ids=["all", "masked"])
def test_attention_is_flax_multi_head_attention(num_heads: int, rows: tuple[str, ...]):
    mask = mask_of(*rows) if rows else None
    reference = flax_attention(num_heads)
    attention = _attention.SelfAttention(WIDTH, num_heads, rngs=nnx.Rngs(jax.random.key(9)))
    copy_weights(reference, attention)
    x = normal(3, 5, WIDTH)
    expected = reference(x, mask=None if mask is None else mask[:, None, None, :])
    np.testing.assert_allclose(attention(x, mask), expected, atol=2e-6)


def test_attention_starts_from_the_parameters_of_flax_multi_head_attention():
    own = nnx.state(_attention.SelfAttention(WIDTH, 2, rngs=new_rngs()), nnx.Param)
    given = nnx.state(flax_attention(2), nnx.Param)
    pairs = jax.tree.map(lambda a, b: (a, b.reshape(a.shape)), own, given)
    for mine, theirs in jax.tree.leaves(pairs, is_leaf=lambda x: isinstance(x, tuple)):
        np.testing.assert_array_equal(mine, theirs)


def test_heads_that_do_not_divide_the_width_are_refused_in_one_line():
    with pytest.raises(harness.UsageError) as caught:
        _attention.SelfAttention(12, 5, rngs=new_rngs())
    assert str(caught.value) == (
        "num_heads=5 does not divide the width 12; use one of 1, 2, 3, 4, 6, 12"
    )


def test_attention_does_not_look_at_masked_positions():
    attention = _attention.SelfAttention(WIDTH, 2, rngs=new_rngs())
    x = normal(1, 4, WIDTH)
    changed = x.at[:, :2].add(100.0)
    mask = mask_of("..xx")
    np.testing.assert_array_equal(attention(x, mask)[:, 2:], attention(changed, mask)[:, 2:])
    assert not np.allclose(attention(x)[:, 2:], attention(changed)[:, 2:])


def test_attention_over_nothing_but_padding_is_finite():
    attention = _attention.SelfAttention(WIDTH, 2, rngs=new_rngs())
    value, gradient = jax.value_and_grad(lambda x: attention(x, mask_of("....")).sum())(
        normal(1, 4, WIDTH)
    )
    assert np.isfinite(value) and np.isfinite(gradient).all()


def plain(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None,
    bias: jax.Array | None = None,
) -> jax.Array:
    """Attention as the paper writes it."""
    scores = jnp.einsum("bhqd,bhkd->bhqk", query, key)
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        scores = jnp.where(mask, scores, jnp.finfo(scores.dtype).min)
    return jnp.einsum("bhqk,bhkd->bhqd", jax.nn.softmax(scores), value)


@pytest.mark.parametrize("rows", [(), ("....x", "..xxx", ".....")], ids=["all", "masked"])
def test_values_and_gradients_are_those_of_the_plain_formula(rows: tuple[str, ...]):
    mask = mask_of(*rows)[:, None, None, :] if rows else None
    query, key, value = (normal(3, 2, 5, 4, seed=seed) for seed in (1, 2, 3))

    def pulled(attend, *arrays: jax.Array):
        mixed, pull = jax.vjp(lambda q, k, v: attend(q, k, v, mask), *arrays)
        return mixed, *pull(normal(3, 2, 5, 4, seed=4))

    own = pulled(_attention.attend, query, key, value)
    expected = pulled(plain, query, key, value)
    for mine, theirs in zip(own, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=3e-6)


@pytest.mark.parametrize("relations", [Relations(window=1), Relations(alibi=True, window=2)])
@pytest.mark.parametrize("rows", [(), ("....x", "..xxx", ".....")], ids=["all", "masked"])
def test_a_window_and_a_bias_are_in_values_and_gradients(
    relations: Relations, rows: tuple[str, ...]
):
    mask, bias = relations.near(5), relations.bias(2, 5)
    assert mask is not None
    if rows:  # queries of padding may see nothing at all then
        mask = mask_of(*rows)[:, None, None, :] & mask

    def pulled(attend, *arrays: jax.Array):
        mixed, pull = jax.vjp(lambda q, k, v: attend(q, k, v, mask, bias), *arrays)
        return mixed, *pull(normal(3, 2, 5, 4, seed=4))

    arrays = [normal(3, 2, 5, 4, seed=seed) for seed in (1, 2, 3)]
    own, expected = pulled(_attention.attend, *arrays), pulled(plain, *arrays)
    for mine, theirs in zip(own, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=3e-6)
    without = _attention.attend(*arrays, None)
    assert not np.allclose(own[0], without, atol=1e-2)


def related(relations: Relations) -> _attention.SelfAttention:
    return _attention.SelfAttention(WIDTH, 2, relations=relations, rngs=new_rngs())


def test_a_position_sees_so_many_others_on_either_side():
    attention, x = related(Relations(window=2)), normal(1, 7, WIDTH)
    changed = x.at[:, 3].add(1.0)
    moved = (np.asarray(attention(x)) != np.asarray(attention(changed))).any(axis=2)
    np.testing.assert_array_equal(moved[0], [False, True, True, True, True, True, False])


def test_attention_with_rotary_positions_is_the_formula_on_turned_vectors():
    attention, x = related(Relations(rotary=True)), normal(2, 5, WIDTH)
    split = [
        np.stack(np.split(np.asarray(layer(x)), 2, axis=-1), axis=1)  # [b, h, t, d/h]
        for layer in (attention.query, attention.key, attention.value)
    ]
    query, key = (rotate(jnp.asarray(a), jnp.arange(5)[::-1]) for a in split[:2])
    mixed = plain(query / 2, key, jnp.asarray(split[2]), None)  # a head is 4 wide
    merged = jnp.concatenate([mixed[:, 0], mixed[:, 1]], axis=-1)
    np.testing.assert_allclose(attention(x), attention.out(merged), atol=1e-5)


def test_attention_with_alibi_is_the_formula_with_a_bias():
    attention, x = related(Relations(alibi=True)), normal(2, 5, WIDTH)
    split = [
        jnp.asarray(np.stack(np.split(np.asarray(layer(x)), 2, axis=-1), axis=1))
        for layer in (attention.query, attention.key, attention.value)
    ]
    apart = np.abs(np.arange(5)[:, None] - np.arange(5))
    bias = jnp.asarray(-np.array([2**-4, 2**-8], np.float32)[None, :, None, None] * apart)
    mixed = plain(split[0] / 2, split[1], split[2], None, bias.astype(jnp.float32))
    merged = jnp.concatenate([mixed[:, 0], mixed[:, 1]], axis=-1)
    np.testing.assert_allclose(attention(x), attention.out(merged), atol=1e-5)


def test_rotary_positions_need_heads_of_an_even_width():
    with pytest.raises(harness.UsageError, match="2 heads of the width 6 have 3 each"):
        _attention.SelfAttention(6, 2, relations=Relations(rotary=True), rngs=new_rngs())


def test_scores_that_would_overflow_an_exponential_are_no_problem():
    query = 200.0 * jnp.ones((1, 1, 2, 4))
    out = _attention.attend(query, jnp.ones((1, 1, 3, 4)), normal(1, 1, 3, 4), None)
    np.testing.assert_allclose(out[0, 0, 0], normal(1, 1, 3, 4)[0, 0].mean(axis=0), atol=1e-6)


def test_half_precision_in_half_precision_out_and_close_to_single():
    arrays = [normal(3, 2, 5, 4, seed=seed) for seed in (1, 2, 3)]
    half = [array.astype(jnp.bfloat16) for array in arrays]

    def pulled(arrays: list[jax.Array]):
        mixed, pull = jax.vjp(lambda q, k, v: _attention.attend(q, k, v, None), *arrays)
        return mixed, *pull(jnp.ones_like(mixed))

    for mine, single in zip(pulled(half), pulled(arrays), strict=True):
        assert mine.dtype == jnp.bfloat16
        np.testing.assert_allclose(mine.astype(jnp.float32), single, atol=0.05)
