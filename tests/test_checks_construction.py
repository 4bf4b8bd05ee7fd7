"""What a constructor may do: refuse sizes, give probabilities, hold odd state."""

from __future__ import annotations

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from tried import Constant, Linear, tried

import harness
from harness.checks import construction
from harness.checks.check import Fault, NotApplicable

SEEDS = itertools.count()


class OneSize(Linear):
    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs):
        if data.num_classes != 3:
            raise harness.Unsupported("three classes only")
        super().__init__(data, rngs=rngs)


class Shares(Linear):
    def __call__(self, x):
        return nnx.softmax(self.head(x))

    def probabilities(self, outputs):
        return outputs


class Holds(Linear):
    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs):
        super().__init__(data, rngs=rngs)
        self.nothing = nnx.Variable(jnp.zeros(0))
        self.key = nnx.Variable(jax.random.key(1))
        self.narrow = nnx.Variable(jnp.ones(3, jnp.bfloat16))


class Zeros(Linear):
    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs):
        zeros = nnx.initializers.zeros
        super().__init__(data, rngs=rngs)
        self.head = nnx.Linear(data.shape[0], data.num_classes, kernel_init=zeros, rngs=rngs)
        self.scale = nnx.Param(jnp.full(3, 2.0))


class OwnKeys(Linear):
    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs):
        super().__init__(data, rngs=rngs)
        self.keys = nnx.Variable(jax.random.key(next(SEEDS)))


def test_a_size_that_is_refused_with_a_reason_is_well():
    assert construction.foreign_spec(tried(OneSize)).endswith("three classes only")
    assert construction.foreign_spec(tried(Linear)) == "shape [10], 5 classes"


def test_probabilities_are_well_where_the_model_says_so():
    assert construction.outputs(tried(Shares)) == "float32 [b, 3]"


def test_keys_half_precision_and_nothing_at_all_can_be_kept():
    assert construction.state_round_trip(tried(Holds)) == ""


def test_a_factory_that_makes_no_module_is_told():
    subject = replace(tried(Linear), factory=lambda data, *, rngs: dict())  # type: ignore[arg-type]
    with pytest.raises(Fault, match="returned dict; expected an nnx.Module"):
        construction.constructs(subject)


def test_a_seed_needs_a_parameter():
    assert construction.same_seed(tried(Linear)) == ""
    with pytest.raises(NotApplicable, match="no parameters"):
        construction.same_seed(tried(Constant))


def test_a_start_of_zeros_needs_no_seed():
    with pytest.raises(NotApplicable, match="one value throughout"):
        construction.same_seed(tried(Zeros))


def test_other_variables_come_from_the_seed_too():
    with pytest.raises(Fault, match="one seed gave two values of keys"):
        construction.same_seed(tried(OwnKeys))
    assert construction.same_seed(tried(Holds)) == ""
