"""Two sides, side by side."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from answered import answered_rows, bare_side
from answered import side_of as side
from stored import make_row

from harness.comparison import difference
from harness.errors import UsageError
from harness.table.beside import beside, beside_text
from harness.table.sides import Side

COSTS = {"step_ms_p50": 2.0, "param_count": 50, "train_s": 8.0}


def test_effects_are_the_first_side_against_the_second():
    one = side(answered_rows("a", 0.9, **COSTS))
    two = side(answered_rows("b", 0.6, **{**COSTS, "step_ms_p50": 1.0, "param_count": 100}))
    [line] = beside(one, two).to_dict("records")
    first, second = (list(s.evidence.right.values()) for s in (one, two))
    told = difference(np.stack(first), np.stack(second))
    assert line["seeds"] == 3 and line["difference"] == pytest.approx(told.estimate)
    assert (line["difference_low"], line["difference_high"], line["p"]) == pytest.approx(
        (told.low, told.high, told.p)
    )
    assert (line["step_ratio"], line["params_ratio"], line["train_ratio"]) == (2.0, 0.5, 1.0)
    accuracy = line["accuracy_a"], line["accuracy_b"]
    assert line["error_ratio"] == pytest.approx((1 - accuracy[0]) / (1 - accuracy[1]))
    assert "note" not in line
    text = beside_text(beside(one, two), "text", below="A is a")
    assert "accuracy A - B" in text and "\n\nA is a" in text and " * " in text
    assert max(map(len, text.splitlines())) <= 150 and "step ms" not in text
    assert json.loads(beside_text(beside(one, two), "json", below=""))[0]["seeds"] == 3


def test_models_meet_in_each_data_set_and_recipe_that_both_have():
    one = side(answered_rows("a", 0.9), answered_rows("a", 0.8, epochs=3),
               answered_rows("a", 0.7, dataset="imdb"))  # fmt: skip
    two = side(answered_rows("b", 0.6), answered_rows("b", 0.5, epochs=3))
    lines = beside(one, two)
    assert lines["dataset"].tolist() == ["digits", "digits"]
    assert lines["epochs"].tolist() == [10, 3]
    assert lines["difference"].tolist() == pytest.approx([0.3, 0.3])


def test_commits_meet_in_each_model_and_their_p_values_are_one_family():
    one = side(answered_rows("a", 0.9), answered_rows("b", 0.5), name="0a1b", kind="commit")
    two = side(answered_rows("b", 0.4), answered_rows("a", 0.8), name="2c3d", kind="commit")
    lines = beside(one, two)
    assert lines["model"].tolist() == ["a", "b"]
    assert lines["difference"].tolist() == pytest.approx([0.1, 0.1])
    alone = beside(side(answered_rows("a", 0.9)), side(answered_rows("a", 0.8)))
    assert lines["p"].min() > alone["p"].iloc[0]


def test_times_of_two_machines_are_not_divided():
    one = side(answered_rows("a", 0.9, host="x", **COSTS))
    for values, why in (
        ({"host": "y"}, "times not comparable: host differs"),
        ({"host": "x", "allocator": "glibc"}, "times not comparable: allocator differs"),
        ({"host": "x", "timing_comparable": False}, "another run went on beside"),
    ):
        two = side(answered_rows("b", 0.9, **values, **COSTS))
        [line] = beside(one, two).to_dict("records")
        assert pd.isna(line["step_ratio"]) and pd.isna(line["train_ratio"])
        assert line["params_ratio"] == 1.0 and why in line["note"]


def test_sides_that_were_tuned_otherwise_say_in_what_they_differ():
    def tuned(high: str) -> str:
        space = {"learning_rate": f"0.0001:{high}:log"}
        return json.dumps({"space": space, "budget": 8, "chosen": {"learning_rate": 0.01}})

    one = side(answered_rows("a", 0.9, tune=tuned("0.01"), tune_trials=8, learning_rate=0.01,
                             validation=0.1), name="a")  # fmt: skip
    two = side(answered_rows("b", 0.9), answered_rows("b", 0.9, epochs=3), name="b")
    text = (
        "nothing to compare: a and b differ in tune (learning_rate=0.0001:0.01:log, budget 8; "
        "untuned), validation (0.1; 0.0); run both with the same"
    )
    with pytest.raises(UsageError) as error:
        beside(one, two)
    assert str(error.value) == text
    wider = side(answered_rows("c", 0.9, tune=tuned("0.1"), tune_trials=8, validation=0.1))
    with pytest.raises(
        UsageError, match=r"tune \(.*:0.01:log, budget 8; .*:0.1:log, budget 8\); run"
    ):
        beside(one, wider)


def test_what_cannot_be_paired_says_why():
    one = side(answered_rows("a", 0.9, data_fingerprint="1"))
    other = side(answered_rows("b", 0.9, data_fingerprint="2"))
    [line] = beside(one, other).to_dict("records")
    assert pd.isna(line["difference"]) and line["note"].startswith("other data")
    seeds = side(answered_rows("b", 0.9, seeds=[7], data_fingerprint="1"))
    assert beside(one, seeds)["note"].tolist() == ["no common seed, so nothing is paired"]
    single = side(answered_rows("b", 0.9, seeds=[1], data_fingerprint="1"))
    assert "these two trained models" in beside(one, single)["note"].iloc[0]
    rows = [make_row("b", seed=s, accuracy=0.5, data_fingerprint="1") for s in range(2)]
    [line] = beside(one, bare_side(*rows)).to_dict("records")
    assert line["note"].startswith("over seeds only") and pd.isna(line["p"])
    assert line["difference_low"] < line["difference"] < line["difference_high"]


def labelled(one: Side, labels: str) -> Side:
    told = dict.fromkeys(one.evidence.right, labels)
    return replace(one, evidence=replace(one.evidence, labels=told))


def test_answers_to_other_labels_are_not_paired_over_seeds_either():
    """Data without a fingerprint may have changed."""
    one, two = side(answered_rows("a", 0.9)), side(answered_rows("b", 0.6))
    [line] = beside(labelled(one, "1"), labelled(two, "2")).to_dict("records")
    assert line["note"] == "other test labels, so nothing is paired"
    assert line["seeds"] == 0 and pd.isna(line["difference"]) and pd.isna(line["p"])
    [line] = beside(labelled(one, "1"), labelled(two, "1")).to_dict("records")
    assert line["difference"] == pytest.approx(0.3)
    # also where the answers of a seed are missing, and seeds alone could be paired
    right = dict(list(two.evidence.right.items())[1:])
    part = replace(two, evidence=replace(two.evidence, right=right))
    [line] = beside(labelled(one, "1"), labelled(part, "2")).to_dict("records")
    assert line["note"].startswith("other test labels") and pd.isna(line["difference"])
    [line] = beside(labelled(one, "1"), labelled(part, "1")).to_dict("records")
    assert line["note"].startswith("over seeds only") and line["seeds"] == 3


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (side(answered_rows("a", 0.9)), side(answered_rows("a", 0.9), kind="commit"), "two m"),
        (side(answered_rows("a", 0.9)), side(answered_rows("b", 0.9, dataset="imdb")),
         "nothing to compare: x has digits a .*; x has imdb b .*same data set and recipe"),
        (side(*(answered_rows("a", 0.9, params={"w": w}) for w in (1, 2))),
         side(answered_rows("b", 0.9)), r"stands for 2 cells of digits: a\[w=1\], a\[w=2\]"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_one_line(first: Side, second: Side, expected: str):
    with pytest.raises(UsageError, match=expected):
        beside(first, second)


def tuned_rows(model: str, rate: float, **values: Any) -> Any:
    tune = {"space": {"learning_rate": "0.001:0.1"}, "budget": 4,
            "chosen": {"learning_rate": rate}}  # fmt: skip
    return answered_rows(model, 0.9, tune=json.dumps(tune), tune_trials=4, learning_rate=rate,
                         **values)  # fmt: skip


def test_what_tuning_chose_is_no_column_because_it_is_of_one_side():
    one = side(tuned_rows("a", 0.01), tuned_rows("a", 0.03, dataset="imdb"))
    two = side(tuned_rows("b", 0.1), tuned_rows("b", 0.05, dataset="imdb"))
    assert "learning_rate" not in beside(one, two)
    # what was not tuned keeps its own
    one = side(tuned_rows("a", 0.01), answered_rows("a", 0.9, learning_rate=0.5))
    two = side(tuned_rows("b", 0.1), answered_rows("b", 0.9, learning_rate=0.5))
    rates = beside(one, two)["learning_rate"].tolist()
    assert pd.isna(rates[0]) and rates[1] == 0.5
