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


class Pool(nnx.Module):
    """The mean of vectors of tokens, behind a head that starts at zero."""

    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs):
        self.pad = -1 if data.pad_id is None else data.pad_id
        self.embed = nnx.Embed(data.vocab_size or 0, 4, rngs=rngs)
        zeros = nnx.initializers.zeros_init()
        self.head = nnx.Linear(4, data.num_classes, kernel_init=zeros, rngs=rngs)

    def __call__(self, tokens):
        return self.head((self.embed(tokens) * self.weights(tokens)[..., None]).mean(axis=1))

    def weights(self, tokens):
        """How much each position counts: [b, t]."""
        return (tokens != self.pad).astype(jnp.float32)


class Leaky(Pool):
    """Padding counts half."""

    def weights(self, tokens):
        return 1 - 0.5 * (tokens == self.pad).astype(jnp.float32)


class Unmasked(Pool):
    """Padding counts as any token does."""

    def weights(self, tokens):
        return jnp.ones(tokens.shape)


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
    with pytest.raises(NotApplicable, match="no parameter has just a row for each token"):
        evaluation.padding_masked(on(made_up.TOKENS, Masked))


def test_a_head_of_zeros_does_not_hide_whether_padding_is_masked():
    assert evaluation.padding_masked(on(made_up.TOKENS, Pool)) == ""
    with pytest.raises(Fault, match="another vector for the padding token changes logits"):
        evaluation.padding_masked(on(made_up.TOKENS, Leaky))
    with pytest.raises(NotApplicable, match="it masks nothing"):
        evaluation.padding_masked(on(made_up.TOKENS, Unmasked))


def test_state_that_changes_in_evaluation_is_told():
    with pytest.raises(Fault, match="a second call in evaluation answers otherwise"):
        evaluation.evaluation_repeats(tried(Counts))


def test_a_model_that_keeps_its_rows_apart_passes():
    subject = tried(Linear)
    assert evaluation.evaluation_repeats(subject) == evaluation.rows_apart(subject) == ""
