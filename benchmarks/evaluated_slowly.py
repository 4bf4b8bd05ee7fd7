"""A plugin for `benchmarks.crash`: a small model whose evaluation takes its time and shows.

Whenever it evaluates a batch it touches the file that `EVALUATED_SLOWLY_SIGN` names, and
waits for a moment, so that most of a run's time is evaluation.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import harness


def sign(x: np.ndarray) -> np.ndarray:
    """Says that an evaluation goes on; the input comes back."""
    if os.environ.get("EVALUATED_SLOWLY_SIGN"):
        Path(os.environ["EVALUATED_SLOWLY_SIGN"]).touch()
    time.sleep(0.03)
    return np.asarray(x)


class EvaluatedSlowly(nnx.Module):
    """A linear model of standardised features, with dropout."""

    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs) -> None:
        self.dropout = nnx.Dropout(0.1, rngs=rngs)
        self.head = nnx.Linear(data.shape[0], data.num_classes, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        x = tokens.astype(jnp.float32) / 16.0  # [b, t]
        if self.dropout.deterministic:
            x = jax.pure_callback(sign, jax.ShapeDtypeStruct(x.shape, x.dtype), x)
        return self.head(self.dropout(x))


@harness.hookimpl
def register_models(register: harness.Register) -> None:
    register("evaluated_slowly", EvaluatedSlowly)
