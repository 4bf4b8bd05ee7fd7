"""What a model is tried on: the data that are given, or the first that it serves."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from flax import nnx
from small import Source, token_data

import harness
from harness.checks import made_up
from harness.checks.subject import BATCH, COUNT, ModelSubject, served
from harness.tasks import CLASSIFICATION


class Linear(nnx.Module):
    """Serves one kind of data."""

    kind = "features"

    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs):
        if data.kind != self.kind:
            raise harness.Unsupported(f"needs {self.kind}")
        self.head = nnx.Linear(int(np.prod(data.shape)), data.num_classes, rngs=rngs)

    def __call__(self, x):
        return self.head(x.reshape(x.shape[0], -1))  # [b, ...] -> [b, c]


class Strange(Linear):
    kind = "sounds"


class Broken(Linear):
    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs):
        raise ValueError("no luck")


def on_tokens(factory: type[nnx.Module], data: harness.Dataset | None = None) -> ModelSubject:
    return served(factory, {}, lambda: ("small", data or token_data(), CLASSIFICATION))


def test_a_model_is_tried_on_the_first_data_that_it_serves():
    subject = on_tokens(Linear)
    assert subject.told == "made-up features" and subject.spec == made_up.FEATURES
    assert subject.x.shape == (BATCH, 7) and subject.y.shape == (BATCH,)
    assert len(subject.examples["y"]) >= COUNT


def test_a_model_that_raises_is_tried_on_the_data_themselves():
    subject = on_tokens(Broken)
    assert subject.told == "small"
    with pytest.raises(ValueError, match="no luck"):
        subject.build()


def test_a_model_that_serves_nothing_says_why_for_each():
    with pytest.raises(harness.Unsupported) as caught:
        on_tokens(Strange)
    assert str(caught.value).count("needs sounds") == 4


def test_a_source_of_examples_does_as_well_as_arrays():
    data = token_data()
    source = harness.Dataset(Source(data.train), Source(data.test), data.spec)
    one, other = (on_tokens(Broken, found).examples for found in (data, source))
    assert np.array_equal(one["x"], other["x"]) and np.array_equal(one["y"], other["y"])
    assert len(one["y"]) == 4 * BATCH


def test_the_same_model_is_judged_and_the_programs_are_made_once():
    subject = on_tokens(Linear)
    first = subject.answers(subject.x)
    assert np.array_equal(first, subject.answers(subject.x)) and first.shape == (BATCH, 3)
    assert subject.judge is subject.judge and subject.gradient is subject.gradient
    loss, grads = subject.gradient(*subject.parts[1:], subject.x, subject.y)
    assert np.isfinite(loss) and len(jax.tree.leaves(grads)) == 2
