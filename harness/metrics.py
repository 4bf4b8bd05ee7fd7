"""Loss and accuracy, as sums that are divided once.

A batch of evaluation may be filled up with repeated examples; a mask leaves them out of
the sums, so accuracy over a ragged last batch is exact. What is right and what a loss is,
the task says.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from harness.specs import Task
from harness.tasks import CLASSIFICATION


class EvalSums(NamedTuple):
    """What an evaluation batch adds up, and what it says of each example.

    Attributes:
      loss: float32 [], the sum of the losses.
      correct: int32 [], the number of right predictions; 0 where the task counts none.
      answers: arrays [b, ...] by name; for classification "predicted" int32 [b], the most
        probable class, and "probability" float32 [b], that class's.
    """

    loss: jax.Array
    correct: jax.Array
    answers: dict[str, Any]


def mean_loss(
    outputs: jax.Array, labels: jax.Array, *, task: Task = CLASSIFICATION
) -> jax.Array:
    """Mean loss float32 [] of outputs [b, c] and labels [b, ...]."""
    # a model that computes in half precision is not judged in it
    return task.losses(outputs.astype(jnp.float32), labels).mean()


def eval_sums(
    outputs: jax.Array,
    probabilities: jax.Array,
    labels: jax.Array,
    mask: jax.Array,
    *,
    task: Task = CLASSIFICATION,
) -> EvalSums:
    """Sums over the examples that `mask` keeps.

    Args:
      outputs: [b, c]; classification takes them as logits.
      probabilities: [b, c].
      labels: int32 [b], or as the task has them.
      mask: bool [b], False for an example that only fills up the batch.
    """
    losses = task.losses(outputs.astype(jnp.float32), labels)  # [b]
    answers = task.answers(outputs, probabilities)
    correct = jnp.zeros((), jnp.int32)
    if task.correct is not None:
        correct = (task.correct(answers, labels) & mask).sum(dtype=jnp.int32)
    return EvalSums(
        loss=jnp.where(mask, losses, jnp.zeros_like(losses)).sum(),
        correct=correct,
        answers=answers,
    )


class Evaluation(NamedTuple):
    """A split's result: mean loss, accuracy, and what was said of each example [n, ...].

    `accuracy` is None where the task counts nothing as simply right.
    """

    loss: float
    accuracy: float | None
    answers: dict[str, np.ndarray]


def summarize(sums: list[EvalSums], *, size: int, task: Task = CLASSIFICATION) -> Evaluation:
    """Divides the sums of all batches once, in double precision.

    Args:
      sums: host arrays with a leading axis of batches: loss [k], answers [k, b, ...].
      size: the number of real examples; the filling stands at the end.
    """
    loss = sum(float(np.sum(s.loss, dtype=np.float64)) for s in sums)
    correct = sum(int(np.sum(s.correct)) for s in sums)
    answers = {
        name: np.concatenate([flat(s.answers[name]) for s in sums])[:size]
        for name in sums[0].answers
    }
    return Evaluation(
        loss=loss / size,
        accuracy=None if task.correct is None else correct / size,
        answers=answers,
    )


def flat(array: np.ndarray) -> np.ndarray:
    """Batches after one another, as examples after one another."""
    return array.reshape(-1, *array.shape[2:])  # [k, b, ...] -> [k * b, ...]
