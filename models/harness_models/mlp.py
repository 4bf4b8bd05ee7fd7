"""Layers of relu units on the flat features: what every table of features is tried with first.

Without units it is linear: logistic regression for classes, linear regression for targets.
"""

from __future__ import annotations

import math
from typing import Annotated

import jax
from annotated_types import Ge
from flax import nnx

import harness
from harness.hookspecs import Register
from harness_models._dropout import Dropout
from harness_models._layers import Rate, SizeOrZero


class MLP(nnx.Module):
    """A multilayer perceptron.

    Args:
      data: features or images, which it sees as one row of numbers.
      units: relu units of each hidden layer; 0 for none.
      layers: hidden layers.
      dropout: rate behind each of them.

    Raises:
      Unsupported: the data are tokens.
    """

    def __init__(
        self,
        data: harness.DataSpec,
        *,
        units: SizeOrZero = 64,
        layers: Annotated[int, Ge(1)] = 1,
        dropout: Rate = 0.0,
        rngs: nnx.Rngs,
    ) -> None:
        if data.kind == "tokens":
            raise harness.Unsupported("needs numbers; this data is of kind 'tokens'")
        sizes = [math.prod(data.shape), *([units] * layers if units else [])]
        self.hidden = nnx.List(
            [nnx.Linear(n, m, rngs=rngs) for n, m in zip(sizes, sizes[1:], strict=False)]
        )
        self.dropout = Dropout(dropout, rngs=rngs)
        self.head = nnx.Linear(sizes[-1], data.num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """One output a class, label or target for float32 `[b, ...]`: float32 `[b, c]`."""
        x = x.reshape(x.shape[0], -1)  # [b, ...] -> [b, f]
        for layer in self.hidden:
            x = self.dropout(nnx.relu(layer(x)))
        return self.head(x)


@harness.hookimpl
def register_models(register: Register) -> None:
    register(
        "mlp",
        MLP,
        variants={"linear": {"units": 0}, "deep": {"layers": 3}},
        description="Relu layers on flat features; linear without units",
    )
