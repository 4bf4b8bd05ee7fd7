"""Dropout with masks that cost next to nothing.

`nnx.Dropout` folds the number of the call into a key, then hashes once for each value and
compares 32 random bits; on CPUs JAX computes each hash as a loop of small operations.
Here the number of the call is a word of the hash's own counter, one hash gives four
values 16 bits each (a rate is met to within 2**-17), and the hash is written out, so that
a mask is one elementwise operation.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

LEVELS = 1 << 16
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))  # of odd and of even groups of rounds
PARITY = np.uint32(0x1BD11BDA)


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
        call = self.rngs.count[...]  # uint32 []
        self.rngs.count[...] = call + np.uint32(1)
        dropped = min(round(self.rate * LEVELS), LEVELS - 1)
        levels = random_levels(self.rngs.key[...], call, inputs.shape)
        scaled = inputs * (LEVELS / (LEVELS - dropped))
        return jnp.where(levels >= np.uint32(dropped), scaled, jnp.zeros((), inputs.dtype))


def random_levels(key: jax.Array, call: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Values of any shape, uniform over 0 .. 65,535, as uint32.

    Args:
      key: a threefry key; two keys have unrelated values.
      call: uint32 []; two calls with one key have unrelated values.
    """
    size = math.prod(shape)
    index = lax.iota(jnp.uint32, -(-size // 4))  # [m]
    first, second = threefry(key, jnp.broadcast_to(call, index.shape), index)
    low, high = np.uint32(LEVELS - 1), np.uint32(16)
    pieces = [first & low, first >> high, second & low, second >> high]
    return jnp.concatenate(pieces)[:size].reshape(shape)  # [4 m] -> shape


def threefry(key: jax.Array, first: jax.Array, second: jax.Array) -> tuple[jax.Array, ...]:
    """Threefry-2x32 with 20 rounds of two uint32 counters of one shape.

    Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011. It is JAX's
    own hash (`jax.extend.random.threefry_2x32`) to the bit, without its loop.
    """
    words = jax.random.key_data(key)  # uint32 [2]
    schedule = (words[0], words[1], words[0] ^ words[1] ^ PARITY)
    first, second = first + schedule[0], second + schedule[1]
    for group in range(5):
        for rotation in ROTATIONS[group % 2]:
            first = first + second
            left, right = np.uint32(rotation), np.uint32(32 - rotation)
            second = ((second << left) | (second >> right)) ^ first
        first = first + schedule[(group + 1) % 3]
        second = second + schedule[(group + 2) % 3] + np.uint32(group + 1)
    return first, second
