"""Classification, the task that every data set has unless its spec says otherwise.

The engine knows no task: it is handed a `Task` and calls its functions. The others are
plugins, in `harness_plugins` and wherever else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from harness.specs import DataSpec, GivesProbabilities, Task


def _fault(labels: np.ndarray, spec: DataSpec) -> str:
    if labels.min() >= 0 and labels.max() < spec.num_classes:
        return ""
    return f"labels from {labels.min()} to {labels.max()}; expected 0 to {spec.num_classes - 1}"


def _probabilities(model: Any, outputs: jax.Array) -> jax.Array:
    if isinstance(model, GivesProbabilities):
        return model.probabilities(outputs)
    return jax.nn.softmax(outputs)


def _answers(outputs: jax.Array, probabilities: jax.Array) -> dict[str, jax.Array]:
    """The most probable class int32 [b], and its probability float32 [b]."""
    return {
        "predicted": jnp.argmax(outputs, axis=-1).astype(jnp.int32),
        "probability": jnp.max(probabilities, axis=-1).astype(jnp.float32),
    }


def _correct(answers: Mapping[str, jax.Array], labels: jax.Array) -> jax.Array:
    return answers["predicted"] == labels


CLASSIFICATION = Task(
    label_dtype="int32",
    label_shape=lambda spec: (),
    fault=_fault,
    losses=optax.softmax_cross_entropy_with_integer_labels,
    probabilities=_probabilities,
    answers=_answers,
    correct=_correct,
)
