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
    query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array | None
) -> jax.Array:
    """Attention as the paper writes it."""
    scores = jnp.einsum("bhqd,bhkd->bhqk", query, key)
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
