"""How a model learns: what is said of it, and of one that has nothing to learn."""

from __future__ import annotations

import jax.numpy as jnp
import pytest
from flax import nnx
from tried import Constant, Linear, tried

from harness.checks import learning
from harness.checks.check import Fault, NotApplicable


class Many(Linear):
    def __init__(self, data, *, rngs: nnx.Rngs):
        super().__init__(data, rngs=rngs)
        self.spare = nnx.List([nnx.Param(jnp.zeros(1)) for _ in range(5)])


class Overflows(Linear):
    def __call__(self, x):
        return self.head(x) / 0


def test_a_linear_model_learns_a_few_examples_by_heart():
    subject = tried(Linear)
    assert learning.finite(subject).startswith("loss ")
    assert learning.gradients_reach(subject) == "2 arrays"
    assert learning.overfits(subject).startswith("8 examples in ")


def test_a_loss_that_is_no_number_is_told():
    with pytest.raises(Fault, match="the loss of the first batch is nan"):
        learning.finite(tried(Overflows))


def test_the_first_of_many_parameters_are_named():
    with pytest.raises(Fault, match=r"reaches spare/0, spare/1, spare/2 and 2 more; "):
        learning.gradients_reach(tried(Many))


def test_where_nothing_is_learnt_there_is_nothing_to_check():
    for check in (learning.gradients_reach, learning.overfits):
        with pytest.raises(NotApplicable, match="no parameters"):
            check(tried(Constant))
