"""A training of a small model on small data, with what it said."""

from __future__ import annotations

from flax import nnx
from small import Bag, Heard, token_data

import harness
from harness.assemble import build_model
from harness.engine import fit
from harness.program import TrainState
from harness.recipe import Recipe

RECIPE = Recipe(epochs=3, batch_size=16, eval_batch_size=16, learning_rate=1e-2)


def train(
    recipe: Recipe = RECIPE, *, seed: int = 0, data: harness.Dataset | None = None,
    factory: type[nnx.Module] = Bag,
) -> tuple[TrainState, Heard]:  # fmt: skip
    data = data or token_data()
    heard = Heard()
    model = build_model(factory, data.spec, {}, seed=seed)
    state = fit(model, data, recipe, seed=seed, emit=heard)
    return state, heard
