"""A model that waits in the middle of its training until a file is there."""

from __future__ import annotations

import time
from pathlib import Path

import jax
import jax.numpy as jnp
from flax import nnx

import harness


class Waits(nnx.Module):
    """Logits of one dense layer; a callback of each step waits for a file."""

    def __init__(
        self, data: harness.DataSpec, *, gate: str = "", after: int = 0, rngs: nnx.Rngs
    ) -> None:
        self.head = nnx.Linear(data.shape[0], data.num_classes, rngs=rngs)
        self.gate, self.after = gate, after
        print("the model is being made")

    def prepare(self, train: object) -> None:
        """Waits before the first step, once the folder `gate` exists."""
        if not self.gate:
            return
        folder = Path(self.gate)
        (folder / f"begun-{time.time_ns()}").touch()
        while not (folder / "open").exists():
            time.sleep(0.05)

    def __call__(self, tokens: jax.Array) -> jax.Array:  # int32 [b, t] -> float32 [b, c]
        return self.head(tokens.astype(jnp.float32) / 16)


@harness.hookimpl
def register_models(register) -> None:
    register("waits", Waits)
