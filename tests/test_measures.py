"""What metrics are given: every example once, in order, of the state that counts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from small import Bag, Heard, arrays, token_data

import harness
from harness.assemble import Parts, build_model
from harness.engine import fit
from harness.events import Note, Phase
from harness.recipe import Recipe

RECIPE = Recipe(epochs=2, batch_size=16, eval_batch_size=16, learning_rate=1e-2)
DATA = token_data()


def train(recipe: Recipe = RECIPE, **metrics) -> Heard:
    heard = Heard()
    model = build_model(Bag, DATA.spec, {}, seed=0)
    fit(model, DATA, recipe, seed=0, emit=heard, parts=Parts(metrics=metrics))
    return heard


def test_a_metric_sees_each_test_example_once_and_in_order():
    seen: list[harness.Predictions] = []
    heard = train(seen=lambda p: seen.append(p) or 0.25)
    (told,) = seen
    test = arrays(DATA.test)
    np.testing.assert_array_equal(told.labels, test["y"])
    # 37 examples in batches of 16: the filling of the last one is not among them
    assert told.outputs.shape == told.probabilities.shape == (37, 2)
    np.testing.assert_allclose(told.probabilities.sum(axis=1), 1, rtol=1e-5)
    predicted = told.outputs.argmax(axis=1)
    np.testing.assert_array_equal(predicted, heard.arrays["test_predicted"])
    assert (predicted == test["y"]).mean() == heard.measured["test_accuracy"]
    assert json.loads(heard.measured["metrics"]) == {"test_seen": 0.25}
    assert heard.measured["metric_s"] > 0


def test_held_out_examples_are_measured_beside_the_test_set():
    sizes: list[int] = []
    recipe = Recipe(epochs=1, batch_size=16, validation=0.2)
    heard = train(recipe, size=lambda p: sizes.append(len(p.labels)) or len(p.labels))
    assert sizes == [37, 20]
    assert json.loads(heard.measured["metrics"]) == {"test_size": 37.0, "val_size": 20.0}


def test_metrics_change_neither_the_programs_nor_the_parameters():
    plain, more = train(), train(one=lambda p: 1.0)
    for column in ("hlo_hash", "params_hash", "recompiles"):
        assert plain.measured[column] == more.measured[column]
    assert "metrics" not in plain.measured and "metric_s" not in plain.measured
    assert Phase("metrics") not in plain.events


def refuse(predictions: harness.Predictions) -> float:
    raise harness.Unsupported("only one class")


@pytest.mark.parametrize(
    ("metric", "text"),
    [(refuse, "no m: only one class"), (lambda p: float("nan"), "no m: it is nan")],
)
def test_a_metric_without_a_value_says_why(metric, text: str):
    heard = train(m=metric)
    assert json.loads(heard.measured["metrics"]) == {"test_m": None}
    assert Note(text) in heard.events


def test_a_metric_that_raises_fails_the_run_and_takes_no_result_away():
    heard, kept = Heard(), []
    model = build_model(Bag, DATA.spec, {}, seed=0)
    parts = Parts(metrics={"m": lambda p: 1 / 0, "n": lambda p: 2.0})
    with pytest.raises(ZeroDivisionError) as caught:
        fit(model, DATA, RECIPE, seed=0, emit=heard, parts=parts, trained=kept.append)
    assert caught.value.__notes__ == ["(in metric m)"]
    assert json.loads(heard.measured["metrics"]) == {"test_m": None, "test_n": 2.0}
    assert heard.measured["test_accuracy"] is not None and heard.measured["train_s"] > 0
    # what --save keeps is kept before
    assert "test_predicted" in heard.arrays and len(kept) == 1
