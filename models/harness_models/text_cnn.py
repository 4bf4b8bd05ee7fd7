"""A convolution over word vectors and the maximum over time: which short phrases occur at all.

A filter is a detector of phrases of so many words; where in the text it fires does not
matter, nor how often. Compared with averaged vectors the order of neighbours counts,
compared with attention nothing further apart than a window does.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

import harness
from harness.hookspecs import Register
from harness_models._layers import (
    Head,
    Rate,
    Size,
    TokenEmbedding,
    max_over_positions,
    real_positions,
    text_sizes,
)


class TextCNN(nnx.Module):
    """Convolutions of several widths, each filter's maximum over the text, a linear layer.

    Kim 2014, "Convolutional Neural Networks for Sentence Classification", the variant with
    vectors that start at random (CNN-rand), without the bound on the norm of the weights.

    A window ends at each real token. In front of the text it holds zeros, whether padding
    stands there or nothing, so the answer does not depend on the amount of padding, and a
    text may be shorter than a window. A text without a token has zeros for its maxima.

    Args:
      data: sequences of tokens.
      embed_dim: width of the token vectors; the paper has 300.
      maps: filters of each width.
      min_width: words in the shortest window.
      max_width: words in the longest; every width between the two has its filters.
      dropout: rate in front of the linear layer.

    Raises:
      Unsupported: the data are not sequences of tokens.
      UsageError: `min_width` is above `max_width`.
    """

    def __init__(
        self,
        data: harness.DataSpec,
        *,
        embed_dim: Size = 32,
        maps: Size = 100,
        min_width: Size = 3,
        max_width: Size = 5,
        dropout: Rate = 0.5,
        rngs: nnx.Rngs,
    ) -> None:
        if min_width > max_width:
            raise harness.UsageError(
                f"min_width={min_width} with max_width={max_width}: expected widths in order; "
                "give both alike for a single one"
            )
        vocab_size, length = text_sizes(data)
        self.pad_id = data.pad_id
        self.embed = TokenEmbedding(vocab_size, length, embed_dim, position=False, rngs=rngs)
        widths = range(min_width, max_width + 1)
        # causal: zeros in front, so that a window ends at each position
        self.filters = nnx.List(
            nnx.Conv(embed_dim, maps, kernel_size=width, padding="CAUSAL", rngs=rngs)
            for width in widths
        )
        self.head = Head(len(widths) * maps, 0, data.num_classes, dropout=dropout, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Classifies int32 tokens `[b, t]` of any length: logits float32 `[b, c]`."""
        x = self.embed(tokens)  # [b, t, d]
        mask = real_positions(tokens, pad_id=self.pad_id)  # [b, t] or None
        if mask is not None:
            x = jnp.where(mask[:, :, None], x, 0)
        # [b, t, maps] of each width, then [b, maps]
        found = [max_over_positions(filters(x), mask) for filters in self.filters]
        # relu never falls, so behind the maximum it does the same as in front of it
        return self.head(jax.nn.relu(jnp.concatenate(found, axis=1)))


@harness.hookimpl
def register_models(register: Register) -> None:
    register(
        "text_cnn",
        TextCNN,
        variants={
            "one_width": {"max_width": 3},
            "words": {"min_width": 1},
            "few_maps": {"maps": 20},
            "no_dropout": {"dropout": 0.0},
        },
        description="Convolutions of 3, 4 and 5 words, maximum over the text, linear layer",
        paper="Kim 2014, Convolutional Neural Networks for Sentence Classification, "
        "arXiv:1408.5882",
    )
