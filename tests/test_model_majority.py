"""The constant predictor: frequencies of the training labels, whatever the input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import harness
from harness import plugins
from harness.entries import Source
from harness.specs import Prepares
from harness_models import majority
from harness_models.majority import Majority

TOKENS = harness.DataSpec(kind="tokens", shape=(6,), vocab_size=17, num_classes=3, pad_id=0)
IMAGES = harness.DataSpec(kind="image", shape=(4, 4, 1), num_classes=3)
FEATURES = harness.DataSpec(kind="features", shape=(5,), num_classes=3)
LABELS = np.array([2, 0, 2, 2, 0, 2], np.int32)


pytestmark = pytest.mark.usefixtures("strict_jax")


class Examples:
    """A random-access source: single examples by position, and no mapping."""

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int, /) -> Mapping[str, Any]:
        return {"x": np.zeros(6, np.int32), "y": LABELS[index]}


def build(data: harness.DataSpec = TOKENS) -> Majority:
    return Majority(data, rngs=nnx.Rngs(jax.random.key(0)))


def prepared(data: harness.DataSpec = TOKENS) -> Majority:
    model = build(data)
    model.prepare({"x": np.zeros((6, *data.shape)), "y": LABELS})
    return model


def test_it_registers_without_parameters_or_variants():
    source = Source(
        name="majority", origin="built-in", target="majority", version="0", source_hash=""
    )
    (entry,) = plugins.register(plugins.new_manager(), majority, source)
    assert (entry.name, entry.parameters, entry.variants) == ("majority", (), {})


def test_it_has_state_and_no_parameters():
    model = build()
    assert isinstance(model, Prepares)
    assert jax.tree.leaves(nnx.state(model, nnx.Param)) == []
    assert [leaf.shape for leaf in jax.tree.leaves(nnx.state(model))] == [(3,)]


def test_every_example_gets_the_smoothed_frequencies_of_the_training_labels():
    logits = prepared()(jnp.zeros((4, 6), jnp.int32))
    assert logits.shape == (4, 3) and logits.dtype == jnp.float32
    # labels 0, 1, 2 occur 2, 0, 4 times, and each counts once more
    expected = np.log(np.array([3, 1, 5]) / 9)
    np.testing.assert_allclose(logits, np.tile(expected, (4, 1)), rtol=1e-6)


def test_a_source_of_single_examples_serves_like_arrays():
    model = build()
    model.prepare(Examples())
    x = jnp.zeros((4, 6), jnp.int32)
    np.testing.assert_array_equal(model(x), prepared()(x))


def test_before_it_is_prepared_all_classes_are_equally_likely():
    probabilities = jax.nn.softmax(build()(jnp.zeros((2, 6), jnp.int32)))
    np.testing.assert_allclose(probabilities, np.full((2, 3), 1 / 3), rtol=1e-6)


def test_preparing_again_starts_the_count_anew():
    model = prepared()
    model.prepare({"x": np.zeros((6, 6)), "y": LABELS})
    x = jnp.zeros((1, 6), jnp.int32)
    np.testing.assert_array_equal(model(x), prepared()(x))


@pytest.mark.parametrize("data", [TOKENS, IMAGES, FEATURES], ids=lambda data: data.kind)
def test_it_serves_data_of_any_kind(data: harness.DataSpec):
    dtype = jnp.int32 if data.kind == "tokens" else jnp.float32
    logits = prepared(data)(jnp.zeros((5, *data.shape), dtype))
    assert logits.shape == (5, 3) and logits.argmax(axis=1).tolist() == [2] * 5


def test_the_frequencies_travel_with_split_state():
    graph, state = nnx.split(prepared())
    x = jnp.zeros((4, 6), jnp.int32)
    logits = jax.jit(lambda state, x: nnx.merge(graph, state)(x))(state, x)
    np.testing.assert_array_equal(logits, prepared()(x))


@pytest.mark.parametrize("strange", [3, -1])
def test_a_label_outside_the_classes_is_refused_in_one_line(strange: int):
    with pytest.raises(harness.ContractError) as caught:
        build().prepare({"x": np.zeros((2, 6)), "y": np.array([0, strange])})
    assert str(caught.value) == (
        f"label {strange} in the training split; with num_classes=3 labels run from 0 to 2"
    )
