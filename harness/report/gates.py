"""Step-time ratios of stored gates, in the order in which they were made.

A panel a cell, a point a gate: head over base with its interval. A gate compares two commits
on one machine and its ratio says nothing of another base, so points are not joined; what
drifts by a little under every margin shows as points that lie above one all along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.report.plots import COLOURS, DPI, PANEL, describe

# a verdict's colour and its mark, for readers who see no colours
MARKS = {
    "pass": (COLOURS[2], "o"), "slower": (COLOURS[1], "^"),
    "inconclusive": (COLOURS[4], "s"), "invalid": (COLOURS[6], "x"),
}  # fmt: skip


def gate_ratios_figure(gates: Sequence[Mapping[str, Any]]) -> Figure:
    """The ratios of gates that timed something.

    Args:
      gates: as `Store.gates` gives them, each with a `ratio`.
    """
    cells = list(dict.fromkeys(gate["cell"] for gate in gates))
    figure = Figure((PANEL[0] * 1.4, PANEL[1] * len(cells)), DPI, layout="constrained")
    for row, cell in enumerate(cells):
        axes = figure.add_subplot(len(cells), 1, row + 1)
        describe(axes, title=cell, x="gate", y="step time, head over base")
        _draw(axes, [gate for gate in gates if gate["cell"] == cell])
    verdicts = [v for v in MARKS if any(gate["verdict"] == v for gate in gates)]
    handles = [Line2D([], [], color=MARKS[v][0], marker=MARKS[v][1], ls="") for v in verdicts]
    figure.legend(handles, verdicts, loc="outside right upper", fontsize="small")
    return figure


def _draw(axes: Axes, gates: Sequence[Mapping[str, Any]]) -> None:
    axes.axhline(1.0, color="0.6", linewidth=0.8)
    for number, gate in enumerate(gates, start=1):
        colour, mark = MARKS[gate["verdict"]]
        ratio, low, high = gate["ratio"], gate["ratio_low"], gate["ratio_high"]
        below, above = (abs(ratio - (ratio if end is None else end)) for end in (low, high))
        axes.errorbar([number], [ratio], yerr=[[below], [above]], color=colour, marker=mark)
    axes.set_xticks(range(1, len(gates) + 1))
    axes.set_xticklabels([g["head"] for g in gates], rotation=30, ha="right", fontsize="small")
