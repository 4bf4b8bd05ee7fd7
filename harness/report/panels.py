"""Panels in which things are told apart by their looks: one for all, or one for each.

As many as a reader can tell apart share a panel with a legend. More of them have a small panel
each, named in its title, in which all the others stand in grey behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from matplotlib.axes import Axes

from harness.report.look import OVERLAID, Look, Panel

T = TypeVar("T")

SMALL = (236, 170)  # CSS pixels of one of many panels
MOST = 24  # small panels of one kind


def are_small(things: Sequence[object]) -> bool:
    """Whether so many things have a panel each."""
    return len(things) > OVERLAID


def panels_of(
    things: Sequence[T],
    *,
    title: str,
    entry: Callable[[T], tuple[str, Look]],
    draw: Callable[[Axes, Sequence[T]], None],
    behind: Callable[[Axes, T], None],
    describe: Callable[[Sequence[T]], str],
) -> list[Panel]:
    """The panels of things that are drawn on the same axes; none of nothing.

    Args:
      title: what is shown of them, in small letters.
      entry: the name and the look of one.
      draw: draws some of them, and names the axes.
      behind: draws one in grey, for the panel of another.
      describe: what some of them show, in words.
    """
    if not things:
        return []
    if not are_small(things):
        name = f"{title[:1].upper()}{title[1:]}"
        legend = tuple(entry(one) for one in things)
        return [
            Panel(title=name, description=describe(things), legend=legend,
                  draw=lambda axes: draw(axes, things))
        ]  # fmt: skip

    def one_of_many(axes: Axes, one: T) -> None:
        for each in things:
            behind(axes, each)
        draw(axes, [one])

    return [
        Panel(title=f"{entry(one)[0]}: {title}", description=describe([one]),
              draw=lambda axes, one=one: one_of_many(axes, one),
              width=SMALL[0], height=SMALL[1])
        for one in things[:MOST]
    ]  # fmt: skip
