"""NB-SVM: the paper's ratios, presence and interpolation against NumPy, and its sizes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from text_models import IMDB, SMALL, registered

import harness
from harness.specs import Prepares
from harness_models import nb_svm
from harness_models._ngrams import ngram_ids
from harness_models.nb_svm import NBSVM

UNPADDED = replace(SMALL, pad_id=None)
TWO = replace(SMALL, num_classes=2, class_names=())
LABELS = replace(TWO, task="multi_label")
BUCKETS = 64

# a weight a word and a bucket, and a bias, for the log odds of the second class
PARAM_COUNTS = {
    "": 20_000 + 2_097_152 + 1,
    "unigram": 20_001,
    "trigram": 2_117_153,
    "no_ratios": 2_117_153,
    "interpolated": 2_117_153,
}
VARIANTS = sorted(PARAM_COUNTS)

# much, some, no and nothing but padding in front; a word and a pair that are there twice
TEXTS = [[3, 9], [5, 1, 2, 7], [4, 8, 4, 8, 9, 1], [], [3, 9, 5], [7, 7, 7]]
TRAIN = {
    "x": np.array([[0] * (6 - len(text)) + text for text in TEXTS], np.int32),
    "y": np.array([0, 1, 2, 0, 1, 1], np.int32),
}


pytestmark = pytest.mark.usefixtures("strict_jax")


class Examples:
    """A random-access source: single examples by position, and no mapping."""

    def __len__(self) -> int:
        return len(TEXTS)

    def __getitem__(self, index: int, /) -> Mapping[str, Any]:
        return {name: values[index] for name, values in TRAIN.items()}


def build(variant: str = "", data: harness.DataSpec = SMALL, **changes: Any) -> NBSVM:
    fields = {**registered(nb_svm).variants, "": {}}[variant]
    return NBSVM(data, **{**fields, **changes}, rngs=nnx.Rngs(jax.random.key(0)))


def prepared(variant: str = "", data: harness.DataSpec = SMALL, **changes: Any) -> NBSVM:
    """A small model that has seen the training texts, with weights as after training."""
    model = build(variant, data, **{"buckets": BUCKETS, **changes})
    model.prepare(TRAIN if data.num_classes == 3 else {**TRAIN, "y": labels(data)})
    draw = np.random.default_rng(0)
    for param in (model.weights, model.bias):
        param[...] = jnp.asarray(draw.standard_normal(param.shape), jnp.float32)
    return model


def labels(data: harness.DataSpec) -> np.ndarray:
    """Of the training texts: classes 0 and 1, or two labels each."""
    if data.task == "classification":
        return np.array([0, 1, 1, 0, 1, 1], np.int32)
    return np.array([[0, 1], [1, 1], [0, 0], [0, 1], [1, 0], [1, 1]], np.int32)


def features(text: list[int], max_n: int = 2) -> set[int]:
    """The rows of the words and n-grams of a text."""
    found = set(text)
    for n in range(2, max_n + 1):
        for i in range(len(text) - n + 1):
            window = np.array([text[i : i + n]], np.int32)
            bucket = ngram_ids(window, n, buckets=BUCKETS, pad_id=None)[0][0, 0]
            found.add(17 + int(bucket))
    return found


def presence(max_n: int = 2) -> np.ndarray:
    """float64 [n, rows]: which features the training texts have."""
    present = np.zeros((len(TEXTS), 17 + BUCKETS))
    for row, text in zip(present, TEXTS, strict=True):
        row[sorted(features(text, max_n))] = 1
    return present


def ratios_of(member: np.ndarray, present: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """The paper's r [rows] of the texts bool [n] against the rest, 0 for what is nowhere."""
    seen = present.any(axis=0)
    p = alpha + present[member].sum(axis=0)
    q = alpha + present[~member].sum(axis=0)
    return np.where(seen, np.log((p / p[seen].sum()) / (q / q[seen].sum())), 0)


def evaluate(model: NBSVM, x: Any = None) -> np.ndarray:
    model.eval()
    return np.asarray(model(jnp.asarray(TRAIN["x"] if x is None else x)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameter_counts_at_the_tutorials_sizes(variant: str):
    shapes = nnx.eval_shape(lambda: nnx.state(build(variant, IMDB), nnx.Param))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == PARAM_COUNTS[variant]


def test_the_variants_are_those_counted_and_each_changes_one_field():
    entry = registered(nb_svm)
    assert sorted(entry.variants) == [name for name in VARIANTS if name]
    for changes in entry.variants.values():
        ((field, value),) = changes.items()
        assert value != entry.defaults[field]


def test_it_is_prepared_and_the_ratios_are_no_parameters():
    model = build(buckets=BUCKETS)
    assert isinstance(model, Prepares)
    shapes = {leaf.shape for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))}
    assert shapes == {(17 + BUCKETS, 3), (3,)}


