from __future__ import annotations

import numpy as np
from small import Bag, Heard, arrays, token_data

from harness import cost, orders
from harness.assemble import build_model, make_splits, prepare
from harness.recipe import Recipe


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
