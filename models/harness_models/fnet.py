"""A transformer whose attention is a Fourier transform: mixing without a parameter.

Every position's vector becomes a sum over all positions and channels with the fixed weights
of a two-dimensional Fourier transform, of which the real part is kept. What is learnt is
what the feed-forward layers before and behind make of it.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
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
from harness_models._mixing import Positions, lengthen, zero_padding


class FNet(nnx.Module):
    """Post-norm blocks of a Fourier transform and a feed-forward layer, mean, head.

    Lee-Thorp et al. 2022, "FNet: Mixing Tokens with Fourier Transforms", NAACL,
    arXiv:2105.03824. Unlike there, no layer normalisation stands behind the embeddings.

    Padding is zero vectors, in front of every block and behind it: it adds nothing to the
    transform and is left out of the mean. The frequencies belong to the length that the
    model is built for; a shorter input gets zero vectors in front, so that its answer does
    not depend on how much padding it came with.

    Args:
      data: sequences of tokens.
      embed_dim: width of the token vectors and of every block.
      ff_dim: hidden units of the feed-forward layer.
      num_blocks: blocks, one after another.
      dropout: rate of all dropout layers.
      head_units: relu units between the mean and the logits; 0 for none.
      position: whether positions have vectors of their own.
      mixing: whether blocks have their Fourier sublayer.
      unitary: whether the transform keeps the length of what it transforms; the paper's
        is longer by the root of positions times width, and outweighs what it is added to.

    Raises:
      Unsupported: the data are not sequences of tokens.
    """

    def __init__(
        self,
        data: harness.DataSpec,
        *,
        embed_dim: Size = 32,
        ff_dim: Size = 32,
        num_blocks: Size = 1,
        dropout: Rate = 0.1,
        head_units: SizeOrZero = 20,
        position: bool = True,
        mixing: bool = True,
        unitary: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        vocab_size, self.length = text_sizes(data)
        self.pad_id = data.pad_id
        self.embed = TokenEmbedding(
            vocab_size, self.length, embed_dim, position=False, rngs=rngs
        )
        self.position = Positions(self.length, embed_dim, rngs=rngs) if position else None
        self.blocks = nnx.List(
            FNetBlock(
                embed_dim, ff_dim=ff_dim, dropout=dropout, mixing=mixing, unitary=unitary,
                rngs=rngs,
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
        x, mask = lengthen(zero_padding(x, mask), mask, length=self.length)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(mean_over_positions(x, mask))


class FNetBlock(nnx.Module):
    """A Fourier transform, then a feed-forward layer, each with `PostNorm`."""

    def __init__(
        self,
        width: int,
        *,
        ff_dim: int,
        dropout: float,
        mixing: bool,
        unitary: bool,
        rngs: nnx.Rngs,
    ) -> None:
        transform = unitary_fourier if unitary else fourier
        self.mixing = PostNorm(transform, width, dropout=dropout, rngs=rngs) if mixing else None
        feedforward = FeedForward(width, ff_dim, activation="gelu", rngs=rngs)
        self.feedforward = PostNorm(feedforward, width, dropout=dropout, rngs=rngs)

    def __call__(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        """`[b, t, d]` to `[b, t, d]`; vectors of padding are zero again."""
        if self.mixing is not None:
            x = zero_padding(self.mixing(x), mask)
        return zero_padding(self.feedforward(x), mask)


def fourier(x: jax.Array) -> jax.Array:
    """The real part of the Fourier transform over positions and width.

    It is computed in float32.

    Args:
      x: `[b, t, d]`.

    Returns:
      `[b, t, d]`, of the dtype of `x`.
    """
    return _real_transform(x)


def unitary_fourier(x: jax.Array) -> jax.Array:
    """`fourier` divided by the root of positions times width: `[b, t, d]` to `[b, t, d]`."""
    return _real_transform(x, norm="ortho")


def _real_transform(x: jax.Array, *, norm: Literal["ortho"] | None = None) -> jax.Array:
    # scaled in float32: the sum itself may be too large for a half precision
    transform = jnp.fft.fft2(x.astype(jnp.float32), axes=(1, 2), norm=norm)
    return transform.real.astype(x.dtype)


@harness.hookimpl
def register_models(register: Register) -> None:
    register(
        "fnet",
        FNet,
        variants={
            "no_mixing": {"mixing": False},
            "no_position": {"position": False},
            "unitary": {"unitary": True},
            "deep": {"num_blocks": 4},
        },
        description="Fourier transform over positions and width, feed-forward layer, mean",
        paper="Lee-Thorp et al. 2022, FNet: Mixing Tokens with Fourier Transforms, NAACL 2022, "
        "arXiv:2105.03824",
    )
