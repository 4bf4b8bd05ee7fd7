"""Where padding cannot leak, the check says why it does not apply."""

from __future__ import annotations

import jax.numpy as jnp
import pytest
from flax import nnx
from tried import Linear, on, tried

import harness
from harness.checks import evaluation, made_up
from harness.checks.check import Fault, NotApplicable


class Masked(nnx.Module):
    """Counts what is no padding; no parameter has a row for each token."""

    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs):
        self.pad = -1 if data.pad_id is None else data.pad_id
        self.head = nnx.Linear(1, data.num_classes, rngs=rngs)

    def __call__(self, tokens):
        return self.head((tokens != self.pad).mean(axis=1, keepdims=True, dtype=jnp.float32))


class Counts(Linear):
    """Changes its state in evaluation."""

    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs):
        super().__init__(data, rngs=rngs)
        self.calls = nnx.Variable(jnp.zeros(()))

    def __call__(self, x):
        self.calls[...] += 1
        return self.head(x) + self.calls[...]


def test_features_have_no_padding():
    with pytest.raises(NotApplicable, match="nothing of made up is padding"):
        evaluation.padding_masked(tried(Linear))


def test_a_model_without_vectors_of_tokens_has_none_of_padding():
    with pytest.raises(NotApplicable, match="no parameter has a row for each token"):
        evaluation.padding_masked(on(made_up.TOKENS, Masked))


def test_state_that_changes_in_evaluation_is_told():
    with pytest.raises(Fault, match="a second call in evaluation answers otherwise"):
        evaluation.evaluation_repeats(tried(Counts))


def test_a_model_that_keeps_its_rows_apart_passes():
    subject = tried(Linear)
    assert evaluation.evaluation_repeats(subject) == evaluation.rows_apart(subject) == ""
