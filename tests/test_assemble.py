from __future__ import annotations

import itertools
import tracemalloc
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from small import Bag, Heard, arrays, token_data

from harness import cost, orders
from harness.assemble import build_model, make_splits, prepare
from harness.buckets import buckets_of
from harness.errors import ContractError, UsageError
from harness.recipe import Recipe
from harness.specs import Dataset


def test_splits_follow_the_recipe():
    splits = make_splits(token_data(), Recipe(validation=0.2, limit=50))
    assert splits.validation is not None
    assert len(splits.train) + len(splits.validation) == 50
    assert len(splits.test) == 37
    assert make_splits(token_data(), Recipe()).validation is None


def test_every_model_has_the_same_split_and_the_same_order_of_data():
    data, recipe = token_data(), Recipe(batch_size=16, validation=0.2)
    found = []
    for width in (2, 4):
        model = build_model(Bag, data.spec, {"width": width}, seed=0)
        found.append(prepare(model, data, recipe, seed=3, emit=Heard()))
    one, other = found
    assert one.trainer.order == other.trainer.order
    for split, same in ((one.trainer, other.trainer), (one.evaluate, other.evaluate)):
        np.testing.assert_array_equal(split.examples.index, same.examples.index)
    for chunk, alike in zip(one.trainer.chunks(), other.trainer.chunks(), strict=True):
        np.testing.assert_array_equal(chunk.payload, alike.payload)


def test_costs_and_compile_time_are_said_before_a_step_is_taken():
    data, heard = token_data(), Heard()
    model = build_model(Bag, data.spec, {"width": 4}, seed=0)
    prepared = prepare(model, data, Recipe(batch_size=16), seed=0, emit=heard)
    programs = prepared.trainer.compiled, prepared.final.compiled
    assert heard.measured["compile_s"] == sum(program.seconds for program in programs)
    # the columns are those of the program that trains, not of the one that evaluates
    alone = cost.program_cost(prepared.trainer.compiled)
    assert {name: heard.measured[name] for name in alone} == alone
    assert prepared.hlo_hash == alone["hlo_hash"]
    assert alone["hlo_hash"] != cost.program_cost(prepared.final.compiled)["hlo_hash"]
    # rows of 4 numbers: a product [16, 4] x [4, 2], its two gradients, and Adam's update
    assert 3 * 2 * 16 * 4 * 2 < heard.measured["flops_per_step"] < 20_000
    assert prepared.evaluate is prepared.final


def test_the_evaluator_judges_every_example_of_a_split_in_several_chunks(monkeypatch):
    monkeypatch.setattr(orders, "CHUNK_STEPS", 2)
    data = token_data()
    model = build_model(Bag, data.spec, {}, seed=0)
    recipe = Recipe(batch_size=16, eval_batch_size=4)
    prepared = prepare(model, data, recipe, seed=0, emit=Heard())
    judged = prepared.evaluate(prepared.state)
    model.eval()
    logits = np.asarray(model(arrays(data.test)["x"]))
    assert len(prepared.evaluate.order) == 5
    np.testing.assert_array_equal(judged.answers["predicted"], logits.argmax(axis=1))
    assert judged.accuracy == (logits.argmax(axis=1) == arrays(data.test)["y"]).mean()


@dataclass(frozen=True)
class Counted:
    """A source of as many examples as wanted, each made from its position."""

    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int, /) -> dict[str, Any]:
        if not 0 <= index < self.size:
            raise IndexError(index)
        return {"x": np.full(12, index % 30, np.int32), "y": np.int32(index % 2)}


def test_more_examples_than_memory_holds_an_order_of_are_trained_on():
    spec = token_data().spec
    data = Dataset(train=Counted(10**9), test=Counted(100), spec=spec)
    model = build_model(Bag, spec, {}, seed=0)
    tracemalloc.start()
    prepared = prepare(model, data, Recipe(epochs=1), seed=0, emit=Heard())
    state, losses = prepared.state, []
    for chunk in itertools.islice(prepared.trainer.chunks(), 10):
        state, told, _ = prepared.trainer(state, chunk)
        losses += told.tolist()
    found = prepared.final(state)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (
        len(losses) >= 80 and losses[-1] < losses[0] and len(found.answers["predicted"]) == 100
    )
    assert peak < 100 * 2**20
    with pytest.raises(UsageError, match="reads the label of each of the 1000000000"):
        make_splits(data, Recipe(validation=0.1))
    with pytest.raises(ContractError, match="leave buckets out"):
        buckets_of(make_splits(data, Recipe()).train, replace(spec, buckets=(6, 12)))


def test_the_first_examples_of_very_many_are_an_epoch_with_a_limit():
    spec = token_data().spec
    data = Dataset(train=Counted(10**9), test=Counted(100), spec=spec)
    train = make_splits(data, Recipe(limit=1000)).train
    assert len(train) == 1000 and train.labels().tolist() == [0, 1] * 500
