"""What a store keeps beside the rows, as data frames: epochs, and single test examples.

Nothing is trained or evaluated here. The command shows the same by `harness report --plots`
and `harness inspect RUN --examples`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.paths import store_url

if TYPE_CHECKING:
    import pandas as pd


def load_history(store: str) -> pd.DataFrame:
    """Every epoch of every run of a store, one line each.

    >>> load_history(store).pivot(index="epoch", columns="run_id", values="test_loss")
    ... # doctest: +SKIP

    Args:
      store: its URL, such as `"sqlite:///harness.db"`.

    Returns:
      A frame with the columns `run_id`, `kind` ("run" or "trial"), `dataset`, `model` (both as
      selections that tell the runs apart, as in `"transformer:tutorial"`), `seed`, `epoch` from
      1, `train_loss`, `test_loss`, `test_accuracy`, `val_loss`, `val_accuracy`, `train_s` and
      `eval_s`. What was not measured in an epoch is NaN: with held-out data the test set is
      read once, at the epoch that counts. Runs without a whole epoch have no line.

    Raises:
      StoreError: there is no such store, or it cannot be read.
    """
    import pandas as pd

    from harness.rows import EPOCH_COLUMNS
    from harness.store import open_store
    from harness.table.labels import labels

    with open_store(store, must_exist=True) as opened:
        rows = opened.rows()
        epochs = [opened.epochs(row["run_id"]) for row in rows]
    datasets = labels((r["dataset"], r["dataset_variant"], r["dataset_params"]) for r in rows)
    models = labels((r["model"], r["variant"], r["model_params"]) for r in rows)
    lines = [
        {
            "run_id": row["run_id"],
            "kind": row["kind"],
            "dataset": dataset,
            "model": model,
            "seed": row["seed"],
            **one,
        }
        for row, dataset, model, several in zip(rows, datasets, models, epochs, strict=True)
        for one in several
    ]
    whole, text = (
        dict.fromkeys(("seed", "epoch"), "int64"),
        ("run_id", "kind", "dataset", "model"),
    )
    measured = dict.fromkeys(EPOCH_COLUMNS[1:], "float64")
    frame = pd.DataFrame(lines, columns=[*text, "seed", *EPOCH_COLUMNS])
    return frame.astype({**dict.fromkeys(text, "string"), **whole, **measured})


def load_examples(
    run_id: str,
    indices: Sequence[int],
    *,
    store: str | None = None,
    plugins: Sequence[str | Path] = (),
) -> pd.DataFrame:
    """Test examples in words, with what a run predicted of them.

    Args:
      run_id: of the run, or its first characters.
      indices: positions in the test split, from 0.
      store: URL of the store; without it `$HARNESS_STORE` or `sqlite:///harness.db`.
      plugins: paths of plugin files; the data set's, if it came from a file.

    Returns:
      A frame with a line for each index: `index`, `text` (decoded, or the values where the data
      set has no `decode`), `predicted` and `actual` (names of classes or labels, or values) and
      `probability` (of the predicted class, NaN where there is none).

    Raises:
      UsageError: no such run or example, it kept no predictions, or its data has changed.
      StoreError: there is no such store, or it cannot be read.
    """
    import pandas as pd

    from harness.inspection import Example, examples_of
    from harness.store import open_store

    with open_store(store_url(store), must_exist=True) as opened:
        found = examples_of(opened, opened.find(run_id), indices, plugins=plugins)
    names = [field.name for field in dataclasses.fields(Example)]
    frame = pd.DataFrame([dataclasses.asdict(one) for one in found], columns=names)
    text = dict.fromkeys(("text", "predicted", "actual"), "string")
    return frame.astype({"index": "int64", **text, "probability": "float64"})
