"""A GRU and an LSTM that read a text word by word, in one direction or in both.

Everything that is known of the text goes through a state of fixed size, so the order of
words counts, however far apart they are, as long as the state remembers. Embedding and head
are those of the other text models.
"""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

import harness
from harness.hookspecs import Register
from harness_models._layers import (
    Head,
    Rate,
    Size,
    SizeOrZero,
    TokenEmbedding,
    real_positions,
    text_sizes,
)
from harness_models._pooling import Pooling, PoolingName
from harness_models._recurrence import GRUCell, LSTMCell, read

VARIANTS = {
    "bidirectional": {"bidirectional": True},
    "mean_pool": {"pooling": "mean"},
    "max_pool": {"pooling": "max"},
    "attention_pool": {"pooling": "attention"},
}


class Recurrent(nnx.Module):
    """Token embedding, a recurrence, pooling over its states, head of 20 relu units.

    Padding leaves the state as it is and is left out of the pooling: the answer does not
    depend on the amount of it. A text without a token is pooled to zeros.

    Args:
      data: sequences of tokens.
      embed_dim: width of the token vectors.
      units: of the state, in each direction.
      bidirectional: whether a second recurrence reads from the last word to the first
        (Schuster and Paliwal 1997, "Bidirectional Recurrent Neural Networks").
      pooling: the state when all is read, of both directions ("last"); or over the states
        behind each position their mean, the maximum of each unit, or their mean weighted by
        a learned query ("attention"; Yang et al. 2016).
      dropout: rate of the dropout layers in the head.
      head_units: relu units between pooling and logits; 0 for none.

    Raises:
      Unsupported: the data are not sequences of tokens.
    """

    cell: ClassVar[type[GRUCell] | type[LSTMCell]]

    def __init__(
        self,
        data: harness.DataSpec,
        *,
        embed_dim: Size = 32,
        units: Size = 64,
        bidirectional: bool = False,
        pooling: PoolingName = "last",
        dropout: Rate = 0.1,
        head_units: SizeOrZero = 20,
        rngs: nnx.Rngs,
    ) -> None:
        vocab_size, length = text_sizes(data)
        self.pad_id = data.pad_id
        self.embed = TokenEmbedding(vocab_size, length, embed_dim, position=False, rngs=rngs)
        self.forwards = self.cell(embed_dim, units, rngs=rngs)
        self.backwards = self.cell(embed_dim, units, rngs=rngs) if bidirectional else None
        width = 2 * units if bidirectional else units
        # the direction that reads backwards is at its end at the first position, not the last
        self.pool = Pooling(pooling, width, rngs=rngs) if pooling != "last" else None
        self.head = Head(width, head_units, data.num_classes, dropout=dropout, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Classifies int32 tokens `[b, t]` of any length: logits float32 `[b, c]`."""
        mask = real_positions(tokens, pad_id=self.pad_id)  # [b, t] or None
        x = self.embed(tokens.T)  # [t, b, d]
        in_turn = None if mask is None else mask.T  # [t, b]
        ends, states = read(self.forwards, x, in_turn)  # [b, u], [t, b, u]
        if self.backwards is not None:
            both = read(self.backwards, x, in_turn, backwards=True)
            ends = jnp.concatenate([ends, both[0]], axis=1)  # [b, 2 u]
            states = jnp.concatenate([states, both[1]], axis=2)  # [t, b, 2 u]
        if self.pool is None:
            return self.head(ends)
        return self.head(self.pool(states.swapaxes(0, 1), mask))  # [t, b, u] -> [b, t, u]


class GRU(Recurrent):
    """A gated recurrent unit, its last state, head of 20 relu units."""

    cell = GRUCell


class LSTM(Recurrent):
    """Long short-term memory, its last state, head of 20 relu units."""

    cell = LSTMCell


@harness.hookimpl
def register_models(register: Register) -> None:
    register(
        "gru",
        GRU,
        variants=VARIANTS,
        description="Gated recurrent unit, last state, 20-unit head",
        paper="Cho et al. 2014, Learning Phrase Representations using RNN Encoder-Decoder for "
        "Statistical Machine Translation, arXiv:1406.1078",
    )
    register(
        "lstm",
        LSTM,
        variants=VARIANTS,
        description="Long short-term memory, last state, 20-unit head",
        paper="Hochreiter and Schmidhuber 1997, Long Short-Term Memory, "
        "Neural Computation 9(8)",
    )
