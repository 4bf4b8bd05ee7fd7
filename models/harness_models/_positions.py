"""Where positions stand, for models that do not learn a vector for each of them.

Places are counted from the end: the last position is at 0, the one in front of it at 1.
Padding stands in front of the tokens, so a token's place does not depend on how much of it
there is, nor on how many positions a batch has.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax

LONGEST = 10_000.0  # the slowest wave takes 2 pi times as many positions (Vaswani et al. 2017)


@dataclass(frozen=True)
class Relations:
    """How attention takes into account where two positions stand to each other.

    Attributes:
      rotary: queries and keys are turned by angles that grow with the place, so that a
        score depends on the distance (Su et al. 2021, "RoFormer").
      alibi: a score falls linearly with the distance (Press et al. 2022, "Train Short, Test
        Long"); the same to both sides, where the paper's decoder looks back only.
      window: positions that each sees on either side of it (Beltagy et al. 2020,
        "Longformer", 3.1); 0 for all.
      class_first: whether the first position is a class position, which has no place in the
        text: it sees all and all see it, with ALiBi at no distance; with rotary positions
        it is not turned, so it stands where the last token does.
    """

    rotary: bool = False
    alibi: bool = False
    window: int = 0
    class_first: bool = False

    def turned(self, x: jax.Array) -> jax.Array:
        """Queries or keys `[b, h, t, d/h]`, turned by their places if that is asked for."""
        if not self.rotary:
            return x
        return rotate(x, places(x.shape[2], class_first=self.class_first))

    def bias(self, num_heads: int, t: int) -> jax.Array | None:
        """What is added to the scores: float32 `[1, h, t, t]`, or None."""
        if not self.alibi:
            return None
        return -slopes(num_heads)[None, :, None, None] * self._distances(t)

    def near(self, t: int) -> jax.Array | None:
        """Which positions see which: bool `[1, 1, t, t]`, or None where each sees all."""
        return self._distances(t) <= self.window if self.window else None

    def _distances(self, t: int) -> jax.Array:
        """How far positions are from each other: float32 `[1, 1, t, t]`."""
        at = places(t).astype(jnp.float32)
        apart = jnp.abs(at[:, None] - at[None, :])
        if self.class_first:
            in_text = lax.iota(jnp.int32, t) > 0
            apart = jnp.where(in_text[:, None] & in_text[None, :], apart, 0)
        return apart[None, None]


NO_RELATIONS = Relations()


def places(t: int, *, class_first: bool = False) -> jax.Array:
    """Places of t positions, int32 `[t]`: t - 1, ..., 1, 0; a class position is at 0."""
    index = lax.iota(jnp.int32, t)
    at = t - 1 - index
    return jnp.where(index == 0, 0, at) if class_first else at


def sinusoids(t: int, width: int) -> jax.Array:
    """A vector for each of t places, of sines and cosines: float32 `[t, d]`.

    Vaswani et al. 2017, "Attention Is All You Need", 3.5; sines stand in the first half.
    """
    angles = _angles(places(t), width)
    waves = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=1)
    return waves[:, :width]  # an odd width leaves the last cosine out


def rotate(x: jax.Array, at: jax.Array) -> jax.Array:
    """Turns channel i and channel i + d/2 together, by an angle that grows with the place.

    The paper turns neighbouring channels: the same up to the order of the channels, which is
    the model's own.

    Args:
      x: `[b, h, t, d]`, with an even d.
      at: places, int32 `[t]`.

    Returns:
      `[b, h, t, d]`, of the dtype of `x`; computed in float32.
    """
    angles = _angles(at, x.shape[-1])[None, None]  # [1, 1, t, d/2]
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    left, right = jnp.split(x.astype(jnp.float32), 2, axis=-1)  # [b, h, t, d/2] each
    turned = jnp.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)
    return turned.astype(x.dtype)


def slopes(num_heads: int) -> jax.Array:
    """ALiBi's slope of each head, float32 `[h]`: 2^(-8/h), 2^(-16/h), ..., 2^-8."""
    return 2.0 ** (-8.0 / num_heads * (1.0 + lax.iota(jnp.float32, num_heads)))


def _angles(at: jax.Array, width: int) -> jax.Array:
    """Places `[t]` times the rates of the waves: float32 `[t, ceil(d/2)]`."""
    waves = lax.iota(jnp.float32, -(-width // 2))
    rates = LONGEST ** (-2.0 / width * waves)
    return at.astype(jnp.float32)[:, None] * rates[None, :]
