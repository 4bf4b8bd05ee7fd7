"""What a model compiles to: its cost, and callbacks wherever they are."""

from __future__ import annotations

import jax
import pytest
from flax import nnx
from tried import Linear, tried

from harness.checks import programs
from harness.checks.check import Fault


class Prints(Linear):
    """Calls back in evaluation only."""

    def __init__(self, data, *, rngs: nnx.Rngs):
        super().__init__(data, rngs=rngs)
        self.drop = nnx.Dropout(0.1, rngs=rngs)

    def __call__(self, x):
        if self.drop.deterministic:
            jax.debug.callback(lambda value: None, x[0, 0])
        return self.head(x)


class Compiles(Prints):
    """Its callback compiles another program each time."""

    def __call__(self, x):
        def more(value):
            jax.jit(lambda y: y + float(value))(1.0)

        if not self.drop.deterministic:
            jax.debug.callback(more, x[0, 0])
        return self.head(x)


def test_the_cost_of_a_step_is_told():
    told = programs.costs(tried(Linear))
    assert told.startswith("24 parameters, ") and told.endswith(" (batch 16)")
    assert "FLOP a step" in told and "compiled in" in told


def test_a_callback_in_evaluation_is_found_too():
    with pytest.raises(Fault, match="the evaluation leaves the device by .*callback"):
        programs.no_callback(tried(Prints))


def test_what_is_compiled_after_the_first_epoch_is_counted_and_named():
    with pytest.raises(Fault, match=r"2 programs compiled after the first epoch \(.*lambda"):
        programs.compiles_once(tried(Compiles))
    assert programs.compiles_once(tried(Linear)) == ""
