"""The scale of intervals and where they stand on it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored import make_row

from harness.report.forest import EDGE, WIDTH, bar, scale, ticks
from harness.report.lines import Line


def line(accuracy: float | None, low: float | None = None, high: float | None = None) -> Line:
    told = {"accuracy": accuracy, "accuracy_low": low, "accuracy_high": high}
    values: dict[str, Any] = {k: v for k, v in told.items() if v is not None}
    rows = (make_row(accuracy=accuracy), make_row(accuracy=None))
    return Line(
        number=0, place=0, dataset="d", model="m", settings="", values=values, rows=rows
    )


def test_all_intervals_are_on_the_common_scale():
    lines = [line(0.5, 0.4, 0.6), line(0.8, 0.75, 0.85), line(0.7)]
    on = scale(lines)
    assert on is not None and on.best == 0.8
    bars = [bar(one, on) for one in lines]
    assert bars[0] is not None and bars[1] is not None and bars[2] is not None
    assert EDGE < bars[0].low < bars[0].at < bars[0].high < bars[1].high < WIDTH - EDGE  # type: ignore[operator]
    assert bars[0].best == bars[1].at == bars[2].best
    assert bars[2].low is None and bars[2].seeds == (bars[2].at,)


def test_one_line_far_behind_does_not_squeeze_the_others():
    lines = [line(0.80 + i / 100, 0.79 + i / 100, 0.81 + i / 100) for i in range(4)]
    on = scale([*lines, line(0.1, 0.09, 0.11)])
    assert on is not None and on.low > 0.7
    behind = bar(line(0.1, 0.09, 0.11), on)
    assert behind is not None and behind.is_below and behind.at == EDGE
    both = scale([line(0.9), line(0.1)])  # of two neither is an exception
    assert both is not None and both.low < 0.1


def test_without_an_accuracy_there_is_no_scale_and_no_bar():
    assert scale([line(None)]) is None
    on = scale([line(0.5)])
    assert on is not None and bar(line(None), on) is None


@given(st.floats(0, 1), st.floats(1e-3, 1))
def test_ticks_are_few_and_within(low: float, span: float):
    found = ticks(low, low + span)
    assert 2 <= len(found) <= 5
    assert all(low - 1e-6 <= tick <= low + span + 1e-6 for tick in found)


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_the_ends_of_accuracy_stay_inside(accuracy: float):
    on = scale([line(accuracy, accuracy, accuracy)])
    assert on is not None
    found = bar(line(accuracy, accuracy, accuracy), on)
    assert found is not None and 0 <= found.at <= WIDTH
