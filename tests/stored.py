"""Rows and results as a run leaves them, for the tests of store, table and plots."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.rows import Result, Row, complete

COUNT = itertools.count()


def make_row(
    model: str = "mlp",
    variant: str = "",
    seed: int = 0,
    *,
    params: Mapping[str, Any] | None = None,
    accuracy: float | None = 0.8,
    **values: Any,
) -> Row:
    """A row of an `ok` run on digits with an identity of its own."""
    number = next(COUNT)
    usual = {
        "run_id": f"run{number:05d}",
        "run_key": f"key{number:05d}",
        "dataset": "digits",
        "dataset_variant": "",
        "dataset_params": "{}",
        "model": model,
        "variant": variant,
        "parent": model if variant else "",
        "model_params": json.dumps({"width": 32} if params is None else params, sort_keys=True),
        # as if the variant declared all of them
        "variant_params": json.dumps(dict(params or {}) if variant else {}, sort_keys=True),
        "seed": seed,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "schedule": "constant",
        "batch_size": 128,
        "eval_batch_size": 256,
        "epochs": 10,
        "validation": 0.0,
        "selection": "last",
        "precision": "float32",
        "accumulate": 1,
        "tune_trials": 0,
        "status": "ok",
        "test_accuracy": accuracy,
    }
    return complete(usual | values)


def failed_row(model: str = "mlp", seed: int = 0, **values: Any) -> Row:
    return make_row(model, seed=seed, **{"accuracy": None, "status": "failed", **values})


def make_epochs(
    losses: Sequence[float], accuracies: Sequence[float], *, split: str = "test"
) -> tuple[dict[str, Any], ...]:
    """Epochs 1, 2, ... evaluated on one split."""
    return tuple(
        {"epoch": i, f"{split}_loss": loss, f"{split}_accuracy": accuracy}
        for i, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True), start=1)
    )


def npy(values: Any, dtype: str = "float32") -> bytes:
    """An array as the bytes of a .npy file."""
    file = io.BytesIO()
    np.save(file, np.asarray(values, dtype=dtype))
    return file.getvalue()


def make_result(row: Row | None = None, *, steps: Sequence[float] = (0.7, 0.5, 0.25)) -> Result:
    """A result with a loss a step and two epochs; the floats are exact in float32."""
    return Result(
        row=make_row() if row is None else row,
        epochs=make_epochs([0.75, 0.5], [0.625, 0.875]),
        arrays={"train_loss": npy(steps)},
    )


def make_answered(
    row: Row, *, label: Sequence[int], predicted: Sequence[int],
    probability: Sequence[float] | None = None,
) -> Result:  # fmt: skip
    """A result with everything that a report draws; the accuracy is that of the answers."""
    right = np.asarray(label) == np.asarray(predicted)
    sure = [0.75] * len(label) if probability is None else probability
    result = make_result({**row, "test_accuracy": float(right.mean()), "test_loss": 0.5})
    blocks = {
        "block_steps": npy([1, 4, 4], "int32"),
        "block_s": npy([1, 0.008, 0.016], "float64"),
    }
    answers = {
        "test_label": npy(label, "uint8"), "test_predicted": npy(predicted, "uint8"),
        "test_probability": npy(sure, "float16"),
    }  # fmt: skip
    return Result(row=result.row, epochs=result.epochs,
                  arrays={**result.arrays, **blocks, **answers})  # fmt: skip


def make_trial(
    model: str, score: float | None, chosen: Mapping[str, Any], *, rung: int = 0,
    number: int = 0, **values: Any,
) -> Row:  # fmt: skip
    """A row of a trial with some values of what is tuned, and its accuracy on validation."""
    told = {"rung": rung, "trial": number}
    usual = {"kind": "trial", "accuracy": None, "val_accuracy": score}
    return _with_chosen(model, chosen, told, usual | values)


def make_tuned(model: str, chosen: Mapping[str, Any], **values: Any) -> Row:
    """A row of a run whose values tuning chose, on one rung."""
    told = {"rungs": [[2, values.get("epochs", 10)]]}
    return _with_chosen(model, chosen, told, {"tune_trials": 2} | values)


def _with_chosen(
    model: str, chosen: Mapping[str, Any], told: Mapping[str, Any], values: dict[str, Any]
) -> Row:
    of_model = {k.removeprefix("model."): v for k, v in chosen.items() if "." in k}
    of_recipe = {k: v for k, v in chosen.items() if "." not in k}
    tune = {"space": dict.fromkeys(chosen, "a range"), "budget": 2, **told, "chosen": chosen}
    params = {"width": 32, **values.pop("params", {}), **of_model}
    return make_row(model, params=params, **{"tune": json.dumps(tune), **of_recipe, **values})
