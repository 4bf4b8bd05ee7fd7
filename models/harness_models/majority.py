"""The constant predictor: the floor for accuracy and for step time.

It looks at the training labels once, before training, and answers with their frequencies
whatever it is shown. A model that does no better has learned nothing; a step that takes
no longer is all overhead.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import harness
from harness.hookspecs import Register
from harness.specs import Split

# Laplace's rule of succession: a class that the training split lacks stays possible
PSEUDO_COUNT = 1


class LogPriors(nnx.Variable[jax.Array]):
    """State that training must not change: it is no `nnx.Param`."""


class Majority(nnx.Module):
    """Predicts the class frequencies of the training split.

    Until `prepare` is called, all classes are equally frequent.

    Args:
      data: of any kind.
      rngs: not used.
    """

    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs) -> None:
        self.num_classes = data.num_classes
        self.log_priors = LogPriors(_log_priors(np.zeros(data.num_classes)))

    def prepare(self, train: Split) -> None:
        """Counts the labels of the training split.

        Args:
          train: `{"x": ..., "y": [n]}`, or a random-access source of single examples.

        Raises:
          ContractError: a label is not one of the classes.
        """
        labels = _labels(train)
        strange = labels[(labels < 0) | (labels >= self.num_classes)]
        if strange.size:
            raise harness.ContractError(
                f"label {strange[0]} in the training split; with num_classes="
                f"{self.num_classes} labels run from 0 to {self.num_classes - 1}"
            )
        counts = np.bincount(labels, minlength=self.num_classes)
        self.log_priors[...] = _log_priors(counts)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Gives every example of `[b, ...]` the same logits: float32 `[b, c]`."""
        return jnp.broadcast_to(self.log_priors[...][None], (x.shape[0], self.num_classes))


def _labels(train: Split) -> np.ndarray:
    """All labels of a split: int64 `[n]`."""
    if isinstance(train, Mapping):
        return np.asarray(train["y"]).astype(np.int64)
    return np.array([train[i]["y"] for i in range(len(train))], dtype=np.int64)


def _log_priors(counts: np.ndarray) -> jax.Array:
    """Log frequencies, smoothed: counts `[c]` to float32 `[c]`."""
    smoothed = counts + PSEUDO_COUNT
    return jnp.asarray(np.log(smoothed / smoothed.sum()), jnp.float32)


@harness.hookimpl
def register_models(register: Register) -> None:
    register(
        "majority",
        Majority,
        description="Class frequencies of the training split, whatever the input",
    )
