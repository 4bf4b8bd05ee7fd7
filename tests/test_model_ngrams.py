"""fastText: its sizes, the mean over words and n-grams, and what padding changes: nothing."""

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
from harness_models import ngrams
from harness_models._ngrams import ngram_ids
from harness_models.ngrams import NGrams

BUCKETS = 64

# 10 numbers a word and a bucket, and a linear layer from 10 to 2
PARAM_COUNTS = {
    "": 200_000 + 2_621_440 + 22,
    "unigram": 200_022,
    "trigram": 2_821_462,
    "wide": 14_107_302,
    "many_buckets": 10_685_782,
    "units": 2_821_702,
}
VARIANTS = sorted(PARAM_COUNTS)


pytestmark = pytest.mark.usefixtures("strict_jax")


def build(variant: str = "", data: harness.DataSpec = SMALL, **changes: Any) -> NGrams:
    fields = {**registered(ngrams).variants, "": {}}[variant]
    return NGrams(data, **{**fields, **changes}, rngs=nnx.Rngs(jax.random.key(0)))


def small(variant: str = "", data: harness.DataSpec = SMALL, **changes: Any) -> NGrams:
    # a variant of buckets keeps its own
    few = {} if variant == "many_buckets" else {"buckets": BUCKETS}
    return build(variant, data, **{**few, **changes})


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameter_counts_at_the_tutorials_sizes(variant: str):
    shapes = nnx.eval_shape(lambda: nnx.state(build(variant, IMDB), nnx.Param))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == PARAM_COUNTS[variant]


def test_the_variants_are_those_counted_and_each_changes_one_field():
    entry = registered(ngrams)
    assert sorted(entry.variants) == [name for name in VARIANTS if name]
    for changes in entry.variants.values():
        ((field, value),) = changes.items()
        assert value != entry.defaults[field]


@pytest.mark.parametrize("data", [SMALL, UNPADDED], ids=["padded", "unpadded"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_outputs_are_finite_float32_a_class(variant: str, data: harness.DataSpec):
    outputs = evaluate(small(variant, data), tokens())
    assert outputs.shape == (4, 3) and outputs.dtype == np.float32
    assert np.isfinite(outputs).all()


def mean_of_vectors(p: dict[str, np.ndarray], row: list[int], max_n: int) -> np.ndarray:
    """The mean vector [d] of the words and n-grams of one text without padding."""
    vectors = [p["words.embedding"][word] for word in row]
    for n in range(2, max_n + 1):
        for i in range(len(row) - n + 1):
            text = np.array([row[i : i + n]], np.int32)
            bucket = int(ngram_ids(text, n, buckets=BUCKETS, pad_id=None)[0][0, 0])
            vectors.append(p["ngrams.embedding"][bucket])
    return np.mean(vectors, axis=0) if vectors else np.zeros(10)


@pytest.mark.parametrize("variant", ["", "unigram", "trigram"])
def test_it_is_a_linear_layer_on_the_mean_of_words_and_ngrams(variant: str):
    model = small(variant)
    p = params(model)
    texts = [[3, 9], [5, 1, 2, 7], [4, 8, 16, 2, 9, 1], []]
    mean = np.stack([mean_of_vectors(p, row, model.max_n) for row in texts])  # [b, d]
    expected = mean @ p["head.out.kernel"] + p["head.out.bias"]
    np.testing.assert_allclose(evaluate(model, tokens()), expected, atol=1e-6)


def test_without_padding_every_id_is_a_word():
    model = small("", UNPADDED)
    p = params(model)
    mean = np.stack([mean_of_vectors(p, row, 2) for row in np.asarray(tokens()).tolist()])
    expected = mean @ p["head.out.kernel"] + p["head.out.bias"]
    np.testing.assert_allclose(evaluate(model, tokens()), expected, atol=1e-6)


def test_vectors_start_within_one_over_the_width():
    for name in ("words.embedding", "ngrams.embedding"):
        largest = np.abs(params(small(width=20))[name]).max()
        assert 0.045 < largest <= 0.05


@pytest.mark.parametrize("variant", VARIANTS)
def test_padding_changes_nothing(variant: str):
    model = small(variant)
    told = evaluate(model, tokens())
    longer = jnp.pad(tokens(), ((0, 0), (5, 0)))  # [b, t + 5]
    np.testing.assert_allclose(evaluate(model, longer), told, atol=1e-6)
    model.words.embedding[...] = model.words.embedding[...].at[0].set(100.0)
    np.testing.assert_array_equal(evaluate(model, tokens()), told)


@pytest.mark.parametrize("length", [1, 2, 4])
def test_shorter_batches_are_served(length: int):
    model = small("trigram")
    short = tokens()[:2, -length:]  # [b, t']
    padded = jnp.pad(short, ((0, 0), (6 - length, 0)))
    np.testing.assert_allclose(evaluate(model, short), evaluate(model, padded), atol=1e-6)


def test_order_counts_with_pairs_and_not_without():
    x = tokens()[2:3]
    turned = x[:, ::-1]
    assert np.abs(evaluate(small(), x) - evaluate(small(), turned)).max() > 1e-4
    alone = small("unigram")
    np.testing.assert_allclose(evaluate(alone, x), evaluate(alone, turned), atol=1e-6)


def gradients(model: NGrams, x: jax.Array, labels: jax.Array) -> nnx.State:
    def loss(model: NGrams) -> jax.Array:
        log_p = jax.nn.log_softmax(model(x))
        return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean()

    return nnx.grad(loss, argnums=nnx.DiffState(0, nnx.Param))(model)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_parameter_gets_a_finite_gradient(variant: str):
    grads = gradients(small(variant), tokens(), jnp.array([0, 1, 2, 0], jnp.int32))
    for path, leaf in nnx.to_flat_state(grads):
        assert np.isfinite(leaf[...]).all(), path
        assert np.abs(leaf[...]).max() > 1e-9, path


def test_dropout_is_on_in_training_and_off_in_evaluation():
    model = small(dropout=0.5)
    np.testing.assert_array_equal(evaluate(model, tokens()), evaluate(model, tokens()))
    model.train()
    assert not np.array_equal(model(tokens()), model(tokens()))


def test_half_precision_stays_near_the_full_one():
    model = small()
    told = evaluate(model, tokens())
    model.set_attributes(dtype=jnp.bfloat16, raise_if_not_found=False)
    half = model(tokens())
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), told, atol=0.02)


def test_a_seed_decides_the_parameters():
    first, again = params(small()), params(small())
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
    other = params(NGrams(SMALL, buckets=BUCKETS, rngs=nnx.Rngs(jax.random.key(1))))
    for name in ("words.embedding", "ngrams.embedding"):
        assert not np.array_equal(first[name], other[name])


def test_buckets_are_a_power_of_two():
    with pytest.raises(harness.UsageError, match="buckets=100: expected a power of two"):
        build(buckets=100)


def test_images_are_not_supported():
    images = harness.DataSpec(kind="image", shape=(8, 8, 1), num_classes=3)
    with pytest.raises(harness.Unsupported, match="image"):
        build(data=images)
