"""Made-up data fit their spec, and differ from it where they should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness import feed
from harness.checks import made_up
from harness.checks.check import NotApplicable
from harness.specs import DataSpec
from harness_plugins.multi_label import multi_label
from harness_plugins.regression import regression

EVERY = (*made_up.SPECS, *map(made_up.foreign, made_up.SPECS))


@pytest.mark.parametrize("spec", EVERY, ids=lambda spec: f"{spec.kind}{spec.shape}")
def test_examples_are_as_their_spec_says(spec: DataSpec):
    found = made_up.examples(spec, 40, seed=0)
    feed.as_examples(found, spec, name="train", limit=None)
    assert np.bincount(found["y"], minlength=spec.num_classes).min() > 0
    again, other = (made_up.examples(spec, 40, seed=seed)["x"] for seed in (0, 1))
    assert np.array_equal(found["x"], again) and not np.array_equal(found["x"], other)


@pytest.mark.parametrize("spec", made_up.SPECS, ids=lambda spec: spec.kind)
def test_every_size_of_a_foreign_spec_is_another(spec: DataSpec):
    other = made_up.foreign(spec)
    assert other.kind == spec.kind and other.num_classes != spec.num_classes
    assert all(a != b for a, b in zip(other.shape[:2], spec.shape[:2], strict=True))
    assert spec.vocab_size is None or other.vocab_size != spec.vocab_size
    assert len(other.class_names) == other.num_classes


def test_padding_stands_in_front_and_never_last():
    x = made_up.examples(made_up.TOKENS, 40, seed=0)["x"]
    real = x != made_up.TOKENS.pad_id  # [n, t]
    assert not (real[:, :-1] & ~real[:, 1:]).any() and real[:, -1].all()
    assert len(set(real.sum(axis=1))) > 3
    assert not (made_up.padded(x, made_up.FEATURES) != x).any()


def test_tokens_of_images_shape_have_examples_too():
    spec = DataSpec(kind="tokens", shape=(4, 5), vocab_size=9, num_classes=2)
    assert made_up.examples(spec, 6, seed=0)["x"].shape == (6, 4, 5)


@pytest.mark.parametrize("spec", made_up.SPECS, ids=lambda spec: spec.kind)
@pytest.mark.parametrize(
    ("name", "task"), [("multi_label", multi_label()), ("regression", regression())]
)
def test_labels_are_those_of_the_task(spec, name: str, task):
    spec = replace(spec, task=name)
    found = made_up.examples(spec, 12, seed=0)
    feed.as_examples(found, spec, name="made-up", limit=None, task=task)
    assert (found["y"].argmax(axis=1) == np.arange(12) % 3).all()
    with pytest.raises(NotApplicable, match="for the task 'ranking'"):
        made_up.examples(replace(spec, task="ranking"), 12, seed=0)
