"""One vector an example from its positions, by name.

All leave padding out where a mask is given, and give zeros for a row that has nothing else.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx

from harness_models._layers import max_over_positions, mean_over_positions

PoolingName: TypeAlias = Literal["mean", "max", "last", "attention"]


class Pooling(nnx.Module):
    """Pools over positions: "mean", "max", "last" or "attention".

    Only "attention" has parameters: `d * d + 2 d`.
    """

    def __init__(self, name: PoolingName, width: int, *, rngs: nnx.Rngs) -> None:
        self.name = name
        self.attention = AttentionPooling(width, rngs=rngs) if name == "attention" else None

    def __call__(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        """`[b, t, d]` and a mask, bool `[b, t]` or None, to `[b, d]`."""
        if self.attention is not None:
            return self.attention(x, mask)
        pools = {"mean": mean_over_positions, "max": max_over_positions, "last": last_position}
        return pools[self.name](x, mask)


def last_position(x: jax.Array, mask: jax.Array | None) -> jax.Array:
    """The last real position; zeros for a row that has none.

    Padding stands in front, so it is the last column.

    Args:
      x: `[b, t, d]`.
      mask: bool `[b, t]`, or None to count every position.

    Returns:
      `[b, d]`, of the dtype of `x`.
    """
    return x[:, -1] if mask is None else jnp.where(mask[:, -1:], x[:, -1], 0)


class AttentionPooling(nnx.Module):
    """The mean of the positions, each weighted by how well it fits a learned query.

    Yang et al. 2016, "Hierarchical Attention Networks for Document Classification", 2.2:
    the weights are the softmax over positions of `q^T tanh(W x + b)`.
    """

    def __init__(self, width: int, *, rngs: nnx.Rngs) -> None:
        self.project = nnx.Linear(width, width, rngs=rngs)
        self.query = nnx.Linear(width, 1, use_bias=False, rngs=rngs)

    def __call__(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        """`[b, t, d]` and a mask, bool `[b, t]` or None, to `[b, d]` of the dtype of `x`."""
        scores = self.query(jnp.tanh(self.project(x)))[:, :, 0]  # [b, t, 1] -> [b, t]
        weights = softmax_over_positions(scores.astype(jnp.float32), mask)
        return jnp.einsum("btd,bt->bd", x, weights.astype(x.dtype))


def softmax_over_positions(scores: jax.Array, mask: jax.Array | None) -> jax.Array:
    """The softmax of scores `[b, t]` over real positions; zeros for a row that has none."""
    if mask is None:
        return jax.nn.softmax(scores, axis=1)
    # the lowest finite number, not -inf: a row of only padding must not become nan
    lowest = jnp.finfo(scores.dtype).min
    weights = jax.nn.softmax(jnp.where(mask, scores, lowest), axis=1)
    return jnp.where(mask, weights, 0)
