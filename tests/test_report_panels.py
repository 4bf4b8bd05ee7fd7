"""One panel for a few things, and one each for many."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from harness.report.look import CONTEXT, OVERLAID, Panel, alone, look
from harness.report.panels import MOST, panels_of


def one_line(axes: Axes, place: int, colour: str) -> None:
    axes.plot([0, 1], [place, place], color=colour)


def draw(axes: Axes, some: Sequence[int]) -> None:
    for place in some:
        one_line(axes, place, look(place).colour)


def panels(count: int) -> list[Panel]:
    return panels_of(
        range(count), title="a Thing", entry=lambda place: (f"n{place}", look(place)),
        draw=draw, behind=lambda axes, place: one_line(axes, place, CONTEXT),
        describe=lambda some: f"{list(some)}",
    )  # fmt: skip


def test_a_few_share_a_panel_with_a_legend():
    (panel,) = panels(OVERLAID)
    assert (panel.title, panel.description) == ("A Thing", f"{list(range(OVERLAID))}")
    assert [name for name, _ in panel.legend] == [f"n{place}" for place in range(OVERLAID)]
    assert len(alone(panel).axes[0].lines) == OVERLAID
    assert panels(0) == []


def test_many_have_a_panel_each_with_the_others_in_grey_behind():
    found = panels(OVERLAID + 1)
    assert [panel.title for panel in found] == [f"n{n}: a Thing" for n in range(OVERLAID + 1)]
    last = found[-1]
    assert (last.description, last.legend) == (f"[{OVERLAID}]", ())
    colours = [line.get_color() for line in alone(last).axes[0].lines]
    assert colours == [CONTEXT] * (OVERLAID + 1) + [look(OVERLAID).colour]
    assert last.width < 300
    assert len(panels(MOST + 3)) == MOST
