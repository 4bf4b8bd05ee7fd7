"""Two perceptrons in turn: one mixes a channel's positions, one a position's channels.

The weights between two positions are learnt for these two places, whatever stands there.
That is attention's opposite, where they depend on what stands there and not on the places.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

import harness
from harness.hookspecs import Register
from harness_models._layers import (
    Head,
    PreNorm,
    Rate,
    Size,
    SizeOrZero,
    TokenEmbedding,
    mean_over_positions,
    real_positions,
    text_sizes,
)
from harness_models._mixing import lengthen, zero_padding


class MLPMixer(nnx.Module):
    """Pre-norm blocks of token mixing and channel mixing, layer normalisation, mean, head.

    Tolstikhin et al. 2021, "MLP-Mixer: An all-MLP Architecture for Vision", NeurIPS,
    arXiv:2105.01601. A text's positions are its tokens; an image's are square patches.

    Padding is zero vectors wherever positions are mixed, and left out of the mean. A
    shorter text gets padding in front, up to the length that the model is built for. An
    image whose sides `patch` does not divide gets zeros at its right and lower border.

    Args:
      data: sequences of tokens, or images.
      embed_dim: width of the vectors of tokens or patches, and of every block.
      token_dim: hidden units that mix positions.
      channel_dim: hidden units that mix channels.
      num_blocks: blocks, one after another.
      patch: side of a patch in pixels; no effect on tokens.
      dropout: rate of all dropout layers.
      head_units: relu units between the mean and the logits; 0 for none.
      token_mixing: whether blocks have the sublayer that mixes positions.
      channel_mixing: whether blocks have the sublayer that mixes channels.

    Raises:
      Unsupported: the data are neither sequences of tokens nor images.
    """

    def __init__(
        self,
        data: harness.DataSpec,
        *,
        embed_dim: Size = 32,
        token_dim: Size = 32,
        channel_dim: Size = 32,
        num_blocks: Size = 1,
        patch: Size = 4,
        dropout: Rate = 0.1,
        head_units: SizeOrZero = 20,
        token_mixing: bool = True,
        channel_mixing: bool = True,
        rngs: nnx.Rngs,
    ) -> None:
        self.pad_id = data.pad_id
        if data.kind == "image":
            self.embed = PatchEmbedding(data.shape, embed_dim, patch=patch, rngs=rngs)
            self.length = self.embed.length
        else:
            vocab_size, self.length = text_sizes(data)
            self.embed = TokenEmbedding(
                vocab_size, self.length, embed_dim, position=False, rngs=rngs
            )
        self.blocks = nnx.List(
            MixerBlock(
                embed_dim, token_dim=token_dim if token_mixing else 0,
                channel_dim=channel_dim if channel_mixing else 0, length=self.length,
                dropout=dropout, rngs=rngs,
            )
            for _ in range(num_blocks)
        )  # fmt: skip
        self.norm = nnx.LayerNorm(embed_dim, epsilon=1e-6, rngs=rngs)
        self.head = Head(embed_dim, head_units, data.num_classes, dropout=dropout, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Classifies int32 tokens `[b, t]` or float32 images `[b, height, width, channels]`.

        Returns:
          float32 `[b, c]`: logits.
        """
        # pad_id is None with images, so these have no mask
        mask = real_positions(x, pad_id=self.pad_id)  # [b, t] or None
        x, mask = lengthen(self.embed(x), mask, length=self.length)  # [b, t, d]
        for block in self.blocks:
            x = block(x, mask)
        return self.head(mean_over_positions(self.norm(x), mask))


class PatchEmbedding(nnx.Module):
    """A linear map of each square patch of an image, row by row from the top left.

    Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", ICLR, arXiv:2010.11929.
    """

    def __init__(
        self, shape: tuple[int, ...], width: int, *, patch: int, rngs: nnx.Rngs
    ) -> None:
        if len(shape) != 3:
            raise harness.Unsupported(
                f"needs images [height, width, channels]; this data has the shape {shape}"
            )
        self.patch = patch
        self.rows, self.columns = (-(-side // patch) for side in shape[:2])
        self.length = self.rows * self.columns
        self.project = nnx.Linear(patch * patch * shape[2], width, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Embeds `[b, height, width, channels]` as `[b, t, d]`, one position a patch."""
        b, height, width, channels = images.shape
        p, rows, columns = self.patch, self.rows, self.columns
        border = ((0, 0), (0, rows * p - height), (0, columns * p - width), (0, 0))
        cut = jnp.pad(images, border).reshape(b, rows, p, columns, p, channels)
        # [b, rows, p, columns, p, channels] -> [b, t, p * p * channels]
        return self.project(cut.swapaxes(2, 3).reshape(b, self.length, p * p * channels))


class MixerBlock(nnx.Module):
    """Token mixing, then channel mixing, each with `PreNorm`; one of 0 units is left out."""

    def __init__(
        self,
        width: int,
        *,
        token_dim: int,
        channel_dim: int,
        length: int,
        dropout: float,
        rngs: nnx.Rngs,
    ) -> None:
        def sublayer(inner: Callable[..., jax.Array]) -> PreNorm:
            return PreNorm(inner, width, dropout=dropout, rngs=rngs)

        self.tokens = sublayer(TokenMixing(length, token_dim, rngs=rngs)) if token_dim else None
        self.channels = (
            sublayer(Perceptron(width, channel_dim, rngs=rngs)) if channel_dim else None
        )

    def __call__(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        """`[b, t, d]` to `[b, t, d]`; vectors of padding reach no others."""
        if self.tokens is not None:
            x = self.tokens(x, mask)
        if self.channels is not None:
            x = self.channels(x)
        return x


class Perceptron(nnx.Module):
    """Two layers over the last axis with a GELU between; it ends at the size it began with.

    Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", arXiv:1606.08415.
    """

    def __init__(self, size: int, hidden: int, *, rngs: nnx.Rngs) -> None:
        self.expand = nnx.Linear(size, hidden, rngs=rngs)
        self.contract = nnx.Linear(hidden, size, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[..., size]` to `[..., size]`."""
        return self.contract(jax.nn.gelu(self.expand(x), approximate=False))


class TokenMixing(nnx.Module):
    """A perceptron over the positions of each channel, one for all channels."""

    def __init__(self, length: int, hidden: int, *, rngs: nnx.Rngs) -> None:
        self.perceptron = Perceptron(length, hidden, rngs=rngs)

    def __call__(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        """`[b, t, d]` to `[b, t, d]`, t being the length built for; padding mixes as zeros."""
        mixed = self.perceptron(zero_padding(x, mask).swapaxes(1, 2))  # [b, t, d] -> [b, d, t]
        return mixed.swapaxes(1, 2)  # [b, d, t] -> [b, t, d]


@harness.hookimpl
def register_models(register: Register) -> None:
    register(
        "mlp_mixer",
        MLPMixer,
        variants={
            "no_token_mixing": {"token_mixing": False},
            "no_channel_mixing": {"channel_mixing": False},
            "deep": {"num_blocks": 4},
            "linear_head": {"head_units": 0},
        },
        description="Perceptrons over positions and over channels in turn, mean",
        paper="Tolstikhin et al. 2021, MLP-Mixer: An all-MLP Architecture for Vision, "
        "NeurIPS 2021, arXiv:2105.01601",
    )
