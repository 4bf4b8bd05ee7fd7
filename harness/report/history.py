"""What a plot draws: the stored curves of a run under a name that tells it apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.rows import Row
from harness.store import Store
from harness.table.labels import labels, settings

# tasks whose losses are cross-entropies
IN_NATS = ("classification", "multi_label")


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """The curves of one run; either kind may be empty.

    Attributes:
      dataset, model: selections that show what varies among the runs drawn together; the
        model's also names the hyper-parameters that vary.
      judged_on: "validation" if a part of the training data was held out, else "test".
      train_loss: float [steps], one value a training step.
      epochs: int [epochs], the number of each evaluated epoch.
      loss, accuracy: float [epochs], on the split `judged_on`, the accuracy as a fraction
        and NaN where the task has none.
      loss_unit: of both losses; "" where the task does not say.
    """

    run_id: str
    dataset: str
    model: str
    seed: int
    judged_on: str
    train_loss: np.ndarray
    epochs: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray
    loss_unit: str = "nats"


def read_histories(
    store: Store, run_ids: Sequence[str] | None
) -> tuple[list[History], list[str]]:
    """The histories of these runs, and a note for each run that has none.

    Args:
      run_ids: whole or the start of one; None means every run of the store.

    Raises:
      UsageError: a run is not in the store.
      StoreError: the store cannot be read.
    """
    found = store.rows() if run_ids is None else [store.find(run_id) for run_id in run_ids]
    return histories_of(store, found)


def histories_of(store: Store, found: Sequence[Row]) -> tuple[list[History], list[str]]:
    """As `read_histories`, of rows of the store; of one given twice it is read once.

    Raises:
      StoreError: the store cannot be read.
    """
    rows = list({row["run_id"]: row for row in found}.values())
    datasets = labels((r["dataset"], r["dataset_variant"], r["dataset_params"]) for r in rows)
    entries = labels((r["model"], r["variant"], r["model_params"]) for r in rows)
    models = [
        f"{entry}, {setting}" if setting else entry
        for entry, setting in zip(entries, settings(rows), strict=True)
    ]
    histories, notes = [], []
    for row, dataset, model in zip(rows, datasets, models, strict=True):
        history = _read(store, row, dataset=dataset, model=model)
        if history.train_loss.size or history.epochs.size:
            histories.append(history)
        else:
            notes.append(
                f"run {row['run_id']} ({model} on {dataset}, seed {row['seed']}, "
                f"{row['status']}) has no history and is not drawn"
            )
    return histories, notes


def _read(store: Store, row: Row, *, dataset: str, model: str) -> History:
    train_loss = store.array(row["run_id"], "train_loss")
    epochs = store.epochs(row["run_id"])
    held_out = any(epoch["val_loss"] is not None for epoch in epochs)
    prefix = "val" if held_out else "test"
    # with held-out data the test set is evaluated once, at the chosen epoch
    drawn = [epoch for epoch in epochs if epoch[f"{prefix}_loss"] is not None]
    return History(
        run_id=row["run_id"],
        dataset=dataset,
        model=model,
        seed=row["seed"],
        judged_on="validation" if held_out else "test",
        train_loss=np.empty(0) if train_loss is None else train_loss,
        epochs=np.array([epoch["epoch"] for epoch in drawn], dtype=np.int64),
        loss=_numbers([epoch[f"{prefix}_loss"] for epoch in drawn]),
        accuracy=_numbers([epoch[f"{prefix}_accuracy"] for epoch in drawn]),
        loss_unit="nats" if row["task"] in (None, *IN_NATS) else "",
    )


def _numbers(values: list[float | None]) -> np.ndarray:
    """Float64, with NaN for what is missing: a gap in the curve."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
