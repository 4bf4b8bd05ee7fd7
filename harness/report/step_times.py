"""How long steps took: the distribution behind the two quantiles of the table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from harness.report.axes import spread_x
from harness.report.lines import Line
from harness.report.look import Panel, look
from harness.report.plots import plain
from harness.store import Store

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95)
SETTLED = 1.2  # as in harness.timing, which the store's readers do not load
ROW = 22  # CSS pixels of a line, and of one whose name is broken
BROKEN = 14  # more for each further part
LETTERS = 44  # of a name, in one part
LONGEST = 110  # letters of a name; a longer one is cut in its middle
LETTER = 5.8  # CSS pixels of a letter of a name, as most have
PLOT = 330  # CSS pixels beside the names, as far as they are that wide


@dataclass(frozen=True, kw_only=True, eq=False)
class StepTimes:
    """The steady steps of a line's runs together.

    Attributes:
      quantiles: float [q] in milliseconds, those of `QUANTILES`.
      steps: how many.
    """

    line: Line
    quantiles: np.ndarray
    steps: int


def read_step_times(store: Store, lines: Sequence[Line]) -> list[StepTimes]:
    """The step times of the lines that have any."""
    found = []
    for line in lines:
        runs = [_steady(store, row["run_id"]) for row in line.ok]
        ms = np.concatenate([np.empty(0), *(run for run in runs if run is not None)])
        if ms.size:
            quantiles = np.quantile(ms, QUANTILES)
            found.append(StepTimes(line=line, quantiles=quantiles, steps=ms.size))
    return found


def _steady(store: Store, run_id: str) -> np.ndarray | None:
    steps, seconds = (store.array(run_id, name) for name in ("block_steps", "block_s"))
    if steps is None or seconds is None or not len(steps):
        return None
    first = warm_up(steps, seconds)
    return np.repeat(1e3 * seconds[first:] / steps[first:], steps[first:])


def warm_up(steps: np.ndarray, seconds: np.ndarray) -> int:
    """How many leading blocks are warm-up, by the rule of the column `step_ms_p50`.

    Args:
      steps: int [blocks], steps of each block.
      seconds: float [blocks].
    """
    if len(steps) < 2:
        return 0
    each = seconds / steps
    level = float(np.median(each[len(each) // 2 :]))
    first = 1
    while first < len(each) // 2 and each[first] > SETTLED * level:
        first += 1
    return first


def step_times_panel(found: Sequence[StepTimes]) -> Panel | None:
    """The panel of one data set: a row a line, the first on top."""
    if not found:
        return None
    names = [_broken(one.line.model) for one in found]
    told = "; ".join(
        f"{one.line.model}: median {one.quantiles[2]:.3g} ms, half of the steps from "
        f"{one.quantiles[1]:.3g} to {one.quantiles[3]:.3g} ms"
        for one in found
    )
    return Panel(
        title="Step times", description=f"{told}.", draw=lambda axes: _draw(axes, found, names),
        width=_width(names), height=70 + _row(names) * len(found),
    )  # fmt: skip


def _broken(name: str) -> str:
    """A name in parts that leave room for the drawing, broken behind the marks within it."""
    if len(name) > LONGEST:
        name = f"{name[: LONGEST // 2]}…{name[-LONGEST // 2 :]}"
    parts = [""]
    for word in re.split(r"(?<=[ ,:_\[])", name):
        for piece in (word[at : at + LETTERS] for at in range(0, len(word), LETTERS)):
            if len(parts[-1]) + len(piece) > LETTERS:
                parts.append("")
            parts[-1] += piece
    return "\n".join(part.rstrip() for part in parts)


def _width(names: Sequence[str]) -> int:
    longest = max(len(part) for name in names for part in name.split("\n"))
    return max(520, round(PLOT + LETTER * longest))


def _row(names: Sequence[str]) -> int:
    return ROW + BROKEN * max(name.count("\n") for name in names)


def _draw(axes: Axes, found: Sequence[StepTimes], names: Sequence[str]) -> None:
    for row, one in enumerate(found):
        how = look(one.line.place)
        p5, p25, p50, p75, p90, p95 = one.quantiles
        axes.plot([p5, p95], [row, row], color=how.colour, linewidth=1.0)
        axes.plot([p25, p75], [row, row], color=how.colour, linewidth=6.0, alpha=0.45,
                  solid_capstyle="butt")  # fmt: skip
        axes.plot([p50], [row], color=how.colour, marker=how.marker, markersize=7)
        axes.plot([p90], [row], color=how.colour, marker="|", markersize=10)
    axes.set_yticks(range(len(found)), [plain(name) for name in names])
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    far = spread_x(axes, [value for one in found for value in one.quantiles])
    axes.set_xlabel("step time (ms, logarithmic)" if far else "step time (ms)")
