"""Training curves as pictures: the loss of every step, loss and accuracy of every epoch.

Runs are overlaid, a line each. A model at one recipe has one colour (and, once the eight
colours that colour-blind readers can tell apart are used up, one pattern of dashes); its
seeds share it, so that the legend names models rather than runs. Each data set has a row
of panels.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from harness.report.history import History

# M. Okabe and K. Ito, "Color Universal Design", 2002
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442",
)  # fmt: skip
DASHES = ("solid", "dashed", "dotted", "dashdot")
DPI = 150
PANEL = (5.6, 3.6)  # inches
LEGEND_COLUMN = 26  # models in one column of the legend
LETTER = 0.085  # inches a letter of the legend

Style: TypeAlias = dict[str, Any]


def train_loss_figure(histories: Sequence[History]) -> Figure:
    """The training loss of every step, a panel for each data set."""
    drawn = [history for history in histories if history.train_loss.size]
    datasets = list(dict.fromkeys(history.dataset for history in drawn))
    figure, styles = _figure(drawn, rows=len(datasets), columns=1)
    for row, dataset in enumerate(datasets):
        axes = figure.add_subplot(len(datasets), 1, row + 1)
        for history in drawn:
            if history.dataset == dataset:
                steps = range(1, len(history.train_loss) + 1)
                # a line through one point would not be seen
                mark = "o" if len(steps) == 1 else ""
                style = {"marker": mark, "linewidth": 0.8, **styles[history.model]}
                axes.plot(steps, history.train_loss, **style)
        unit = _unit(history for history in drawn if history.dataset == dataset)
        describe(axes, title=dataset, x="training step", y=f"training loss{unit}")
    return figure


def epoch_metrics_figure(histories: Sequence[History]) -> Figure:
    """Loss and accuracy of every epoch, two panels for each data set.

    Runs with held-out data are judged on it, so they have a row of panels of their own.
    """
    drawn = [history for history in histories if history.epochs.size]
    kinds = list(dict.fromkeys((history.dataset, history.judged_on) for history in drawn))
    figure, styles = _figure(drawn, rows=len(kinds), columns=2)
    for row, (dataset, split) in enumerate(kinds):
        loss = figure.add_subplot(len(kinds), 2, 2 * row + 1)
        accuracy = figure.add_subplot(len(kinds), 2, 2 * row + 2)
        for history in drawn:
            if (history.dataset, history.judged_on) == (dataset, split):
                style = {"marker": "o", "markersize": 3, **styles[history.model]}
                loss.plot(history.epochs, history.loss, **style)
                accuracy.plot(history.epochs, history.accuracy, **style)
        unit = _unit(h for h in drawn if (h.dataset, h.judged_on) == (dataset, split))
        describe(loss, title=dataset, x="epoch", y=f"{split} loss{unit}")
        describe(accuracy, title=dataset, x="epoch", y=f"{split} accuracy (fraction)")
    return figure


def _unit(histories: Iterable[History]) -> str:
    """Behind the name of a loss: its unit, if all have one."""
    units = {history.loss_unit for history in histories}
    return f" ({units.pop()})" if len(units) == 1 and units != {""} else ""


def _figure(
    drawn: Sequence[History], *, rows: int, columns: int
) -> tuple[Figure, dict[str, Style]]:
    """An empty figure with its legend on the right, and the style of each model."""
    models = list(dict.fromkeys(history.model for history in drawn))
    styles = {
        model: Style(
            color=COLOURS[i % len(COLOURS)],
            linestyle=DASHES[i // len(COLOURS) % len(DASHES)],
        )
        for i, model in enumerate(models)
    }
    texts = [_entry(model, drawn) for model in models]
    blocks = math.ceil(len(models) / LEGEND_COLUMN)
    legend_width = blocks * (0.7 + LETTER * max(map(len, texts)))
    height = max(rows * PANEL[1], 0.5 + 0.2 * math.ceil(len(models) / blocks))
    figure = Figure((columns * PANEL[0] + legend_width, height), DPI, layout="constrained")
    handles = [Line2D([], [], **styles[model]) for model in models]
    figure.legend(handles, texts, loc="outside right upper", ncols=blocks, fontsize="small")
    return figure, styles


def _entry(model: str, drawn: Sequence[History]) -> str:
    """A model's line in the legend, with the number of its curves in a panel if several."""
    panels = Counter((h.dataset, h.judged_on) for h in drawn if h.model == model)
    curves = max(panels.values())
    return plain(f"{model} ({curves} runs)" if curves > 1 else model)


def plain(text: str) -> str:
    """Text that matplotlib draws as it is: "$" starts a formula, "_" hides an entry."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def describe(axes: Axes, *, title: str, x: str, y: str) -> None:
    axes.set_title(plain(title), fontsize="medium")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
