"""What the models without attention share: padding as zero vectors, and positions.

Vectors of padding that are zero add nothing to a sum, a Fourier transform or a state, so a
piece that mixes positions linearly is right about padding if its input is zeroed first. A
piece that is built for one length gets shorter inputs with zero vectors in front: what the
padding that was cut off would have been.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

import harness


def zero_padding(x: jax.Array, mask: jax.Array | None) -> jax.Array:
    """Sets the vectors of padding to zero.

    Args:
      x: `[b, t, d]`.
      mask: bool `[b, t]`, True where a token stands; None where nothing is padding.

    Returns:
      `[b, t, d]`, of the dtype of `x`.
    """
    return x if mask is None else jnp.where(mask[:, :, None], x, jnp.zeros((), x.dtype))


def lengthen(
    x: jax.Array, mask: jax.Array | None, *, length: int
) -> tuple[jax.Array, jax.Array | None]:
    """Puts zero vectors in front until there are `length` positions; none of them counts.

    Args:
      x: `[b, t, d]` with at most `length` positions.
      mask: bool `[b, t]`, or None where nothing is padding.

    Returns:
      `[b, length, d]` and its mask, `[b, length]`; None if it was, and nothing is in front.

    Raises:
      UsageError: there are more than `length` positions.
    """
    b, t, _ = x.shape
    _refuse_longer(t, length=length)
    if t == length:
        return x, mask
    mask = jnp.ones((b, t), bool) if mask is None else mask
    front = (length - t, 0)
    return jnp.pad(x, ((0, 0), front, (0, 0))), jnp.pad(mask, ((0, 0), front))


class Positions(nnx.Module):
    """A learned vector a position, counted from the end, where texts have their last token.

    Gehring et al. 2017, "Convolutional Sequence to Sequence Learning".
    """

    def __init__(self, length: int, width: int, *, rngs: nnx.Rngs) -> None:
        self.table = nnx.Embed(length, width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Adds the vectors of the last t positions: `[b, t, d]` to `[b, t, d]`.

        Raises:
          UsageError: there are more positions than vectors.
        """
        vectors = self.table.embedding[...]  # [length, d]
        _refuse_longer(x.shape[1], length=vectors.shape[0])
        return x + vectors[vectors.shape[0] - x.shape[1] :].astype(x.dtype)[None]  # [1, t, d]


def _refuse_longer(t: int, *, length: int) -> None:
    if t > length:
        raise harness.UsageError(
            f"{t} positions given to a model built for {length}; cut them, or build it from "
            f"a data.shape of ({t},)"
        )
