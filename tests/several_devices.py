"""Trainings on 1, 2 and 8 simulated devices, in a process that has so many: JSON to stdout."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
from small import Bag, Heard, Source, token_data

import harness
from harness.assemble import build_model
from harness.engine import fit
from harness.recipe import Recipe

RECIPE = Recipe(epochs=2, batch_size=32, eval_batch_size=16, learning_rate=1e-2)


def train(data: harness.Dataset, model: Any, recipe: Recipe) -> dict[str, Any]:
    """What a training comes to, its arrays as lists."""
    heard = Heard()
    built = build_model(model, data.spec, {}, seed=0)
    fit(built, data, recipe, seed=0, emit=heard)
    found = heard.measured
    names = ("test_accuracy", "test_loss", "flops_per_step", "comm_bytes_per_step",
             "hlo_hash", "recompiles", "param_count")  # fmt: skip
    arrays = {name: array.tolist() for name, array in heard.arrays.items()}
    return {name: found[name] for name in names} | arrays


def built_in(selection: str) -> Any:
    """A built-in model as its class is: made for a data set."""
    return lambda data, *, rngs: harness.build_model(selection, data=data, seed=0)


def cut(data: harness.Dataset) -> harness.Dataset:
    """The same with padding in front and two buckets, so that batches differ in length."""
    short = np.arange(len(data.train["y"])) % 2 == 0  # type: ignore[index,arg-type]
    x = np.where(short[:, None] & (np.arange(12) < 4), 0, data.train["x"])  # type: ignore[index]
    train = {"x": x.astype(np.int32), "y": data.train["y"]}  # type: ignore[index]
    return replace(data, train=train, spec=replace(data.spec, buckets=(8, 12)))


def cases() -> dict[str, Any]:
    data = token_data()
    gathered = harness.Dataset(Source(data.train), Source(data.test), data.spec)
    return {
        "statistics": lambda n: train(data, Bag, replace(RECIPE, devices=n)),
        "parts": lambda n: train(data, Bag, replace(RECIPE, devices=n, accumulate=2)),
        "gathered": lambda n: train(gathered, Bag, replace(RECIPE, devices=n)),
        "buckets": lambda n: train(cut(data), Bag, replace(RECIPE, devices=n)),
        "transformer": lambda n: train(
            data, built_in("transformer[embed_dim=8,dropout=0.2]"), replace(RECIPE, devices=n)
        ),
        "recurrent": lambda n: train(
            data, built_in("gru[embed_dim=8,units=8]"), replace(RECIPE, devices=n)
        ),
        "convolution": lambda n: train(
            data, built_in("text_cnn"), replace(RECIPE, devices=n)
        ),
        "held_out": lambda n: train(
            data, Bag, replace(RECIPE, devices=n, validation=0.2, select="best")
        ),
    }  # fmt: skip


def main() -> None:
    found = {name: {n: case(n) for n in (1, 2, 8)} for name, case in cases().items()}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
