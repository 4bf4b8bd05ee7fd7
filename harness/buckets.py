"""Length buckets: a batch of short examples is cut to the length that it needs.

Padding stands in front, so what all examples of a batch have in front is no word of any of
them. A compiled program has fixed shapes, so there are a few lengths to cut to, each a branch
of the one program; which of them a batch takes is seen from the batch itself. How examples
are put into batches decides what is saved, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from harness.errors import ContractError
from harness.feed import Examples
from harness.orders import LARGE
from harness.specs import DataSpec

ROWS_AT_ONCE = 4096  # examples whose lengths are counted together


def at_length(function: Callable[[jax.Array], Any], x: jax.Array, spec: DataSpec) -> Any:
    """Calls a function with a batch, cut to the first bucket that all of its tokens fit in.

    Args:
      function: of int32 [b, t'], for t' one of `spec.buckets`; what it returns has shapes
        that do not depend on t'.
      x: int32 [b, t].
    """
    if not spec.buckets:
        return function(x)
    length = x.shape[1]
    real = (x != jnp.int32(spec.pad_id or 0)).any(axis=0)  # [t]
    in_front = jnp.where(real.any(), jnp.argmax(real).astype(jnp.int32), jnp.int32(length))
    bounds = jnp.array(spec.buckets[:-1], jnp.int32)
    bucket = (length - in_front > bounds).sum(dtype=jnp.int32)
    branches = [
        lambda x, size=size: function(lax.slice_in_dim(x, length - size, length, axis=1))
        for size in spec.buckets
    ]  # [b, t] -> [b, t']
    return lax.switch(bucket, branches, x)


def buckets_of(examples: Examples, spec: DataSpec) -> np.ndarray | None:
    """The number of each example's bucket: int32 [n], or None where nothing is cut.

    Every example is looked at, so those of a source are all read once.

    Raises:
      ContractError: there are too many examples to look at each.
    """
    if not spec.buckets:
        return None
    if len(examples) > LARGE:
        raise ContractError(
            f"DataSpec.buckets of {len(examples)} examples: the length of each is read, of at "
            f"most {LARGE}; leave buckets out, or use --limit"
        )
    found = np.empty(len(examples), np.int32)
    for start in range(0, len(examples), ROWS_AT_ONCE):
        at = np.arange(start, min(start + ROWS_AT_ONCE, len(examples)))
        real = examples.gather(at)["x"] != spec.pad_id  # [m, t]
        in_front = np.where(real.any(axis=1), real.argmax(axis=1), real.shape[1])  # [m]
        found[at] = np.searchsorted(spec.buckets, real.shape[1] - in_front)
    return found
