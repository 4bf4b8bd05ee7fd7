"""A recurrent network that reads a sequence once and is asked at its end."""

from __future__ import annotations

from typing import Annotated, cast

import jax
from annotated_types import Ge
from flax import nnx

import harness


class GRU(nnx.Module):
    """Gated recurrent units over token vectors; the last state decides.

    Args:
      data: sequences of tokens. Padding stands in front, so the last position is a token.
      width: of the token vectors and of the state.
    """

    def __init__(
        self, data: harness.DataSpec, *, width: Annotated[int, Ge(1)] = 24, rngs: nnx.Rngs
    ) -> None:
        if data.vocab_size is None:
            raise harness.Unsupported("needs token ids")
        self.embed = nnx.Embed(data.vocab_size, width, rngs=rngs)
        self.rnn = nnx.RNN(nnx.GRUCell(width, width, rngs=rngs), rngs=rngs)
        self.head = nnx.Linear(width, data.num_classes, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Classifies tokens int32 [b, t]: logits float32 [b, c]."""
        states = cast("jax.Array", self.rnn(self.embed(tokens)))  # [b, t, d]
        return self.head(states[:, -1])  # [b, d] -> [b, c]
