"""What a model's checks look at: the model, and a batch of the data it is tried on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from flax import nnx

from harness import assemble, program
from harness.checks import made_up
from harness.entries import Scalar
from harness.errors import Unsupported
from harness.specs import Dataset, DataSpec, Prepares

BATCH = 16
SEED = 0


@dataclass(frozen=True)
class ModelSubject:
    """A model with its parameters, and data that it serves.

    Attributes:
      told: which data, in words.
      examples: {"x": [n, *shape], "y": int32 [n]}, at least two batches.
    """

    factory: Callable[..., nnx.Module]
    params: Mapping[str, Scalar]
    spec: DataSpec
    examples: Mapping[str, np.ndarray]
    told: str

    @property
    def x(self) -> np.ndarray:
        """The first batch [b, *shape]."""
        return self.examples["x"][:BATCH]

    @property
    def y(self) -> np.ndarray:
        """Its labels int32 [b]."""
        return self.examples["y"][:BATCH]

    def build(self, *, seed: int = SEED) -> nnx.Module:
        """The model as a run constructs it, prepared with the examples."""
        model = assemble.build_model(self.factory, self.spec, dict(self.params), seed=seed)
        if isinstance(model, Prepares):
            model.prepare(dict(self.examples))
        return model

    def split(self, *, seed: int = SEED) -> tuple[program.SplitModel, Any, Any]:
        """The model's graphs, its parameters and its other variables."""
        return program.split_model(self.build(seed=seed))

    def dataset(self, count: int) -> Dataset:
        """So many of the examples, as both splits of a data set."""
        some = {name: values[:count] for name, values in self.examples.items()}
        return Dataset(train=some, test=some, spec=self.spec)

    def on(self, spec: DataSpec) -> ModelSubject:
        """The same model on made-up data."""
        examples = made_up.examples(spec, 4 * BATCH, seed=SEED)
        return replace(self, spec=spec, examples=examples, told=f"made-up {spec.kind}")


def leaves(tree: Any) -> Iterator[tuple[str, Any]]:
    """The arrays of a tree of variables by their path, as in `head.kernel`."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        names = [str(getattr(key, "key", getattr(key, "name", key))) for key in path]
        yield ".".join(n for n in names if n not in ("value", "raw_value")), leaf


def served(
    factory: Callable[..., nnx.Module],
    params: Mapping[str, Scalar],
    real: Callable[[], tuple[str, Dataset]],
) -> ModelSubject:
    """The model on the first data that it serves: the real ones, or made-up ones of a kind.

    Args:
      real: loads a data set, and says its name.

    Raises:
      Unsupported: it serves none of them.
    """
    name, dataset = real()
    first = ModelSubject(factory, params, dataset.spec, _some(dataset), name)
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


def _some(dataset: Dataset) -> dict[str, np.ndarray]:
    """The first examples of the training split, as arrays."""
    count, train = 4 * BATCH, dataset.train
    if isinstance(train, Mapping):
        return {name: np.asarray(train[name][:count]) for name in ("x", "y")}
    items = [train[i] for i in range(min(count, len(train)))]
    return {name: np.stack([np.asarray(item[name]) for item in items]) for name in ("x", "y")}