@pytest.mark.parametrize("max_n", [1, 2, 3])
def test_ratios_are_the_papers_of_each_class_against_the_rest(max_n: int):
    model = prepared(max_n=max_n, alpha=0.5)
    assert model.ratios is not None
    present = presence(max_n)
    rows = model.ratios.shape[0]
    for k, found in enumerate(np.asarray(model.ratios[...]).T):
        expected = ratios_of(TRAIN["y"] == k, present, alpha=0.5)
        np.testing.assert_allclose(found, expected[:rows], atol=1e-6)
        assert not expected[rows:].any()


def test_two_classes_have_one_output_for_the_second():
    model = prepared(data=TWO)
    assert model.ratios is not None and model.ratios.shape == (17 + BUCKETS, 1)
    ratios = ratios_of(labels(TWO) == 1, presence())
    np.testing.assert_allclose(model.ratios[...][:, 0], ratios, atol=1e-6)
    weights, bias = np.asarray(model.weights[...])[:, 0], np.asarray(model.bias[...])
    odds = presence() @ (weights * ratios) + bias  # [n]
    expected = np.stack([np.zeros(len(TEXTS)), odds], axis=1)
    np.testing.assert_allclose(evaluate(model), expected, atol=1e-5)


def test_labels_have_one_output_each():
    model = prepared(data=LABELS)
    assert model.ratios is not None
    for k, found in enumerate(np.asarray(model.ratios[...]).T):
        expected = ratios_of(labels(LABELS)[:, k] == 1, presence())
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert evaluate(model).shape == (len(TEXTS), 2)


@pytest.mark.parametrize("variant", VARIANTS)
def test_training_is_linear_in_the_scaled_presence(variant: str):
    model = prepared(variant)
    model.train()
    present = presence(model.max_n)[:, : model.weights.shape[0]]
    scaled = np.asarray(model.weights[...])  # [rows, c]
    if model.ratios is not None:
        scaled = scaled * np.asarray(model.ratios[...])
    expected = present @ scaled + np.asarray(model.bias[...])
    outputs = model(jnp.asarray(TRAIN["x"]))
    assert outputs.shape == (6, 3) and outputs.dtype == jnp.float32
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_evaluation_takes_weights_between_their_mean_size_and_their_own(share: float):
    model = prepared(interpolation=share)
    assert model.ratios is not None
    weights, ratios = np.asarray(model.weights[...]), np.asarray(model.ratios[...])
    # only what training showed has weights in the paper
    seen = presence().sum(axis=0) > 0
    model.weights[...] = jnp.asarray(np.where(seen[:, None], weights, 0))
    mean = np.abs(weights[seen]).mean(axis=0)  # [c]
    mixed = (1 - share) * mean + share * weights  # [rows, c]
    expected = presence() @ (mixed * ratios) + np.asarray(model.bias[...])
    np.testing.assert_allclose(evaluate(model), expected, atol=1e-5)


def test_without_ratios_nothing_is_prepared():
    model = prepared("no_ratios")
    assert model.ratios is None
    assert len(jax.tree.leaves(nnx.state(model))) == 2  # weights and bias
    told = evaluate(model)
    model.train()
    np.testing.assert_array_equal(told, model(jnp.asarray(TRAIN["x"])))


def test_a_feature_counts_once_however_often_it_is_there():
    model = prepared("trigram")
    two, three = [[0, 0, 0, 0, 7, 7]], [[0, 0, 7, 7, 7, 7]]
    model.weights[...] = model.weights[...].at[17 + 0 :].set(0.0)  # words alone
    np.testing.assert_array_equal(
        evaluate(model, np.array(two, np.int32)), evaluate(model, np.array(three, np.int32))
    )


def test_a_source_of_single_examples_serves_like_arrays():
    here, there = build(buckets=BUCKETS), build(buckets=BUCKETS)
    here.prepare(TRAIN)
    there.prepare(Examples())
    assert here.ratios is not None and there.ratios is not None
    np.testing.assert_array_equal(here.ratios[...], there.ratios[...])


def test_blocks_of_examples_are_counted_together(monkeypatch: pytest.MonkeyPatch):
    whole = prepared()
    monkeypatch.setattr(nb_svm, "BLOCK", 2)
    for split in (TRAIN, Examples()):
        model = build(buckets=BUCKETS)
        model.prepare(split)
        assert whole.ratios is not None and model.ratios is not None
        np.testing.assert_array_equal(whole.ratios[...], model.ratios[...])


