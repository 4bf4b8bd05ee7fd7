"""Learning curves: for each line the mean over its seeds, in a band from least to most.

With few lines they share a panel. With more, each has a panel of its own, in which the others
stand in grey behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from harness.report.history import History
from harness.report.lines import Line
from harness.report.look import CONTEXT, Panel, look, style
from harness.report.panels import panels_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Band:
    """One measure of one line over the epochs.

    Attributes:
      epochs: int [e], those that every seed has.
      mean, low, high: float [e], over the seeds.
    """

    line: Line
    seeds: int
    epochs: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def curve_panels(lines: Sequence[Line], histories: Mapping[str, History]) -> list[Panel]:
    """The panels of one data set: accuracy, if there is one, and loss.

    Args:
      lines: of one data set.
      histories: by run_id; a run without one is left out.
    """
    found = []
    for split in ("validation", "test"):
        for measure in ("accuracy", "loss"):
            bands = [_band(line, histories, split, measure) for line in lines]
            found += _panels([b for b in bands if b is not None], f"{split} {measure}")
    return found


def _band(
    line: Line, histories: Mapping[str, History], split: str, measure: str
) -> Band | None:
    runs = [histories[row["run_id"]] for row in line.ok if row["run_id"] in histories]
    runs = [run for run in runs if run.judged_on == split and run.epochs.size]
    curves = [
        dict(
            zip(
                run.epochs.tolist(),
                (run.accuracy if measure == "accuracy" else run.loss).tolist(),
                strict=True,
            )
        )
        for run in runs
    ]
    if not curves:
        return None
    shared = sorted(set.intersection(*(set(curve) for curve in curves)))
    values = np.array([[curve[epoch] for epoch in shared] for curve in curves])  # [s, e]
    if not shared or not np.isfinite(values).any():
        return None
    return Band(
        line=line, seeds=len(curves), epochs=np.array(shared), mean=values.mean(axis=0),
        low=values.min(axis=0), high=values.max(axis=0),
    )  # fmt: skip


def _panels(bands: Sequence[Band], measure: str) -> list[Panel]:
    return panels_of(
        bands, title=measure, entry=lambda band: (band.line.model, look(band.line.place)),
        draw=lambda axes, some: _overlay(axes, some, measure), behind=_behind,
        describe=lambda some: _described(some, measure),
    )  # fmt: skip


def _behind(axes: Axes, band: Band) -> None:
    axes.plot(band.epochs, band.mean, color=CONTEXT, linewidth=0.7)


def _overlay(axes: Axes, bands: Sequence[Band], measure: str) -> None:
    for band in bands:
        how = look(band.line.place)
        axes.fill_between(
            band.epochs, band.low, band.high, color=how.colour, alpha=0.16, linewidth=0
        )
        axes.plot(band.epochs, band.mean, **style(how))
    axes.set_xlabel("epoch")
    axes.set_ylabel(measure)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))


def _described(bands: Sequence[Band], measure: str) -> str:
    """The ends of each curve in words."""
    told = [
        f"{b.line.model} from {b.mean[0]:.3f} to {b.mean[-1]:.3f} "
        f"({b.low[-1]:.3f} to {b.high[-1]:.3f} over {b.seeds} seeds)"
        if b.seeds > 1
        else f"{b.line.model} from {b.mean[0]:.3f} to {b.mean[-1]:.3f} (one seed)"
        for b in bands
    ]
    first, last = min(b.epochs[0] for b in bands), max(b.epochs[-1] for b in bands)
    return f"{measure.capitalize()} from epoch {first} to {last}: {'; '.join(told)}."
