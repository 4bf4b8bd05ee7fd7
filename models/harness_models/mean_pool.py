"""Averaged token vectors and a small head: the transformer's baseline without a transformer.

The order of the words is lost in the mean, so whatever a model gains over this one, it
gains from order or from interaction between words.
"""

from __future__ import annotations

import jax
from flax import nnx

import harness
from harness.hookspecs import Register
from harness_models._layers import (
    Head,
    Rate,
    Size,
    SizeOrZero,
    TokenEmbedding,
    mean_over_positions,
    real_positions,
    text_sizes,
)


class MeanPool(nnx.Module):
    """Token embedding, mean over positions, head of 20 relu units.

    Iyyer et al. 2015, "Deep Unordered Composition Rivals Syntactic Methods for Text
    Classification".

    Args:
      data: sequences of tokens.
      width: of the token vectors.
      dropout: rate of the dropout layers in the head.
      head_units: relu units between the mean and the logits; 0 for none.
      mask_padding: whether the mean leaves padding out; no effect on data without a
        `pad_id`.

    Raises:
      Unsupported: the data are not sequences of tokens.
    """

    def __init__(
        self,
        data: harness.DataSpec,
        *,
        width: Size = 32,
        dropout: Rate = 0.1,
        head_units: SizeOrZero = 20,
        mask_padding: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        vocab_size, length = text_sizes(data)
        self.pad_id = data.pad_id if mask_padding else None
        self.embed = TokenEmbedding(vocab_size, length, width, position=False, rngs=rngs)
        self.head = Head(width, head_units, data.num_classes, dropout=dropout, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Classifies int32 tokens `[b, t]`: logits float32 `[b, c]`."""
        mask = real_positions(tokens, pad_id=self.pad_id)  # [b, t] or None
        return self.head(mean_over_positions(self.embed(tokens), mask))


@harness.hookimpl
def register_models(register: Register) -> None:
    register(
        "mean_pool",
        MeanPool,
        variants={"masked": {"mask_padding": True}, "linear": {"head_units": 0}},
        description="Mean of token vectors, 20-unit head",
        paper="Iyyer et al. 2015, Deep Unordered Composition Rivals Syntactic Methods for "
        "Text Classification, ACL 2015",
    )
