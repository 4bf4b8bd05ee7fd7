"""The constant predictor: the floor for accuracy, for loss and for step time.

It looks at the training labels once, before training, and answers whatever it is shown with
what they are on average: with the frequencies of the classes or of the labels, or with the
mean of the targets. A model that does no better has learned nothing; a step that takes no
longer is all overhead.
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


class Constant(nnx.Variable[jax.Array]):
    """State that training must not change: it is no `nnx.Param`."""


class Majority(nnx.Module):
    """Predicts the class frequencies, label frequencies or mean targets of training.

    Until `prepare` is called, all classes are equally frequent, labels are there as often as
    not, and targets are 0.

    Args:
      data: of any kind, for classification, multi-label classification or regression.
      rngs: not used.

    Raises:
      Unsupported: the task is another one.
    """

    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs) -> None:
        if data.task not in AVERAGES:
            raise harness.Unsupported(
                f"answers the tasks {', '.join(AVERAGES)}; this one is {data.task!r}"
            )
        self.task, self.num_classes = data.task, data.num_classes
        start = np.log(np.full(data.num_classes, 1 / data.num_classes))
        if data.task != "classification":
            start = np.zeros(data.num_classes)
        self.outputs = Constant(jnp.asarray(start, jnp.float32))

    def prepare(self, train: Split) -> None:
        """Averages the labels of the training split.

        Args:
          train: `{"x": ..., "y": [n, ...]}`, or a random-access source of single examples.

        Raises:
          ContractError: a label is not one of the classes.
        """
        found = AVERAGES[self.task](_labels(train), self.num_classes)
        self.outputs[...] = jnp.asarray(found, jnp.float32)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Gives every example of `[b, ...]` the same outputs: float32 `[b, c]`."""
        return jnp.broadcast_to(self.outputs[...][None], (x.shape[0], self.num_classes))


def _labels(train: Split) -> np.ndarray:
    """All labels of a split: `[n, ...]`."""
    if isinstance(train, Mapping):
        return np.asarray(train["y"])
    return np.array([train[i]["y"] for i in range(len(train))])


def _class_frequencies(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Log frequencies `[c]` of classes int `[n]`, smoothed."""
    strange = labels[(labels < 0) | (labels >= num_classes)]
    if strange.size:
        raise harness.ContractError(
            f"label {strange[0]} in the training split; with num_classes="
            f"{num_classes} labels run from 0 to {num_classes - 1}"
        )
    smoothed = np.bincount(labels, minlength=num_classes) + PSEUDO_COUNT  # [c]
    return np.log(smoothed / smoothed.sum())


def _label_frequencies(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Log odds `[c]` of labels 0 and 1 `[n, c]`, smoothed."""
    there = labels.sum(axis=0) + PSEUDO_COUNT  # [c]
    return np.log(there / (len(labels) + 2 * PSEUDO_COUNT - there))


def _mean_targets(targets: np.ndarray, num_classes: int) -> np.ndarray:
    """The mean `[c]` of targets `[n, c]`."""
    return targets.mean(axis=0, dtype=np.float64)


AVERAGES = {
    "classification": _class_frequencies,
    "multi_label": _label_frequencies,
    "regression": _mean_targets,
}


@harness.hookimpl
def register_models(register: Register) -> None:
    register(
        "majority",
        Majority,
        description="The average label of the training split, whatever the input",
    )
