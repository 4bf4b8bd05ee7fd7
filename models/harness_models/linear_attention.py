"""A transformer whose attention costs t instead of t squared: the softmax becomes a product.

With `exp(q . k)` replaced by `f(q) . f(k)`, the sum over keys no longer depends on the query:
it is made once, a matrix `[d/h, d/h]` for each head, and every query is multiplied with it.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import harness
from harness.hookspecs import Register
from harness_models._layers import (
    FeedForward,
    Head,
    PostNorm,
    Rate,
    Size,
    SizeOrZero,
    TokenEmbedding,
    mean_over_positions,
    real_positions,
    text_sizes,
)
from harness_models._mixing import Positions, zero_padding

# a query that is orthogonal to all keys, or a text without any, gets zeros
LEAST_WEIGHT = 1e-6


class LinearTransformer(nnx.Module):
    """Post-norm blocks of linear attention and a feed-forward layer, mean, head.

    Katharopoulos et al. 2020, "Transformers are RNNs: Fast Autoregressive Transformers with
    Linear Attention", ICML, arXiv:2006.16236; without their causal mask. Keys of padding
    weigh nothing, and the mean leaves padding out.

    Args:
      data: sequences of tokens.
      embed_dim: width of the token vectors and of every block.
      num_heads: attention heads; must divide `embed_dim`.
      ff_dim: hidden units of the feed-forward layer.
      num_blocks: blocks, one after another.
      dropout: rate of all dropout layers.
      head_units: relu units between the mean and the logits; 0 for none.
      position: whether positions have vectors of their own.
      attention: whether blocks have their attention sublayer.
      feature_map: what makes queries and keys positive: elu(x) + 1 or relu(x).

    Raises:
      Unsupported: the data are not sequences of tokens.
      UsageError: `num_heads` does not divide `embed_dim`.
    """

    def __init__(
        self,
        data: harness.DataSpec,
        *,
        embed_dim: Size = 32,
        num_heads: Size = 2,
        ff_dim: Size = 32,
        num_blocks: Size = 1,
        dropout: Rate = 0.1,
        head_units: SizeOrZero = 20,
        position: bool = True,
        attention: bool = True,
        feature_map: Literal["elu", "relu"] = "elu",
        rngs: nnx.Rngs,
    ) -> None:
        vocab_size, length = text_sizes(data)
        self.pad_id = data.pad_id
        self.embed = TokenEmbedding(vocab_size, length, embed_dim, position=False, rngs=rngs)
        self.position = Positions(length, embed_dim, rngs=rngs) if position else None
        self.blocks = nnx.List(
            LinearBlock(
                embed_dim, num_heads=num_heads if attention else 0, ff_dim=ff_dim,
                feature_map=feature_map, dropout=dropout, rngs=rngs,
            )
            for _ in range(num_blocks)
        )  # fmt: skip
        self.head = Head(embed_dim, head_units, data.num_classes, dropout=dropout, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Classifies int32 tokens `[b, t]`: logits float32 `[b, c]`."""
        mask = real_positions(tokens, pad_id=self.pad_id)  # [b, t] or None
        x = self.embed(tokens)  # [b, t, d]
        if self.position is not None:
            x = self.position(x)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(mean_over_positions(x, mask))


class LinearBlock(nnx.Module):
    """Linear attention, unless it has 0 heads, then a feed-forward layer, with `PostNorm`."""

    def __init__(
        self,
        width: int,
        *,
        num_heads: int,
        ff_dim: int,
        feature_map: str,
        dropout: float,
        rngs: nnx.Rngs,
    ) -> None:
        attention = (
            LinearAttention(width, num_heads, feature_map=feature_map, rngs=rngs)
            if num_heads
            else None
        )
        self.attention = (
            PostNorm(attention, width, dropout=dropout, rngs=rngs) if attention else None
        )
        feedforward = FeedForward(width, ff_dim, rngs=rngs)
        self.feedforward = PostNorm(feedforward, width, dropout=dropout, rngs=rngs)

    def __call__(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        """`[b, t, d]` to `[b, t, d]`; the mask, bool `[b, t]`, is for the attention."""
        if self.attention is not None:
            x = self.attention(x, mask)
        return self.feedforward(x)


class LinearAttention(nnx.Module):
    """Every position's mean of all values, weighted with `f(query) . f(key)`.

    Raises:
      UsageError: the width cannot be divided among that many heads.
    """

    def __init__(self, width: int, num_heads: int, *, feature_map: str, rngs: nnx.Rngs) -> None:
        if width % num_heads:
            divisors = ", ".join(str(n) for n in range(1, width + 1) if width % n == 0)
            raise harness.UsageError(
                f"num_heads={num_heads} does not divide the width {width}; "
                f"use one of {divisors}"
            )
        self.num_heads = num_heads
        self.feature_map = feature_map
        self.query = nnx.Linear(width, width, rngs=rngs)
        self.key = nnx.Linear(width, width, rngs=rngs)
        self.value = nnx.Linear(width, width, rngs=rngs)
        self.out = nnx.Linear(width, width, rngs=rngs)

    def __call__(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        """Mixes the positions of `[b, t, d]`; a text without a token gets zeros mixed in.

        Args:
          x: `[b, t, d]`.
          mask: bool `[b, t]`, True where a position may be looked at; None for all.

        Returns:
          `[b, t, d]`.
        """
        query = self._positive(self.query(x))  # float32 [b, t, d]
        key = zero_padding(self._positive(self.key(x)), mask)
        value = self.value(x).astype(jnp.float32)
        own = self._same_head(x.shape[2])  # [d, d]
        summed = jnp.einsum("btk,btd->bkd", key, value) * own[None]
        mixed = jnp.einsum("btk,bkd->btd", query, summed)
        # at each channel the sum of its head's weights
        weight = (query * key.sum(axis=1, keepdims=True)) @ own  # [b, t, d]
        return self.out((mixed / jnp.maximum(weight, LEAST_WEIGHT)).astype(x.dtype))

    def _same_head(self, width: int) -> jax.Array:
        """1 where two channels are of one head, else 0: float32 `[d, d]`.

        One product of all channels, of which this keeps the heads', costs a linear layer and
        no transposition; a product for each head would be small and slow.
        """
        head = np.arange(width) // (width // self.num_heads)  # [d]
        return jnp.asarray(head[:, None] == head[None], jnp.float32)

    def _positive(self, x: jax.Array) -> jax.Array:
        """The feature map: values of at least 0 in float32, of the shape of `x`."""
        x = x.astype(jnp.float32)
        return jax.nn.elu(x) + 1.0 if self.feature_map == "elu" else jax.nn.relu(x)


@harness.hookimpl
def register_models(register: Register) -> None:
    register(
        "linear_attention",
        LinearTransformer,
        variants={
            "no_position": {"position": False},
            "no_attention": {"attention": False},
            "one_head": {"num_heads": 1},
            "relu_map": {"feature_map": "relu"},
            "deep": {"num_blocks": 4},
        },
        description="Attention linear in the length: elu(x) + 1 instead of a softmax, mean",
        paper="Katharopoulos et al. 2020, Transformers are RNNs, ICML 2020, arXiv:2006.16236",
    )
