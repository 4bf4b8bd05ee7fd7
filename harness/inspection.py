"""Looks into what was trained: single test examples, and a model's layers.

Predictions were stored with the run, so nothing is trained or evaluated again; the
examples are read from the data set, prepared as the run had it.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.api import choose, load_entry
from harness.errors import UsageError
from harness.index import open_registry
from harness.rows import Row

if TYPE_CHECKING:
    import numpy as np

    from harness.specs import Dataset, DataSpec
    from harness.store import Store


@dataclass(frozen=True)
class Example:
    """One test example of a run.

    Attributes:
      index: its position in the test split.
      text: the example decoded, or its values where the data set has no `decode`.
      predicted, actual: names of classes, or of the labels that are there, or values.
      probability: of the predicted class; None where there is no such one.
    """

    index: int
    text: str
    predicted: str
    actual: str
    probability: float | None


def examples_of(
    store: Store, row: Row, indices: Sequence[int], *, plugins: Sequence[str | Path] = ()
) -> list[Example]:
    """Test examples with the run's predictions.

    Raises:
      UsageError: the run has no predictions, an index is out of range, or the data set
        is no longer the one of the run.
    """
    predicted = store.array(row["run_id"], "test_predicted")
    probability = store.array(row["run_id"], "test_probability")
    if predicted is None:
        raise UsageError(
            f"run {row['run_id']} is {row['status']} and holds no predictions; choose an ok run"
        )
    for index in indices:
        if not 0 <= index < len(predicted):
            raise UsageError(
                f"example {index}: run {row['run_id']} has test examples "
                f"0 to {len(predicted) - 1}"
            )
    dataset = _dataset_of(row, plugins)
    sure = None if probability is None or probability.ndim > 1 else probability
    return [
        _example(dataset, i, predicted[i], None if sure is None else float(sure[i]))
        for i in indices
    ]


def data_of(
    row: Row, *, plugins: Sequence[str | Path] = ()
) -> tuple[tuple[str, ...], Callable[[Sequence[int]], dict[int, str]]]:
    """The names of the classes of a run's data set, and a function that decodes test examples.

    Raises:
      UsageError: the data set is no longer the one of the run, or is not known.
      DataError: its files are absent.
    """
    dataset = _dataset_of(row, plugins)

    def texts(indices: Sequence[int]) -> dict[int, str]:
        return {index: _text(dataset, _at(dataset, index)[0]) for index in indices}

    return tuple(dataset.spec.class_names), texts


def _dataset_of(row: Row, plugins: Sequence[str | Path]) -> Dataset:
    entry = load_entry("dataset", choose("dataset", row["dataset"], open_registry(plugins)))
    dataset: Dataset = entry.build()(**json.loads(row["dataset_params"]))
    if row["data_fingerprint"] != dataset.spec.fingerprint:
        raise UsageError(
            f"data set {row['dataset']!r} is now {dataset.spec.fingerprint[:12]!r} and was "
            f"{str(row['data_fingerprint'])[:12]!r} in run {row['run_id']}; its predictions "
            "belong to the older data"
        )
    return dataset


def _example(
    dataset: Dataset, index: int, predicted: np.ndarray, probability: float | None
) -> Example:
    x, y = _at(dataset, index)
    said, actual = (_words(answer, dataset.spec) for answer in (predicted, y))
    return Example(index, _text(dataset, x), said, actual, probability)


def _at(dataset: Dataset, index: int) -> tuple[np.ndarray, np.ndarray]:
    """A test example and its label."""
    test = dataset.test
    if isinstance(test, Mapping):
        return test["x"][index], test["y"][index]
    item = test[index]
    return item["x"], item["y"]


def _text(dataset: Dataset, x: np.ndarray) -> str:
    return dataset.decode(x) if dataset.decode is not None else _values(x)


def _words(answer: np.ndarray, spec: DataSpec) -> str:
    """An answer or a label as it is read: a class, the labels that are there, or values."""
    if answer.ndim == 0:
        return spec.class_names[int(answer)]
    pairs = list(zip(spec.class_names, answer.tolist(), strict=True))
    if all(isinstance(value, int) for _, value in pairs):
        return ", ".join(name for name, value in pairs if value) or "none"
    return ", ".join(f"{name} {value:.4g}" for name, value in pairs)


def _values(x: np.ndarray) -> str:
    return " ".join(str(value) for value in x.ravel()[:200])


def format_example(example: Example, *, width: int = 80) -> str:
    """An example as lines: what it says, what was predicted, what it is."""
    lines = [
        part
        for line in example.text.splitlines()
        for part in (textwrap.wrap(line, width) if len(line) > width else [line])
    ]
    body = "\n".join(f"  {line}" for line in lines)
    said, mark = example.predicted, ""
    if example.probability is not None:
        said += f" (probability {example.probability:.3f})"
        mark = " (right)" if example.predicted == example.actual else " (wrong)"
    return (
        f"example {example.index}\n{body}\n"
        f"  predicted: {said}\n  actual:    {example.actual}{mark}"
    )


def model_summary(
    model: str, dataset: str, *, plugins: Sequence[str | Path] = (), width: int = 120
) -> str:
    """A model's layers, shapes and parameters for one example of a data set.

    Raises:
      UsageError: a selection is unknown or stands for several.
      Unsupported: the model cannot serve the data set.
    """
    known = open_registry(plugins)
    data_choice = choose("dataset", dataset, known)
    choice = choose("model", model, known)
    # after the names are known to be right: this and the plugins import JAX
    import jax.numpy as jnp
    from flax import nnx

    from harness.assemble import build_model
    from harness.program import count_parameters

    data = load_entry("dataset", data_choice).build()
    spec = data(**data_choice.params).spec
    built = build_model(load_entry("model", choice).build(), spec, choice.params, seed=0)
    count = count_parameters(nnx.state(built, nnx.Param))
    built.eval()
    x = jnp.zeros((1, *spec.shape), jnp.int32 if spec.kind == "tokens" else jnp.float32)
    table = nnx.tabulate(built, x, console_kwargs={"width": width, "force_terminal": False})
    return f"{choice.label} on {data_choice.label}: {count:,} parameters\n{table.strip()}"
