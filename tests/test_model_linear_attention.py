"""Linear attention: its sizes, its weights written out, padding, and the variants."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
import text_models
from small import mask_of, new_rngs, normal
from text_models import IMAGE, SMALL, UNPADDED, build, evaluate, linear, tokens

import harness
from harness_models import linear_attention
from harness_models.linear_attention import LinearAttention

PARAM_COUNTS = {
    "": 653_566, "no_position": 647_166, "no_attention": 649_278, "one_head": 653_566,
    "relu_map": 653_566, "deep": 672_958,
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("strict_jax")


def test_parameter_counts_are_those_of_the_transformer():
    assert text_models.counts(linear_attention) == PARAM_COUNTS


def feature_map(x: np.ndarray, name: str) -> np.ndarray:
    return np.maximum(x, 0) if name == "relu" else np.where(x > 0, x + 1, np.exp(x))


def attended(
    x: np.ndarray, real: np.ndarray, p: dict[str, np.ndarray], *, heads: int, name: str
) -> np.ndarray:
    """All weights of all pairs of positions, query by query: `[b, t, d]` to `[b, t, d]`."""
    query, key, value = (linear(x, p, part) for part in ("query", "key", "value"))
    mixed, size = np.zeros_like(x), x.shape[2] // heads
    for row, at, head in np.ndindex(x.shape[0], x.shape[1], heads):
        own = np.s_[head * size : (head + 1) * size]
        weights = feature_map(key[row, :, own], name) @ feature_map(query[row, at, own], name)
        weights = weights * real[row]
        if weights.sum() > 0:
            mixed[row, at, own] = weights @ value[row, :, own] / weights.sum()
    return linear(mixed, p, "out")


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("name", ["elu", "relu"])
def test_it_is_the_weighted_mean_over_real_keys(name: str, heads: int):
    layer = LinearAttention(4, heads, feature_map=name, rngs=new_rngs())
    x, mask = normal(3, 5, 4), mask_of("..xxx", "xxxxx", ".....")
    p = text_models.params(layer)
    wanted = attended(np.asarray(x), np.asarray(mask), p, heads=heads, name=name)
    np.testing.assert_allclose(layer(x, mask), wanted, atol=1e-4)
    everywhere = attended(np.asarray(x), np.ones((3, 5), bool), p, heads=heads, name=name)
    np.testing.assert_allclose(layer(x, None), everywhere, atol=1e-4)


def test_the_model_is_the_formula():
    model, rows = build(linear_attention), np.asarray(tokens())
    p, real = text_models.params(model), rows != 0
    x = p["embed.token.embedding"][rows] + p["position.table.embedding"]
    start = "blocks.0.attention.inner."
    own = {name.removeprefix(start): leaf for name, leaf in p.items() if start in name}
    x = x + attended(x, real, own, heads=2, name="elu")
    x = text_models.layer_norm(x, p, "blocks.0.attention.norm")
    name = "blocks.0.feedforward"
    hidden = np.maximum(linear(x, p, f"{name}.inner.expand"), 0)
    x = text_models.layer_norm(
        x + linear(hidden, p, f"{name}.inner.contract"), p, f"{name}.norm"
    )
    wanted = text_models.head(text_models.mean_of_tokens(x, real), p)
    np.testing.assert_allclose(evaluate(model, tokens()), wanted, atol=1e-4)


@pytest.mark.parametrize("variant", ["", "no_position", "no_attention", "deep"])
def test_padding_changes_no_answer(variant: str):
    text_models.assert_blind_to_padding(linear_attention, variant)


@pytest.mark.parametrize("variant", PARAM_COUNTS)
def test_every_parameter_gets_a_finite_gradient(variant: str):
    assert text_models.unreached(build(linear_attention, variant), tokens()) == []


def test_no_attention_sees_no_pairs():
    swapped = jnp.array([[1, 2, 3, 4, 5, 6], [3, 2, 1, 4, 5, 6]], jnp.int32)
    first, second = evaluate(build(linear_attention, "no_attention", position=False), swapped)
    np.testing.assert_allclose(first, second, atol=1e-6)
    first, second = evaluate(build(linear_attention), swapped)
    assert np.abs(first - second).max() > 1e-4


def test_data_without_padding_serve_shorter_inputs_too():
    outputs = evaluate(build(linear_attention, data=UNPADDED), tokens()[:, 2:])
    assert outputs.shape == (4, 3) and np.isfinite(outputs).all()


def test_a_seed_decides_the_parameters():
    text_models.assert_seeded(linear_attention)


def test_it_computes_in_bfloat16_what_it_does_in_float32():
    exact = evaluate(build(linear_attention), tokens())
    rough = text_models.in_bfloat16(build(linear_attention), tokens())
    np.testing.assert_allclose(rough, exact, atol=0.1)


def test_dropout_is_on_in_training_and_off_in_evaluation():
    text_models.assert_drops_in_training(linear_attention)


def test_outputs_are_float32_a_class():
    outputs = evaluate(build(linear_attention), tokens())
    assert outputs.shape == (4, SMALL.num_classes) and outputs.dtype == np.float32


def test_heads_that_do_not_divide_the_width_are_refused_in_one_line():
    with pytest.raises(harness.UsageError, match="num_heads=5.*use one of 1, 2, 4") as caught:
        build(linear_attention, num_heads=5)
    assert "\n" not in str(caught.value)


def test_images_are_not_supported():
    with pytest.raises(harness.Unsupported, match="image"):
        build(linear_attention, data=IMAGE)
