"""What a model's checks look at: the model, and a batch of the data it is tried on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from harness import assemble, feed, metrics, program
from harness.checks import made_up
from harness.entries import Scalar
from harness.errors import Unsupported
from harness.events import Event, Measured
from harness.recipe import Recipe
from harness.specs import Dataset, DataSpec, Prepares, Task
from harness.tasks import CLASSIFICATION

BATCH = 16
SEED = 0
# two batches and a half: the rest of an epoch is dropped, the rest of an evaluation is not
COUNT = 2 * BATCH + BATCH // 2
RECIPE = Recipe(epochs=2, batch_size=BATCH, eval_batch_size=BATCH)


@dataclass(frozen=True)
class Prepared:
    """The programs that a run would use, and what is measured of them."""

    programs: assemble.Prepared
    measured: Mapping[str, Any]


@dataclass(frozen=True)
class ModelSubject:
    """A model with its parameters, and data that it serves.

    Attributes:
      told: which data, in words.
      examples: {"x": [n, *shape], "y": [n, ...]}, at least two batches.
      task: the spec's.
    """

    factory: Callable[..., nnx.Module]
    params: Mapping[str, Scalar]
    spec: DataSpec
    examples: Mapping[str, np.ndarray]
    told: str
    task: Task = CLASSIFICATION

    @property
    def x(self) -> np.ndarray:
        """The first batch [b, *shape]."""
        return self.examples["x"][:BATCH]

    @property
    def y(self) -> np.ndarray:
        """Its labels [b, ...]."""
        return self.examples["y"][:BATCH]

    def build(self, *, seed: int = SEED) -> nnx.Module:
        """The model as a run constructs it, prepared with the examples."""
        model = assemble.build_model(self.factory, self.spec, dict(self.params), seed=seed)
        if isinstance(model, Prepares):
            model.prepare(dict(self.examples))
        return model

    def split(self, *, seed: int = SEED) -> tuple[program.SplitModel, Any, Any]:
        """The model's graphs, its parameters and its other variables."""
        return program.split_model(self.build(seed=seed), task=self.task)

    @cached_property
    def parts(self) -> tuple[program.SplitModel, Any, Any]:
        """The split of seed 0, made once: no check changes it."""
        return self.split()

    @cached_property
    def judge(self) -> Callable[..., jax.Array]:
        """Outputs [b, c] of (params, rest, x) in evaluation, compiled once a shape."""
        return jax.jit(self.parts[0].eval_outputs)

    @cached_property
    def gradient(self) -> Callable[..., tuple[jax.Array, Any]]:
        """Loss [] and gradient of (params, rest, x, y) in training, compiled once a shape."""
        split = self.parts[0]

        def loss(params: Any, rest: Any, x: jax.Array, y: jax.Array) -> jax.Array:
            outputs = split.train_outputs(params, rest, x)[0]
            return metrics.mean_loss(outputs, y, task=split.task)

        return jax.jit(jax.value_and_grad(loss))

    def answers(self, x: Any) -> np.ndarray:
        """Outputs [b, c] of the model of seed 0 in evaluation."""
        return np.asarray(self.judge(*self.parts[1:], jnp.asarray(x)))

    @cached_property
    def prepared(self) -> Prepared:
        """Training and evaluation as the engine compiles them."""
        some = {name: values[:COUNT] for name, values in self.examples.items()}
        measured: dict[str, Any] = {}

        def hear(event: Event) -> None:
            if isinstance(event, Measured):
                measured.update(event.values)

        dataset = Dataset(train=some, test=some, spec=self.spec)
        parts = assemble.Parts(task=self.task)
        programs = assemble.prepare(
            self.build(), dataset, RECIPE, seed=SEED, emit=hear, parts=parts
        )
        return Prepared(programs, measured)

    def on(self, spec: DataSpec) -> ModelSubject:
        """The same model on made-up data, of its own task or of classification."""
        examples = made_up.examples(spec, 4 * BATCH, seed=SEED)
        task = self.task if spec.task == self.spec.task else CLASSIFICATION
        told = f"made-up {spec.kind}"
        return replace(self, spec=spec, examples=examples, told=told, task=task)


def served(
    factory: Callable[..., nnx.Module],
    params: Mapping[str, Scalar],
    real: Callable[[], tuple[str, Dataset, Task]],
) -> ModelSubject:
    """The model on the first data that it serves: the real ones, or made-up ones of a kind.

    Args:
      real: loads a data set, and says its name and its task.

    Raises:
      Unsupported: it serves none of them.
    """
    name, dataset, task = real()
    first = ModelSubject(factory, params, dataset.spec, _some(dataset, task), name, task)
    tried = [first, *(first.on(spec) for spec in made_up.SPECS)]
    reasons = []
    for subject in tried:
        try:
            subject.build()
        except Unsupported as error:
            reasons.append(f"{subject.told}: {error}")
        except Exception:  # the check that constructs tells it
            return subject
        else:
            return subject
    raise Unsupported("; ".join(reasons))


def _some(dataset: Dataset, task: Task) -> dict[str, np.ndarray]:
    """The first examples of the training split, as arrays."""
    count = 4 * BATCH
    some = feed.as_examples(dataset.train, dataset.spec, name="train", limit=count, task=task)
    return some.gather(np.arange(len(some)))
