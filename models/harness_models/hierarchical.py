"""Mean-pool, then attend: words are averaged within segments, and segments see each other.

Order within a segment is lost, order and interaction between segments are kept. Attention
costs `(t / segment)^2` instead of `t^2`: with segments of one token it is a transformer, with
one segment for all it is nearly mean-pooling. In shapes, s counts segments.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

import harness
from harness.hookspecs import Register
from harness_models._layers import (
    EncoderBlock,
    Head,
    Rate,
    Size,
    SizeOrZero,
    TokenEmbedding,
    mean_over_positions,
    real_positions,
    text_sizes,
)
from harness_models._mixing import Positions


class Hierarchical(nnx.Module):
    """Token vectors averaged by segment, encoder blocks over the segments, mean, head.

    The hierarchy is that of Yang et al. 2016, "Hierarchical Attention Networks for Document
    Classification", NAACL: words make sentences, sentences the document. There recurrent
    layers with attention pool both; here words are averaged and segments, which are so
    many positions and no sentences, go through the encoder of Vaswani et al. 2017.

    Segments are cut from the end, so padding in front leaves all as they are: it fills up
    the first one, and those before it count for nothing. Means are over tokens alone.

    Args:
      data: sequences of tokens.
      segment: positions in a segment.
      embed_dim: width of the token vectors and of every block.
      num_heads: attention heads; must divide `embed_dim`.
      ff_dim: hidden units of the feed-forward layer.
      num_blocks: encoder blocks, one after another.
      dropout: rate of all dropout layers.
      head_units: relu units between the last mean and the logits; 0 for none.
      position: whether segments have vectors of their own, counted from the last.
      attention: whether blocks have their attention sublayer.

    Raises:
      Unsupported: the data are not sequences of tokens.
      UsageError: `num_heads` does not divide `embed_dim`.
    """

    def __init__(
        self,
        data: harness.DataSpec,
        *,
        segment: Size = 10,
        embed_dim: Size = 32,
        num_heads: Size = 2,
        ff_dim: Size = 32,
        num_blocks: Size = 1,
        dropout: Rate = 0.1,
        head_units: SizeOrZero = 20,
        position: bool = True,
        attention: bool = True,
        rngs: nnx.Rngs,
    ) -> None:
        vocab_size, length = text_sizes(data)
        self.pad_id = data.pad_id
        self.segment = segment
        self.embed = TokenEmbedding(vocab_size, length, embed_dim, position=False, rngs=rngs)
        segments = -(-length // segment)
        self.position = Positions(segments, embed_dim, rngs=rngs) if position else None
        self.blocks = nnx.List(
            EncoderBlock(
                embed_dim, num_heads=num_heads, ff_dim=ff_dim, dropout=dropout,
                attention=attention, feedforward=True, rngs=rngs,
            )
            for _ in range(num_blocks)
        )  # fmt: skip
        self.head = Head(embed_dim, head_units, data.num_classes, dropout=dropout, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Classifies int32 tokens `[b, t]`: logits float32 `[b, c]`."""
        mask = real_positions(tokens, pad_id=self.pad_id)  # [b, t] or None
        x, mask = segment_means(self.embed(tokens), mask, segment=self.segment)  # [b, s, d]
        if self.position is not None:
            x = self.position(x)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(mean_over_positions(x, mask))


def segment_means(
    x: jax.Array, mask: jax.Array | None, *, segment: int
) -> tuple[jax.Array, jax.Array | None]:
    """The mean of the tokens of each segment; the last segment ends with the last position.

    With segments of 2 the positions `a b c d e` give `a`, and the means of `b c` and `d e`.

    Args:
      x: `[b, t, d]`.
      mask: bool `[b, t]`, True where a token stands; None where nothing is padding.
      segment: positions in a segment.

    Returns:
      `[b, s, d]`, s being t / segment rounded up, and bool `[b, s]`: whether the segment has
      a token. None if `mask` is: then all have.
    """
    b, t, d = x.shape
    segments = -(-t // segment)
    front = segments * segment - t  # positions that the first segment lacks
    inner = mask
    if front and inner is None:
        inner = jnp.ones((b, t), bool)
    x = jnp.pad(x, ((0, 0), (front, 0), (0, 0)))
    x = x.reshape(b * segments, segment, d)  # [b, s * segment, d] -> [b * s, segment, d]
    if inner is None:
        return mean_over_positions(x, None).reshape(b, segments, d), None
    inner = jnp.pad(inner, ((0, 0), (front, 0))).reshape(b * segments, segment)
    means = mean_over_positions(x, inner).reshape(b, segments, d)  # [b * s, d] -> [b, s, d]
    counted = None if mask is None else inner.any(axis=1).reshape(b, segments)
    return means, counted


@harness.hookimpl
def register_models(register: Register) -> None:
    register(
        "hierarchical",
        Hierarchical,
        variants={
            "no_position": {"position": False},
            "no_attention": {"attention": False},
            "short_segments": {"segment": 5},
            "long_segments": {"segment": 40},
            "deep": {"num_blocks": 4},
        },
        description="Means of ten tokens each, encoder block over the segments, mean",
        paper="Yang et al. 2016, Hierarchical Attention Networks for Document Classification, "
        "NAACL 2016",
    )
