"""n-grams of token ids as rows of a table, by a hash.

An n-gram is n tokens that stand side by side. There are far more of them than any table has
rows, so a hash says which row an n-gram takes, and n-grams that meet there share it
(Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning", ICML 2009).
Single tokens are few: each keeps its id, and a row of its own.

An n-gram that touches padding is none, so the padding in front of a short text has no
n-grams, and none spans it. The arithmetic is of operators on uint32, which wrap around
alike in NumPy and in JAX: one definition serves the host and the device.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, Le

import harness

# annotations of constructor parameters, with the bounds that the registry reads
Order: TypeAlias = Annotated[int, Ge(1), Le(8)]
Buckets: TypeAlias = Annotated[int, Ge(2), Le(2**24)]

Array = TypeVar("Array", jax.Array, np.ndarray)

# the golden ratio's fraction in 32 bits: n-grams of each length start from a multiple of it
GOLDEN = 0x9E3779B9
# of the finaliser of MurmurHash3 (Appleby 2011)
FIRST, SECOND = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)


def useful_buckets(buckets: int, *, vocab_size: int, max_n: int) -> int:
    """How many of the buckets n-grams of 2 to `max_n` tokens have a use for.

    At most some four for each n-gram there can be, which keeps tables small where the
    vocabulary is; none where there are single tokens only.

    >>> useful_buckets(2**20, vocab_size=16, max_n=2)
    1024

    Raises:
      UsageError: `buckets` is no power of two.
    """
    if buckets & (buckets - 1):
        below = 1 << (buckets.bit_length() - 1)
        raise harness.UsageError(
            f"buckets={buckets}: expected a power of two; use {below} or {2 * below}"
        )
    possible = sum(vocab_size**n for n in range(2, max_n + 1))
    return min(buckets, 1 << (4 * possible - 1).bit_length()) if possible else 0


def ngram_ids(
    tokens: Array, n: int, *, buckets: int, pad_id: int | None
) -> tuple[Array, Array]:
    """The n-grams of each text, and which of them are some.

    With `pad_id=0`, `[[0, 7, 5, 7]]` has two pairs: the mask is `[[F, T, T]]`.

    Args:
      tokens: int32 `[b, t]` with t >= n.
      n: tokens in each; with 1, the ids are those of the tokens.
      buckets: a power of two; the ids of longer n-grams run below it.

    Returns:
      Ids int32 `[b, t - n + 1]` from left to right, and bool `[b, t - n + 1]`, False where
      an n-gram touches padding; the id there means nothing.
    """
    places = tokens.shape[1] - n + 1
    window = [tokens[:, i : i + places] for i in range(n)]  # n times [b, t - n + 1]
    real: Any = window[0] == window[0]  # True throughout, as an array of the same library
    if pad_id is not None:
        for token in window:
            real = real & (token != pad_id)
    return (window[0] if n == 1 else _hash(window, buckets)), real


def _hash(window: list[Array], buckets: int) -> Array:
    """Buckets int32 `[b, t]`: the low bits of a hash of the tokens and of how many they are."""
    h = _mix(window[0].astype(np.uint32) ^ np.uint32(GOLDEN * len(window) % 2**32))
    for token in window[1:]:
        h = _mix(h ^ token.astype(np.uint32))
    return (h & np.uint32(buckets - 1)).astype(np.int32)


def _mix(h: Array) -> Array:
    """MurmurHash3's finaliser of uint32 of any shape: each bit comes to depend on all."""
    h = (h ^ (h >> np.uint32(16))) * FIRST
    h = (h ^ (h >> np.uint32(13))) * SECOND
    return h ^ (h >> np.uint32(16))


def distinct(ids: jax.Array, real: jax.Array, *, nothing: int) -> jax.Array:
    """The ids of each row once: int32 `[b, t]`, with `nothing` in all other places.

    `[[4, 2, 4, 5]]`, of which the last is not real, gives `[[2, 4, 9, 9]]` with `nothing=9`.

    Args:
      ids: int32 `[b, t]`.
      real: bool `[b, t]`; the ids elsewhere are left out.
      nothing: above all ids.
    """
    none = jnp.int32(nothing)
    ordered = jnp.sort(jnp.where(real, ids, none), axis=1)
    again = ordered[:, 1:] == ordered[:, :-1]  # [b, t - 1]
    rest = jnp.where(again, none, ordered[:, 1:])
    return jnp.concatenate([ordered[:, :1], rest], axis=1)  # [b, t]
