"""Multi-label classification: each of `c` labels is there or not, whatever the others are.

Accuracy is that of whole examples: all labels right, as scikit-learn counts it. Metrics such
as `macro_f1` and `auc` say more where labels are many.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import harness
from harness.hookspecs import Register


def multi_label() -> harness.Task:
    """Labels int32 [n, c] of zeros and ones; outputs are the logits of each."""
    return harness.Task(
        label_dtype="int32",
        label_shape=lambda spec: (spec.num_classes,),
        fault=_fault,
        losses=_losses,
        probabilities=_probabilities,
        answers=_answers,
        correct=_correct,
    )


def _fault(labels: np.ndarray, spec: harness.DataSpec) -> str:
    if labels.min() >= 0 and labels.max() <= 1:
        return ""
    return f"labels from {labels.min()} to {labels.max()}; expected 0 and 1"


def _losses(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Binary cross-entropy float32 [b], its mean over the labels of an example."""
    wanted = labels.astype(jnp.float32)  # [b, c]
    return optax.sigmoid_binary_cross_entropy(outputs, wanted).mean(axis=-1)


def _probabilities(model: Any, outputs: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(outputs)


def _answers(outputs: jax.Array, probabilities: jax.Array) -> dict[str, jax.Array]:
    """Which labels are more likely there than not, int32 [b, c], and how likely [b, c]."""
    return {
        "predicted": (outputs > 0).astype(jnp.int32),
        "probability": probabilities.astype(jnp.float32),
    }


def _correct(answers: Mapping[str, jax.Array], labels: jax.Array) -> jax.Array:
    return (answers["predicted"] == labels).all(axis=-1)


@harness.hookimpl
def register_tasks(register: Register) -> None:
    register("multi_label", multi_label)
