"""The hierarchy: its sizes, segments by hand, padding, and what each variant changes."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import text_models
from small import mask_of, normal
from text_models import IMAGE, SMALL, UNPADDED, build, evaluate, linear, tokens

import harness
from harness_models import hierarchical
from harness_models.hierarchical import segment_means

PARAM_COUNTS = {
    "": 647_806, "no_position": 647_166, "no_attention": 643_518, "short_segments": 648_446,
    "long_segments": 647_326, "deep": 667_198,
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("strict_jax")


def test_parameter_counts_at_the_tutorials_sizes():
    assert text_models.counts(hierarchical) == PARAM_COUNTS


def test_segments_are_cut_from_the_end_and_average_their_tokens():
    x = normal(3, 5, 4)
    means, counted = segment_means(x, mask_of("....x", "..xxx", "xxxxx"), segment=2)
    np.testing.assert_array_equal(counted, mask_of("..x", ".xx", "xxx"))
    rows = np.asarray(x)
    np.testing.assert_array_equal(means[0, :2], np.zeros((2, 4)))
    np.testing.assert_allclose(means[0, 2], rows[0, 4], rtol=1e-6)
    np.testing.assert_allclose(means[1, 1], rows[1, 2], rtol=1e-6)
    np.testing.assert_allclose(means[1, 2], rows[1, 3:].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(means[2, 0], rows[2, 0], rtol=1e-6)
    np.testing.assert_allclose(means[2, 1], rows[2, 1:3].mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("segment", [1, 2, 3, 5, 7])
def test_without_padding_all_segments_count(segment: int):
    x = normal(2, 6, 4)
    means, counted = segment_means(x, None, segment=segment)
    assert counted is None
    rows = np.asarray(x)
    starts = [max(0, end - segment) for end in range(6, 0, -segment)]
    ends = list(range(6, 0, -segment))
    wanted = [rows[:, i:j].mean(axis=1) for i, j in zip(starts, ends, strict=True)]
    np.testing.assert_allclose(means, np.stack(wanted[::-1], axis=1), rtol=1e-5, atol=1e-6)


def attended(x: np.ndarray, real: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    """Softmax attention of two heads, query by query: `[b, s, d]` to `[b, s, d]`."""
    start = "blocks.0.attention.inner."
    query, key, value = (linear(x, p, start + part) for part in ("query", "key", "value"))
    mixed, size = np.zeros_like(x), x.shape[2] // 2
    for row, at, head in np.ndindex(x.shape[0], x.shape[1], 2):
        own = np.s_[head * size : (head + 1) * size]
        scores = key[row, :, own] @ query[row, at, own] / np.sqrt(size)
        weights = np.where(real[row], np.exp(scores), 0)
        mixed[row, at, own] = weights @ value[row, :, own] / max(weights.sum(), 1e-9)
    return linear(mixed, p, start + "out")


def test_it_is_the_formula():
    model, rows = build(hierarchical, segment=2), np.asarray(tokens())
    p, real = text_models.params(model), rows != 0
    vectors = p["embed.token.embedding"][rows]
    parts = [text_models.mean_of_tokens(vectors[:, i : i + 2], real[:, i : i + 2])
             for i in (0, 2, 4)]  # fmt: skip
    counted = real.reshape(4, 3, 2).any(axis=2)
    x = np.stack(parts, axis=1) + p["position.table.embedding"]
    x = text_models.layer_norm(x + attended(x, counted, p), p, "blocks.0.attention.norm")
    name = "blocks.0.feedforward"
    hidden = np.maximum(linear(x, p, f"{name}.inner.expand"), 0)
    x = text_models.layer_norm(
        x + linear(hidden, p, f"{name}.inner.contract"), p, f"{name}.norm"
    )
    wanted = text_models.head(text_models.mean_of_tokens(x, counted), p)
    np.testing.assert_allclose(evaluate(model, tokens()), wanted, atol=1e-4)


@pytest.mark.parametrize("segment", [2, 3, 4])
def test_padding_changes_no_answer(segment: int):
    text_models.assert_blind_to_padding(hierarchical, "", segment=segment)


@pytest.mark.parametrize("variant", ["no_position", "no_attention", "deep"])
def test_padding_changes_no_answer_of_a_variant(variant: str):
    text_models.assert_blind_to_padding(hierarchical, variant, segment=2)


@pytest.mark.parametrize("variant", PARAM_COUNTS)
def test_every_parameter_gets_a_finite_gradient(variant: str):
    changes: dict[str, Any] = {} if "segments" in variant else {"segment": 2}
    left = set(text_models.unreached(build(hierarchical, variant, **changes), tokens()))
    # a constant added to every key shifts all scores of a query alike: no gradient
    left -= {name for name in left if name.endswith("key.bias")}
    if not changes:  # one segment attends to itself alone, whatever query and key are
        left -= {name for name in left if "attention.inner.query" in name}
        left -= {name for name in left if "attention.inner.key" in name}
    assert left == set()


def test_order_within_a_segment_is_lost_and_between_segments_kept():
    rows = [[1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5], [3, 4, 1, 2, 5, 6]]
    model = build(hierarchical, segment=2)
    base, within, between = evaluate(model, jnp.array(rows, jnp.int32))
    np.testing.assert_allclose(base, within, atol=1e-6)
    assert np.abs(base - between).max() > 1e-4


def test_data_without_padding_serve_shorter_inputs_too():
    outputs = evaluate(build(hierarchical, data=UNPADDED), tokens()[:, 2:])
    assert outputs.shape == (4, 3) and np.isfinite(outputs).all()


def test_a_seed_decides_the_parameters():
    text_models.assert_seeded(hierarchical)


def test_it_computes_in_bfloat16_what_it_does_in_float32():
    exact = evaluate(build(hierarchical, segment=2), tokens())
    rough = text_models.in_bfloat16(build(hierarchical, segment=2), tokens())
    np.testing.assert_allclose(rough, exact, atol=0.1)


def test_dropout_is_on_in_training_and_off_in_evaluation():
    text_models.assert_drops_in_training(hierarchical)


def test_outputs_are_float32_a_class():
    outputs = evaluate(build(hierarchical), tokens())
    assert outputs.shape == (4, SMALL.num_classes) and outputs.dtype == np.float32


def test_images_are_not_supported():
    with pytest.raises(harness.Unsupported, match="image"):
        build(hierarchical, data=IMAGE)
