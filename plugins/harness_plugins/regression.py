"""Regression: outputs are the predicted values of `c` targets.

The loss is the mean squared error. Nothing is simply right, so there is no accuracy, and
`--select best` takes the smallest validation loss.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import harness
from harness.hookspecs import Register


def regression() -> harness.Task:
    """Targets float32 [n, c]; outputs are their values."""
    return harness.Task(
        label_dtype="float32",
        label_shape=lambda spec: (spec.num_classes,),
        fault=_fault,
        losses=_losses,
        probabilities=_values,
        answers=_answers,
        correct=None,
    )


def _fault(labels: np.ndarray, spec: harness.DataSpec) -> str:
    return "" if np.isfinite(labels).all() else "targets that are not finite; expected numbers"


def _losses(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Squared error float32 [b], its mean over the targets of an example."""
    return jnp.square(outputs - labels).mean(axis=-1)


def _values(model: Any, outputs: jax.Array) -> jax.Array:
    return outputs


def _answers(outputs: jax.Array, probabilities: jax.Array) -> dict[str, jax.Array]:
    return {"predicted": outputs.astype(jnp.float32)}


@harness.hookimpl
def register_tasks(register: Register) -> None:
    register("regression", regression)
