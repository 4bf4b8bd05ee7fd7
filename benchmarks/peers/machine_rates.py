"""What the machine can do: float32 products and memory traffic, measured through XLA.

    python -m benchmarks.peers.machine_rates

prints one line of JSON: `gflop_s` in a product of two 2048 x 2048 matrices, and `gb_s`
read and written by adding one to 256 MiB in place.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

SIZE, WORDS, REPEATS = 2048, 64 << 20, 5


def rate(function: Callable[[Any], Any], start: Any, amount: float) -> float:
    """The best of `REPEATS` rates: noise only ever takes away."""
    value = jax.block_until_ready(function(start))
    best = 0.0
    for _ in range(REPEATS):
        began = time.perf_counter()
        value = jax.block_until_ready(function(value))
        best = max(best, amount / (time.perf_counter() - began))
    return best


def rates() -> dict[str, float]:
    """`gflop_s` and `gb_s`, both for all cores together."""
    ones = jnp.ones((SIZE, SIZE)) / SIZE
    product = jax.jit(lambda a: a @ ones)

    def add(a: jax.Array, times: int) -> jax.Array:
        return lax.fori_loop(0, times, lambda i, a: a + 1, a)

    # the number of rounds is an argument, or XLA would add them all at once
    adds = jax.jit(add, donate_argnums=(0,))
    return {
        "gflop_s": rate(product, ones, 2 * SIZE**3 / 1e9),
        "gb_s": rate(lambda a: adds(a, 4), jnp.zeros(WORDS), 4 * 2 * 4 * WORDS / 1e9),
    }


if __name__ == "__main__":
    print(json.dumps(rates()))
