"""Loss and accuracy, as sums that are divided once.

A batch of evaluation may be filled up with repeated examples; a mask leaves them out of
the sums, so accuracy over a ragged last batch is exact.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax


class EvalSums(NamedTuple):
    """What an evaluation batch adds up, and what it says of each example.

    Attributes:
      loss: float32 [], the sum of the cross-entropies.
      correct: int32 [], the number of right predictions.
      predicted: int32 [b], the most probable class.
      probability: float32 [b], that class's probability.
    """

    loss: jax.Array
    correct: jax.Array
    predicted: jax.Array
    probability: jax.Array


def mean_loss(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean cross-entropy float32 [] of outputs [b, c] taken as logits, labels int32 [b]."""
    # a model that computes in half precision is not judged in it
    logits = outputs.astype(jnp.float32)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def eval_sums(
    outputs: jax.Array, probabilities: jax.Array, labels: jax.Array, mask: jax.Array
) -> EvalSums:
    """Sums over the examples that `mask` keeps.

    Args:
      outputs: [b, c], taken as logits by the loss.
      probabilities: [b, c].
      labels: int32 [b].
      mask: bool [b], False for an example that only fills up the batch.
    """
    logits = outputs.astype(jnp.float32)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)  # [b]
    predicted = jnp.argmax(outputs, axis=-1).astype(jnp.int32)  # [b]
    return EvalSums(
        loss=jnp.where(mask, losses, jnp.zeros_like(losses)).sum(),
        correct=((predicted == labels) & mask).sum(dtype=jnp.int32),
        predicted=predicted,
        probability=jnp.max(probabilities, axis=-1).astype(jnp.float32),
    )


class Evaluation(NamedTuple):
    """A split's result: mean loss, accuracy, and each example's prediction."""

    loss: float
    accuracy: float
    predicted: np.ndarray
    probability: np.ndarray


def summarize(sums: list[EvalSums], *, size: int) -> Evaluation:
    """Divides the sums of all batches once, in double precision.

    Args:
      sums: host arrays with a leading axis of batches: loss [k], predicted [k, b].
      size: the number of real examples; the filling stands at the end.
    """
    loss = sum(float(np.sum(s.loss, dtype=np.float64)) for s in sums)
    correct = sum(int(np.sum(s.correct)) for s in sums)
    predicted = np.concatenate([np.ravel(s.predicted) for s in sums])  # [k * b]
    probability = np.concatenate([np.ravel(s.probability) for s in sums])  # [k * b]
    return Evaluation(
        loss=loss / size,
        accuracy=correct / size,
        predicted=predicted[:size],
        probability=probability[:size],
    )