@pytest.mark.parametrize("variant", VARIANTS)
def test_padding_changes_nothing(variant: str):
    model = prepared(variant)
    told = evaluate(model)
    longer = np.pad(TRAIN["x"], ((0, 0), (5, 0)))  # [b, t + 5]
    np.testing.assert_allclose(evaluate(model, longer), told, atol=1e-5)
    # of the same size, so that the mean size of `interpolated` stays what it was
    model.weights[...] = model.weights[...].at[0].multiply(-1.0)
    np.testing.assert_array_equal(evaluate(model), told)


def test_without_padding_every_id_is_a_word():
    model = prepared(data=UNPADDED)
    model.weights[...] = jnp.zeros_like(model.weights[...]).at[0].set(1.0)
    assert model.ratios is not None
    zeros = (TRAIN["x"] == 0).any(axis=1)  # [n]
    word = np.where(zeros[:, None], np.asarray(model.ratios[...])[:1], 0)
    np.testing.assert_allclose(evaluate(model), word + np.asarray(model.bias[...]), atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 4])
def test_shorter_batches_are_served(length: int):
    model = prepared("trigram")
    short = TRAIN["x"][:, -length:]  # [b, t']
    padded = np.pad(short, ((0, 0), (6 - length, 0)))
    np.testing.assert_allclose(evaluate(model, short), evaluate(model, padded), atol=1e-5)


@pytest.mark.parametrize("data", [SMALL, TWO], ids=["three", "two"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_parameter_gets_a_finite_gradient(variant: str, data: harness.DataSpec):
    model = prepared(variant, data)
    model.train()
    x, y = jnp.asarray(TRAIN["x"]), jnp.asarray(labels(TWO))

    def loss(model: NBSVM) -> jax.Array:
        log_p = jax.nn.log_softmax(model(x))
        return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()

    for path, leaf in nnx.to_flat_state(
        nnx.grad(loss, argnums=nnx.DiffState(0, nnx.Param))(model)
    ):
        assert np.isfinite(leaf[...]).all(), path
        assert np.abs(leaf[...]).max() > 1e-9, path


def test_it_starts_at_zero_and_unprepared_ratios_are_one():
    model = build(buckets=BUCKETS)
    np.testing.assert_array_equal(evaluate(model), np.zeros((6, 3)))
    assert model.ratios is not None and (model.ratios[...] == 1).all()


def test_half_precision_adds_up_in_full():
    model = prepared()
    told = evaluate(model)
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    params = jax.tree.map(lambda a: a.astype(jnp.bfloat16), params)
    half = evaluate(nnx.merge(graph, params, rest))
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, told, atol=0.05)


def test_buckets_are_a_power_of_two():
    with pytest.raises(harness.UsageError, match="buckets=100: expected a power of two"):
        build(buckets=100)


@pytest.mark.parametrize(
    ("classes", "vocab_size", "message"),
    [
        (200, 20_000, "buckets=16777216 beside 20000 tokens, for 200 outputs: .*use 8388608"),
        (128, 20_000, "buckets=16777216 .*use 8388608 or less"),
        (200, 2**24, "buckets=16777216 beside .*; give it data of fewer tokens"),
    ],
)
def test_a_table_that_int32_cannot_count_is_refused(
    classes: int, vocab_size: int, message: str
):
    data = replace(IMDB, num_classes=classes, vocab_size=vocab_size, class_names=())
    with pytest.raises(harness.UsageError, match=message):
        nnx.eval_shape(lambda: build("trigram", data, buckets=2**24))


def test_the_largest_table_that_int32_counts_is_built():
    """Of 127 outputs, with a row behind the table for no feature."""
    rows = 2**31 // 127 - 1
    for vocab_size, refused in ((rows - 2**23, False), (rows - 2**23 + 1, True)):
        data = replace(IMDB, num_classes=127, vocab_size=vocab_size, class_names=())
        with pytest.raises(harness.UsageError) if refused else nullcontext():
            nnx.eval_shape(lambda data=data: build("", data, buckets=2**23))


@pytest.mark.parametrize(
    "data",
    [
        harness.DataSpec(kind="image", shape=(8, 8, 1), num_classes=3),
        harness.DataSpec(kind="features", shape=(8,), num_classes=3),
        replace(SMALL, task="regression"),
    ],
    ids=["image", "features", "regression"],
)
def test_other_data_are_not_supported(data: harness.DataSpec):
    with pytest.raises(harness.Unsupported):
        build(data=data)
