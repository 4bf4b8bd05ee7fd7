"""How much better one line is than another, and over what that is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from answered import answered_rows, bare_side, side_of
from stored import make_row

from harness.comparison import seeds_interval
from harness.table.beside import beside, beside_text
from harness.table.beside_caption import beside_caption
from harness.table.sides import Side

FIRST, SECOND = (0.5, 0.4, 0.6), (0.7, 0.75, 0.85)


def rows_of_loss(model: str, losses: Sequence[float | None], **values: Any) -> list:
    return [
        make_row(model, seed=seed, accuracy=None, test_loss=loss, dataset="diabetes", **values)
        for seed, loss in enumerate(losses)
    ]


def regression(model: str, losses: Sequence[float | None]) -> Side:
    return bare_side(*rows_of_loss(model, losses), name=model)


def test_a_task_without_accuracy_is_compared_by_its_loss():
    lines = beside(regression("a", FIRST), regression("b", SECOND))
    [line] = lines.to_dict("records")
    told = seeds_interval(np.subtract(FIRST, SECOND))
    assert line["seeds"] == 3 and line["loss_difference"] == pytest.approx(told.estimate)
    ends = line["loss_difference_low"], line["loss_difference_high"]
    assert ends == pytest.approx((told.low, told.high))
    assert (line["loss_a"], line["loss_b"]) == pytest.approx((0.5, 0.7667), abs=1e-4)
    assert "note" not in line


@pytest.mark.parametrize("format", ["text", "csv", "json"])
def test_nothing_is_said_of_accuracy_where_there_is_none(format: str):
    one, two = regression("a", FIRST), regression("b", SECOND)
    lines = beside(one, two)
    text = beside_text(lines, format, below=beside_caption(one, two, lines))
    assert "accuracy" not in text and "error" not in text and "p of no" not in text
    assert ("loss A - B" if format == "text" else "loss_difference") in text


def test_lines_with_and_without_an_accuracy_stand_below_each_other():
    def side(model: str, accuracy: float, losses: Sequence[float]) -> Side:
        rows = {row["run_id"]: (row, np.zeros(0, bool)) for row in rows_of_loss(model, losses)}
        return side_of(answered_rows(model, accuracy), rows)

    lines = beside(side("a", 0.9, FIRST), side("b", 0.6, SECOND))
    assert lines["difference"].isna().tolist() == [False, True]
    assert lines["loss_difference"].isna().tolist() == [True, False]
    text = beside_text(lines, "text", below="")
    assert "+0.3000 [" in text and "-0.2667 [" in text


@pytest.mark.parametrize(
    ("first", "second", "note"),
    [
        ((0.5,), (0.7,), "one seed, so nothing is known beside the difference"),
        ((0.5, 0.6), (0.7, 0.8, 0.9), "losses are over 2 common seeds, times over all; A has "
                                      "none beside, B 1"),
        ((None, None), (0.7, 0.8), "A has no loss, so nothing is paired"),
        ((None,), (None,), "A and B have no loss, so nothing is paired"),
    ],
)  # fmt: skip
def test_what_is_not_known_of_a_loss_is_said(first, second, note: str):
    assert beside(regression("a", first), regression("b", second))["note"].tolist() == [note]


def test_a_task_that_has_an_accuracy_on_one_side_only_is_not_paired():
    accurate = bare_side(make_row("b", accuracy=0.5, test_loss=0.7, dataset="diabetes"))
    [line] = beside(regression("a", FIRST), accurate).to_dict("records")
    assert line["note"] == "A has no accuracy, so nothing is paired"
    assert pd.isna(line["difference"]) and line["accuracy_b"] == 0.5


def test_values_are_of_the_seeds_that_the_difference_is_of():
    one = side_of(answered_rows("a", 0.92, seeds=range(4)), answered_rows("a", 0.81, seeds=[4]))
    two = side_of(answered_rows("b", 0.9, seeds=[4]))
    [line] = beside(one, two).to_dict("records")
    assert line["accuracy_a"] == pytest.approx(0.8) and line["difference"] < 0
    assert line["accuracy_a"] - line["accuracy_b"] == pytest.approx(line["difference"])
    assert line["error_ratio"] > 1
    assert line["note"] == (
        "one seed: about these two trained models; accuracies are over 1 common seed, times "
        "over all; A has 4 beside, B none"
    )


def test_the_same_holds_where_answers_are_not_stored():
    one = bare_side(*(make_row("a", seed=s, accuracy=0.9 - s / 10) for s in range(3)))
    two = bare_side(*(make_row("b", seed=s, accuracy=0.5) for s in (1, 2, 7)))
    [line] = beside(one, two).to_dict("records")
    assert (line["accuracy_a"], line["accuracy_b"]) == pytest.approx((0.75, 0.5))
    assert line["difference"] == pytest.approx(0.25) and line["seeds"] == 2
    assert line["note"].endswith("over 2 common seeds, times over all; A has 1 beside, B 1")


def test_without_a_common_seed_values_are_of_all():
    one = side_of(answered_rows("a", 0.9, seeds=[0, 1]))
    [line] = beside(one, side_of(answered_rows("b", 0.5, seeds=[2]))).to_dict("records")
    assert line["accuracy_a"] == pytest.approx((360 + 359) / 800) and line["seeds"] == 0
    assert line["note"] == "no common seed, so nothing is paired"
    assert pd.isna(line["error_ratio"])


def test_errors_on_other_data_are_no_ratio():
    one = side_of(answered_rows("a", 0.9, data_fingerprint="1", param_count=50))
    two = side_of(answered_rows("b", 0.6, data_fingerprint="2", param_count=100))
    [line] = beside(one, two).to_dict("records")
    assert pd.isna(line["error_ratio"]) and line["params_ratio"] == 0.5
    assert "ratio" not in beside_caption(one, two, beside(one, two))


def test_no_interval_of_accuracies_reaches_beyond_what_there_can_be():
    one = bare_side(*(make_row("a", seed=s, accuracy=a) for s, a in enumerate((0.9, 0.6))))
    two = bare_side(*(make_row("b", seed=s, accuracy=a) for s, a in enumerate((0.5, 0.55))))
    [line] = beside(one, two).to_dict("records")
    assert (line["difference_low"], line["difference_high"]) == (-1.0, 1.0)
    lines = beside(regression("a", (9.0, 6.0)), regression("b", (5.0, 5.5)))
    assert lines["loss_difference_high"].iloc[0] > 20


def test_what_an_interval_is_over_is_a_column():
    one = side_of(answered_rows("a", 0.9))
    for two, over in (
        (side_of(answered_rows("b", 0.5)), "seeds and examples"),
        (side_of(answered_rows("b", 0.5, seeds=[1])), "examples"),
        (bare_side(*(make_row("b", seed=s, accuracy=0.5) for s in range(2))), "seeds"),
        (bare_side(make_row("b", accuracy=0.5)), None),
    ):
        told = json.loads(beside_text(beside(one, two), "json", below=""))
        assert told[0]["difference_over"] == over
