"""Tuning, drawn: for each number that was tuned, its values against the validation score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from harness.report.axes import spread_x
from harness.report.look import CONTEXT, INK, Look, Panel, look
from harness.report.panels import are_small, panels_of
from harness.report.trials import Trial

Group = Sequence[Trial]  # of one line, or of what would be one
NEAR = 0.02  # a share of all examples, or of a loss: a quartile distance is taken for no less


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """The tuning of one data set.

    Attributes:
      models: how many lines have trials that are drawn.
    """

    dataset: str
    models: int
    panels: Sequence[Panel]


def tuning_of(trials: Sequence[Trial]) -> list[Tuning]:
    """The tuning of each data set that has a number to draw.

    A line keeps its look in the panels of all numbers, whether it has each of them or not.
    """
    found = []
    for dataset in dict.fromkeys(one.dataset for one in trials):
        drawn = [one for one in trials if one.dataset == dataset and _counts(one)]
        keys = dict.fromkeys(key for one in drawn for key in one.chosen)
        panels = [panel for key in keys for panel in _panels(key, drawn)]
        models = len({one.place for one in drawn})
        if panels:
            found.append(Tuning(dataset=dataset, models=models, panels=panels))
    return found


def _counts(trial: Trial) -> bool:
    return trial.status == "ok" and trial.score is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _panels(key: str, trials: Sequence[Trial]) -> list[Panel]:
    """The panels of one number; none of a word."""
    groups = _groups(key, trials)
    values = [one.chosen[key] for group in groups for one in group]
    fence = _fence([one for group in groups for one in group]) if groups else None

    def draw(axes: Axes, some: Sequence[Group]) -> None:
        for group in some:
            _points(axes, key, [one for one in group if not _is_beyond(one, fence)])
            _arrows(axes, key, [one for one in group if _is_beyond(one, fence)])
            _ring(axes, key, _best(group))
        spread_x(axes, values, is_small=are_small(groups))
        axes.set_xlabel(key.replace("_", " "))
        axes.set_ylabel("validation loss" if some[0][0].is_loss else "validation accuracy")

    name = key.removeprefix("model.").replace("_", " ")
    return panels_of(
        groups, title=name, entry=_entry, draw=draw,
        behind=lambda axes, group: _behind(
            axes, key, [one for one in group if not _is_beyond(one, fence)]
        ),
        describe=lambda some: _described(name, key, some),
    )  # fmt: skip


def _groups(key: str, trials: Sequence[Trial]) -> list[Group]:
    """The trials that have a number there, line by line in the order of the table."""
    groups: dict[int, list[Trial]] = {}
    for one in trials:
        if _is_number(one.chosen.get(key)):
            groups.setdefault(one.place, []).append(one)
    return [groups[place] for place in sorted(groups)]


def _fence(trials: Group) -> float | None:
    """The score beyond which trials are far worse than all others; None if none is.

    Values that do not train at all would leave no room for the differences between those that
    do. So the scale ends three quartile distances beyond the worse quartile (Tukey 1977), if no
    line has its best trial there. Scores that are nearly the same have next to no distance, and
    what lies a little below them is not far.
    """
    sign = -1.0 if trials[0].is_loss else 1.0
    scores = np.array([sign * (one.score or 0.0) for one in trials])
    lower, upper = (float(q) for q in np.quantile(scores, [0.25, 0.75]))
    best = min(sign * (_best(group).score or 0.0) for group in _by_line(trials))
    least = NEAR * (abs(upper) if trials[0].is_loss else 1.0)
    low = min(lower - 3 * max(upper - lower, least), best)
    return sign * low if scores.min() < low else None


def _is_beyond(trial: Trial, fence: float | None) -> bool:
    score = trial.score or 0.0
    return fence is not None and (score > fence if trial.is_loss else score < fence)


def _by_line(trials: Group) -> list[Group]:
    places = dict.fromkeys(one.place for one in trials)
    return [[one for one in trials if one.place == place] for place in places]


def _entry(group: Group) -> tuple[str, Look]:
    return group[0].model, look(group[0].place)


def _described(name: str, key: str, groups: Sequence[Group]) -> str:
    best = [(group[0].model, _best(group)) for group in groups]
    told = "; ".join(f"{model} {one.chosen[key]:g} ({one.score:.3f})" for model, one in best)
    return f"Best trial by {name}: {told}."


def _best(trials: Group) -> Trial:
    """The best of the last rung, as tuning chooses it."""
    last = max(one.rung for one in trials)
    return min((one for one in trials if one.rung == last), key=lambda one: one.order)


def _points(axes: Axes, key: str, group: Group) -> None:
    """Open marks, so that equal points do not hide each other."""
    for one in group:
        how = look(one.place)
        axes.plot(
            [one.chosen[key]], [one.score or 0.0], color=how.colour, marker=how.marker,
            linestyle="none", markersize=5 + one.rung, markerfacecolor="none",
            markeredgewidth=1.3,
        )  # fmt: skip


def _arrows(axes: Axes, key: str, group: Group) -> None:
    """Trials beyond the scale, at its edge."""
    for one in group:
        axes.plot(
            [one.chosen[key]], [0.96 if one.is_loss else 0.04], color=look(one.place).colour,
            marker="$\\uparrow$" if one.is_loss else "$\\downarrow$", linestyle="none",
            markersize=9, transform=axes.get_xaxis_transform(),
        )  # fmt: skip


def _ring(axes: Axes, key: str, best: Trial) -> None:
    axes.scatter(
        [best.chosen[key]], [best.score or 0.0], s=160, facecolors="none", edgecolors=INK,
        linewidths=1.0,
    )  # fmt: skip


def _behind(axes: Axes, key: str, group: Group) -> None:
    axes.plot(
        [one.chosen[key] for one in group], [one.score or 0.0 for one in group],
        color=CONTEXT, marker=".", linestyle="none", markersize=4,
    )  # fmt: skip
