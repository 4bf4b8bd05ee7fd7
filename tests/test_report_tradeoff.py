"""Accuracy against step time: the points, the front and the labels."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from matplotlib.text import Annotation

from harness.report.lines import Line
from harness.report.look import CONTEXT, alone
from harness.report.tradeoff import tradeoff_panel, why_not_judged


def line(model: str, place: int = 0, **values: Any) -> Line:
    return Line(
        number=place, place=place, dataset="digits", model=model, settings="", values=values,
        rows=(),
    )  # fmt: skip


LINES = [
    line("fast", 0, accuracy=0.5, step_ms_p50=1.0, pareto="ST"),
    line("good", 1, accuracy=0.9, accuracy_low=0.85, accuracy_high=0.92, step_ms_p50=10.0,
         pareto="S"),
    line("bad", 2, accuracy=0.45, step_ms_p50=9.0, pareto="P"),
    line("failed", 3),
]  # fmt: skip


def test_lines_on_the_front_are_filled_and_joined_by_steps():
    panel = tradeoff_panel(LINES)
    assert panel is not None and panel.description.startswith(
        "On the Pareto front: fast, good."
    )
    axes = alone(panel).axes[0]
    points = {c.lines[0].get_xdata()[0]: c.lines[0] for c in axes.containers}  # type: ignore[attr-defined]
    assert sorted(points) == [1.0, 9.0, 10.0]
    assert [points[x].get_markerfacecolor() == "none" for x in (1.0, 9.0, 10.0)] == [
        False, True, False,
    ]  # fmt: skip
    (front,) = [one for one in axes.lines if one.get_color() == CONTEXT]
    np.testing.assert_allclose(
        np.asarray(front.get_xydata(), dtype=float), [[1, 0.5], [10, 0.9]]
    )


def test_the_bar_is_the_interval():
    panel = tradeoff_panel(LINES)
    assert panel is not None
    axes = alone(panel).axes[0]
    (bar,) = axes.containers[1].lines[2]  # type: ignore[attr-defined]
    np.testing.assert_allclose(bar.get_segments()[0][:, 1], [0.85, 0.92])


def test_labels_do_not_cover_each_other_where_there_is_room():
    close = [
        line(f"model_{i}", i, accuracy=0.8 + i / 1000, step_ms_p50=2.0 + i / 1000, pareto="")
        for i in range(4)
    ] + [line("far", 4, accuracy=0.2, step_ms_p50=20.0, pareto="")]
    panel = tradeoff_panel(close)
    assert panel is not None
    figure = alone(panel)
    figure.draw_without_rendering()
    labels = [t for t in figure.axes[0].texts if isinstance(t, Annotation)]
    assert {one.get_text() for one in labels} == {one.model for one in close}
    boxes = [one.get_window_extent() for one in labels]
    assert not [1 for one, other in itertools.combinations(boxes, 2) if one.overlaps(other)]


def test_one_point_is_no_comparison():
    assert tradeoff_panel(LINES[:1]) is None
    assert tradeoff_panel([line("a", accuracy=0.5), line("b", accuracy=0.6)]) is None


def test_times_that_do_not_compare_have_no_front_and_it_is_said():
    slow = [line(m, i, accuracy=0.5 + i / 10, step_ms_p50=1.0 + i, pareto="P", pareto_note="‡")
            for i, m in enumerate(("a", "b"))]  # fmt: skip
    assert why_not_judged(slow) == "step times cannot be compared (‡)"
    assert why_not_judged(LINES) == ""
    panel = tradeoff_panel(slow)
    assert panel is not None and panel.description.startswith("No front: step times cannot")
    marks = [c.lines[0].get_markerfacecolor() for c in alone(panel).axes[0].containers]  # type: ignore[attr-defined]
    assert marks == ["none", "none"]
