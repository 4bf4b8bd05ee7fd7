"""What a line says in each column."""

from __future__ import annotations

import json
from typing import Any

import pytest
from reported import lines_of
from stored import failed_row, make_row

from harness.report.columns import Cell, Column, columns_of, p_value, signed, three
from harness.report.lines import Line
from harness.rows import Row


def line(*rows: Row, **values: Any) -> Line:
    return Line(
        number=0, place=0, dataset="d", model="m", settings="", values=values, rows=rows
    )


FULL = line(
    make_row(tune_trials=8, tune=json.dumps({"chosen": {"learning_rate": 0.003}}),
             metrics=json.dumps({"test_macro_f1": 0.5, "val_macro_f1": 0.6})),
    accuracy=0.91234, accuracy_low=0.9, accuracy_high=0.92, rank=1, tied=True,
    vs_parent=-0.0123, vs_parent_low=-0.02, vs_parent_high=-0.004, vs_parent_p=0.0001,
    param_count=12345, step_ms_p50=1.2345, step_ms_p90=2.0, shared=1, train_s=123.4,
    time_to_target_s=60.0, reached_target=1, pareto="ST", macro_f1=0.5, macro_f1_sd=0.1,
    loss=0.4,
)  # fmt: skip


def told(one: Line, *more: Line) -> dict[str, Cell | None]:
    return {column.name: column.cell(one) for column in columns_of([one, *more])}


def test_a_line_with_everything():
    cells = told(FULL)
    assert {name: (cell.text, cell.note) for name, cell in cells.items() if cell} == {
        "rank": ("1=", ""),
        "accuracy": ("0.9123", "[0.900, 0.920]"),
        "vs_parent": ("−0.0123", "[−0.020, −0.004]\np < 0.001 *"),
        "macro_f1": ("0.5000", "± 0.1000"),
        "param_count": ("12,345", ""),
        "step_ms_p50": ("1.23‡", "p90 2.00"),
        "train_s": ("123‡", ""),
        "time_to_target_s": ("60.0", "1 of 1"),
        "pareto": ("", ""),
        "tuned": ("best of 8", "learning rate 0.003"),
    }  # fmt: skip
    assert cells["pareto"] is not None
    assert cells["pareto"].marks == (("S", "step time"), ("T", "training time"))
    assert cells["accuracy"] is not None and cells["accuracy"].sort == 0.91234


def test_columns_that_say_nothing_are_left_out():
    plain = line(make_row(), accuracy=0.5)
    assert list(told(plain)) == ["accuracy"]
    assert list(told(line(failed_row(), status="failed: why"))) == ["status"]


def test_seeds_are_a_column_where_lines_have_more_or_fewer():
    one = line(make_row(), accuracy=0.5)
    cells = told(one, line(make_row(), make_row(seed=1), accuracy=0.5))
    assert cells["n"] == Cell(text="1", sort=1)
    assert "n" not in told(one, one)


def test_untuned_is_said_where_another_line_was_tuned():
    cells = told(line(make_row(), accuracy=0.5), FULL)
    assert cells["tuned"] is not None and cells["tuned"].text == "untuned"


def test_without_accuracy_the_loss_is_shown():
    regression = line(make_row(accuracy=None), loss=0.25)
    assert told(regression)["loss"] == Cell(text="0.2500", sort=0.25)
    assert "loss" in told(FULL, regression)


def test_an_interval_over_less_is_marked_as_in_the_caption():
    over = {"seeds": "¶", "examples": "§", "seeds and examples": ""}
    for name, mark in over.items():
        one = line(make_row(), accuracy=0.5, accuracy_low=0.4, accuracy_high=0.6,
                   accuracy_over=name)  # fmt: skip
        cell = told(one)["accuracy"]
        assert cell is not None and cell.note == f"[0.400, 0.600]{mark}"


def metric_columns(*names: str, seeds: int = 1) -> dict[str, Column]:
    """The columns of metrics in a table of one line, as it is read from rows."""
    metrics = json.dumps({f"test_{name}": 0.4 for name in names})
    rows = [make_row(seed=seed, accuracy=None, metrics=metrics) for seed in range(seeds)]
    return {one.name: one for one in columns_of(lines_of(rows)) if one.name in names}


def test_a_metric_of_a_single_seed_has_a_column():
    assert list(metric_columns("r_squared", "macro_f1")) == ["r_squared", "macro_f1"]
    assert list(metric_columns("r_squared", seeds=2)) == ["r_squared"]
    seed = json.dumps({"test_seed": 7})  # a name that a row has, too
    assert "test_seed" in {c.name for c in columns_of(lines_of([make_row(metrics=seed)]))}


def test_an_error_sorts_the_smallest_to_the_top():
    names = ("r_squared", "mean_absolute_error", "calibration_error[bins=10]")
    found = metric_columns(*names)
    assert [found[name].is_better_high for name in names] == [True, False, False]


def test_only_a_difference_that_is_significant_has_a_star():
    for p, note in ((0.05, "p = 0.050 *"), (0.051, "p = 0.051")):
        cell = told(line(make_row(), accuracy=0.5, vs_parent=0.1, vs_parent_p=p))["vs_parent"]
        assert cell is not None and cell.note == note


def test_what_one_seed_decides_is_marked():
    one = line(make_row(), accuracy=0.5, rank=1, rank_over="examples", vs_parent=0.1,
               vs_parent_low=0.05, vs_parent_high=0.15, vs_parent_p=0.0001,
               vs_parent_over="examples")  # fmt: skip
    cells = told(one)
    assert cells["rank"] is not None and cells["rank"].text == "1§"
    assert cells["vs_parent"] is not None
    assert cells["vs_parent"].note == "[+0.050, +0.150]\np < 0.001 *§"


def test_a_target_that_no_seed_reached_is_missing():
    cell = told(line(make_row(), accuracy=0.5, reached_target=0))["time_to_target_s"]
    assert cell == Cell(text="–", note="0 of 1", sort=None)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.000123, "0.000123"), (1.5, "1.50"), (1234.5, "1,234"), (999.6, "1,000")],
)
def test_three_digits(value: float, text: str):
    assert three(value) == text


def test_signs_and_small_probabilities():
    assert (signed(-0.00001), signed(0.5), signed(-0.25, 2)) == ("+0.0000", "+0.5000", "−0.25")
    assert [p_value(p) for p in (0.0001, 0.0123, 0.5)] == ["p < 0.001", "p = 0.012", "p = 0.50"]
