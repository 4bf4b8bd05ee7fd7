"""Seeds that are trained in one program come to what they come to alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small import Bag, Heard, arrays, token_data
from small_runs import RECIPE, train

import harness
from harness import api
from harness.assemble import Parts, build_model
from harness.checkpoints import Checkpoints
from harness.errors import ContractError, Diverged
from harness.vmapped import Seed, fit_seeds

# rounding only: the products of several seeds are summed in another order
TOLERANCE = 2e-4
ZOO = ("transformer[num_blocks=1,dropout=0.2]", "text_cnn", "gru", "mean_pool")


def together(recipe=RECIPE, *, factory=Bag, data=None, seeds=3, parts=None, checkpoints=None):
    """All seeds in one program: what was said of all, what of each, and what ended some."""
    data = data or token_data()
    everyone, heard, failed = Heard(), [Heard() for _ in range(seeds)], {}
    asked = [
        Seed(
            seed=k, model=build_model(factory, data.spec, {}, seed=k), emit=heard[k],
            failed=lambda error, k=k: failed.update({k: error}),
        )
        for k in range(seeds)
    ]  # fmt: skip
    fit_seeds(asked, data, recipe, emit=everyone, parts=parts or Parts(),
              checkpoints=checkpoints)  # fmt: skip
    return everyone, heard, failed


def assert_alike(one: Heard, other: Heard) -> None:
    losses = one.arrays["train_loss"], other.arrays["train_loss"]
    np.testing.assert_allclose(*losses, atol=TOLERANCE)
    for mine, its in zip(one.epochs, other.epochs, strict=True):
        assert mine.keys() == its.keys()
        for name in set(mine) - {"train_s", "eval_s"}:
            assert mine[name] == pytest.approx(its[name], abs=TOLERANCE), name
    assert one.measured["test_accuracy"] == pytest.approx(other.measured["test_accuracy"])
    np.testing.assert_array_equal(one.arrays["test_label"], other.arrays["test_label"])


@pytest.mark.parametrize(
    "changes",
    [{}, {"accumulate": 2}, {"validation": 0.3, "select": "best", "learning_rate": 3e-2}],
    ids=str,
)
def test_each_seed_comes_to_what_it_comes_to_alone(changes):
    recipe = replace(RECIPE, **changes)
    everyone, heard, _ = together(recipe)
    for seed, one in enumerate(heard):
        _, alone = train(recipe, seed=seed)
        assert_alike(one, alone)
        assert one.measured["best_epoch"] == alone.measured["best_epoch"]
        assert everyone.measured["flops_per_step"] > 2.5 * alone.measured["flops_per_step"]
    assert everyone.measured["recompiles"] == 0, everyone.measured["recompiled"]
    assert len({one.measured["params_hash"] for one in heard}) == 3


@pytest.mark.parametrize("name", ZOO)
def test_a_model_of_the_zoo_comes_to_what_it_comes_to_alone(name: str):
    data, recipe = token_data(), replace(RECIPE, epochs=1, learning_rate=1e-3)
    entry = api.choose("model", name, api.index.open_registry([]))
    make = api.load_entry("model", entry).build()

    def build(spec, *, rngs):
        return make(spec, **entry.params, rngs=rngs)

    factory: Any = build

    _, heard, _ = together(recipe, factory=factory)
    for seed, one in enumerate(heard):
        assert_alike(one, train(recipe, seed=seed, data=data, factory=factory)[1])


def test_batches_are_cut_to_the_buckets_of_each_seed():
    data = token_data()
    short = {"x": arrays(data.train)["x"].copy(), "y": arrays(data.train)["y"]}
    short["x"][::2, :8] = 0
    spec = replace(data.spec, buckets=(4, 12))
    bucketed = harness.Dataset(short, data.test, spec)
    _, heard, _ = together(data=bucketed)
    for seed, one in enumerate(heard):
        assert_alike(one, train(seed=seed, data=bucketed)[1])


class Fragile(Bag):
    """Its outputs are no number any more from the eighth call on, for some of the seeds."""

    bad: tuple[int, ...] = (1,)
    made = 0

    def __init__(self, data, *, rngs: nnx.Rngs):
        super().__init__(data, rngs=rngs)
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))
        # they are made in the order of the seeds
        self.breaks = nnx.Variable(jnp.array(type(self).made in self.bad))
        type(self).made += 1

    def __call__(self, tokens):
        self.calls[...] = self.calls[...] + 1
        breaks = self.breaks[...] & (self.calls[...] >= 8)
        return super().__call__(tokens) + jnp.where(breaks, jnp.nan, 0.0)


def test_a_seed_that_diverges_costs_the_others_nothing(monkeypatch):
    monkeypatch.setattr(Fragile, "made", 0)
    _, heard, failed = together(factory=Fragile)
    assert list(failed) == [1] and isinstance(failed[1], Diverged)
    assert "at step 8" in str(failed[1])
    assert [len(one.epochs) for one in heard] == [3, 1, 3]
    assert "params_hash" in heard[0].measured and "params_hash" not in heard[1].measured
    assert len(heard[1].arrays["train_loss"]) < len(heard[0].arrays["train_loss"]) == 18
    _, plain, _ = together()
    assert heard[0].epochs[-1]["test_loss"] == pytest.approx(plain[0].epochs[-1]["test_loss"])


def test_when_no_seed_is_left_the_training_ends(monkeypatch):
    monkeypatch.setattr(Fragile, "made", 0)
    monkeypatch.setattr(Fragile, "bad", (0, 1, 2))
    with pytest.raises(Diverged):
        together(factory=Fragile)


class Uneven(Bag):
    """Has other parameters with each seed."""

    made = 0

    def __init__(self, data, *, rngs: nnx.Rngs):
        type(self).made += 1
        super().__init__(data, width=4 + self.made, rngs=rngs)


def test_models_of_other_shapes_are_refused_in_one_line():
    with pytest.raises(ContractError, match="seeds 0 and 1 differ in more than the values"):
        together(factory=Uneven)


def test_metrics_are_measured_for_each_seed():
    _, heard, _ = together(parts=Parts(metrics={"mean": lambda p: float(p.outputs.mean())}))
    assert len({one.measured["metrics"] for one in heard}) == 3


def test_a_training_that_is_taken_up_goes_on_to_the_bit(tmp_path):
    recipe = replace(RECIPE, validation=0.3, select="best")
    _, whole, _ = together(recipe)

    class Stopped(Checkpoints):
        def write(self, step, checkpoint):
            super().write(step, checkpoint)
            if step == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        together(recipe, checkpoints=Stopped(tmp_path / "run", every_s=0))
    again = Checkpoints(tmp_path / "run", every_s=60, resume=True)
    everyone, heard, _ = together(recipe, checkpoints=again)
    assert everyone.measured["resumed"] == 1
    for one, other in zip(heard, whole, strict=True):
        assert one.measured["params_hash"] == other.measured["params_hash"]
        assert len(one.epochs) == len(other.epochs) == 3
        np.testing.assert_array_equal(one.arrays["train_loss"], other.arrays["train_loss"])
