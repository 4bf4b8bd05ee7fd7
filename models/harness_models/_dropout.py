"""Dropout with masks that cost a quarter.

`nnx.Dropout` hashes once for each value and compares 32 random bits. A mask needs far
fewer: here one hash gives four values 16 bits each, so a rate is met to within 2**-17.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.extend.random import threefry_2x32

LEVELS = 1 << 16


class Dropout(nnx.Dropout):
    """`nnx.Dropout` (Srivastava et al. 2014) with 16 random bits a value.

    The kept values are divided by the probability with which they really are kept.
    """

    def __call__(self, inputs: jax.Array) -> jax.Array:  # type: ignore[override]
        """Drops values of an array of any shape while training; nothing in evaluation."""
        if self.deterministic or self.rate == 0.0:
            return inputs
        if self.rate == 1.0:
            return jnp.zeros_like(inputs)
        assert isinstance(self.rngs, nnx.RngStream)
        dropped = min(round(self.rate * LEVELS), LEVELS - 1)
        kept = random_levels(self.rngs(), inputs.shape) >= dropped
        scaled = inputs * (LEVELS / (LEVELS - dropped))
        return jnp.where(kept, scaled, jnp.zeros((), inputs.dtype))


def random_levels(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """uint16 values of any shape, uniform over all 65,536; `key` is a threefry key."""
    size = math.prod(shape)
    counters = lax.iota(jnp.uint32, 2 * -(-size // 4))
    words = threefry_2x32(jax.random.key_data(key), counters)  # uint32 [m]
    levels = lax.bitcast_convert_type(words, jnp.uint16)  # [m, 2]
    return levels.reshape(-1)[:size].reshape(shape)
