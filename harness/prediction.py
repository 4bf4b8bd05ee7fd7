"""Classifies new texts with a run's trained module.

A text becomes an example by the data set's own `encode`, as its splits were prepared; the
module's own probabilities come out, by the function that judged the run. Batches have one
size, the last one filled up, so that one program serves any number of texts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ContractError, UsageError, first_line
from harness.rows import Row
from harness.trained import Note, Trained, check_saved, entry_of, restore

if TYPE_CHECKING:
    import numpy as np

    from harness.specs import Dataset, DataSpec
    from harness.store import Store

BATCH_SIZE = 32


@dataclass(frozen=True)
class Text:
    """A text to classify.

    Attributes:
      place: where it was given, for an error.
    """

    text: str
    place: str


@dataclass(frozen=True)
class Prediction:
    """What a module says of a text.

    Attributes:
      predicted: the name of the most probable class.
      probability: of that class.
      probabilities: of every class, by its name.
    """

    text: str
    predicted: str
    probability: float
    probabilities: dict[str, float]


def predict(
    store: Store,
    row: Row,
    texts: Sequence[Text],
    *,
    plugins: Sequence[str | Path] = (),
    note: Note,
) -> list[Prediction]:
    """Classifies texts, in order.

    Args:
      note: is told in one line what has changed since the run and may matter.

    Raises:
      UsageError: the run has no parameters, its data set cannot read texts or not these,
        or a plugin is not to be had.
      StoreError: what was kept is damaged.
    """
    check_saved(row)
    dataset = _dataset_of(row, plugins)
    if dataset.encode is None:
        raise UsageError(
            f"data set {row['dataset']!r} has no `encode` that makes an example of a text; "
            "give its harness.Dataset one, or call harness.load_model on examples of your own"
        )
    if dataset.spec.task != "classification":
        raise UsageError(
            f"run {row['run_id']} is of task {dataset.spec.task!r}; predict names classes, so "
            "call harness.load_model on examples instead"
        )
    x = encoded(texts, dataset.encode, dataset.spec)
    trained = restore(store, row, plugins=plugins, note=note)
    if _without_fingerprint(trained.spec) != _without_fingerprint(dataset.spec):
        raise UsageError(
            f"data set {row['dataset']!r} has another spec than run {row['run_id']} was "
            "trained on; give the version of its plugin that it had then"
        )
    if trained.spec.fingerprint != dataset.spec.fingerprint:
        note(
            f"data set {row['dataset']!r} has changed since run {row['run_id']}; its encoding "
            "may have, too"
        )
    predicted, probabilities = judged(trained, x)
    names = trained.spec.class_names
    return [
        Prediction(
            text.text, names[int(best)], float(each[best]),
            dict(zip(names, map(float, each), strict=True)),
        )
        for text, best, each in zip(texts, predicted, probabilities, strict=True)
    ]  # fmt: skip


def _dataset_of(row: Row, plugins: Sequence[str | Path]) -> Dataset:
    from harness.progress import notes_to

    entry = entry_of("dataset", row, plugins)
    with notes_to(lambda text: None):
        return entry.build()(**json.loads(row["dataset_params"]))


def _without_fingerprint(spec: DataSpec) -> dict[str, object]:
    return {name: value for name, value in vars(spec).items() if name != "fingerprint"}


def encoded(
    texts: Sequence[Text], encode: Callable[[str], np.ndarray], spec: DataSpec
) -> np.ndarray:
    """The examples of texts: x [n, *shape].

    Raises:
      UsageError: a text is none of the data set's; says which.
      ContractError: `encode` returned something else than an example.
    """
    import numpy as np

    dtype = np.int32 if spec.kind == "tokens" else np.float32
    x = np.empty((len(texts), *spec.shape), dtype)
    for i, text in enumerate(texts):
        try:
            row = np.asarray(encode(text.text))
        except (UsageError, ValueError) as error:
            raise UsageError(f"{text.place}: {first_line(error)}") from None
        except Exception as error:
            raise ContractError(
                f"{text.place}: encode raised {type(error).__name__}: {first_line(error)}; "
                "expected an example, or a ValueError that says what is wrong with the text"
            ) from error
        if row.dtype.kind != x.dtype.kind or row.shape != spec.shape:
            raise ContractError(
                f"{text.place}: encode returned {row.dtype} {list(row.shape)}; expected "
                f"{x.dtype} {list(spec.shape)}"
            )
        if spec.vocab_size is not None and not ((row >= 0) & (row < spec.vocab_size)).all():
            raise ContractError(
                f"{text.place}: encode returned ids from {row.min()} to {row.max()}; expected "
                f"0 to {spec.vocab_size - 1}"
            )
        x[i] = row
    return x


def judged(trained: Trained, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The most probable class int [n] and the probabilities float32 [n, c] of examples."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    judge = jax.jit(trained.split.judge)
    classes, probabilities = [], []
    for start in range(0, len(x), BATCH_SIZE):
        part = x[start : start + BATCH_SIZE]  # [b, *shape], the last one shorter
        filled = np.resize(part, (BATCH_SIZE, *x.shape[1:]))
        outputs, each = judge(trained.params, trained.rest, jnp.asarray(filled))  # [b, c]
        classes.append(np.asarray(jnp.argmax(outputs, axis=-1))[: len(part)])
        probabilities.append(np.asarray(each.astype(jnp.float32))[: len(part)])
    return np.concatenate(classes), np.concatenate(probabilities)
