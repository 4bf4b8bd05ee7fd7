"""A small model of features in the manner of a plugin, to be tried on made-up data."""

from __future__ import annotations

from flax import nnx

import harness
from harness.checks import made_up
from harness.checks.subject import BATCH, SEED, ModelSubject


class Linear(nnx.Module):
    """The base of models that differ in one method."""

    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs):
        self.head = nnx.Linear(data.shape[0], data.num_classes, rngs=rngs)

    def __call__(self, x):
        return self.head(x)


class Constant(nnx.Module):
    """A model without a parameter."""

    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs):
        self.classes = data.num_classes

    def __call__(self, x):
        return 0 * x[:, :1].repeat(self.classes, axis=1)


def on(spec: harness.DataSpec, factory: type[nnx.Module]) -> ModelSubject:
    examples = made_up.examples(spec, 4 * BATCH, seed=SEED)
    return ModelSubject(factory, {}, spec, examples, "made up")


def tried(factory: type[nnx.Module]) -> ModelSubject:
    return on(made_up.FEATURES, factory)
