"""The intervals of a table, drawn on a scale that the lines of a data set share.

Everything is in the units of a drawing that is `WIDTH` wide; the page's template draws it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.lines import Line

WIDTH = 160.0
EDGE = 8.0  # free on both sides, so that a mark at the end is whole
# lines that are so far behind that they would take this much of the scale for themselves are
# drawn as arrows at its lower end, if they are few
STRETCH = 2.5
FEW = 0.25


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The common scale of a data set's lines.

    Attributes:
      best: accuracy of the best line, where the reference stands.
      ticks: values to write below it.
    """

    low: float
    high: float
    best: float
    ticks: tuple[float, ...]

    def x(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(EDGE + (WIDTH - 2 * EDGE) * min(1.0, max(0.0, share)), 2)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One line's drawing.

    Attributes:
      low, high: ends of the interval; None where it is not known.
      seeds: a small mark for the accuracy of each run.
      is_below: the line is below the scale and drawn as an arrow.
    """

    at: float
    low: float | None
    high: float | None
    seeds: tuple[float, ...]
    best: float
    is_below: bool


def scale(lines: Sequence[Line]) -> Scale | None:
    """The scale of one data set's lines; None if none has an accuracy."""
    ends = sorted(
        (one.values.get("accuracy_low", a), a, one.values.get("accuracy_high", a))
        for one in lines
        if (a := one.values.get("accuracy")) is not None
    )
    if not ends:
        return None
    best = max(accuracy for _, accuracy, _ in ends)
    high = max(end for *_, end in ends)
    shown = ends
    for cut in range(1, math.floor(FEW * len(ends)) + 1):
        rest = ends[cut:]
        if high - ends[0][0] > STRETCH * max(high - rest[0][0], 1e-9):
            shown = rest
            break
    low = shown[0][0]
    span = max(high - low, 1e-3)
    low, high = max(0.0, low - 0.04 * span), min(1.0, high + 0.04 * span)
    return Scale(low=low, high=high, best=best, ticks=ticks(low, high))


def ticks(low: float, high: float) -> tuple[float, ...]:
    """Two to four round values between two ends.

    >>> ticks(0.1, 0.93)
    (0.25, 0.5, 0.75)
    """
    rough = (high - low) / 3
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((s * power for s in (1, 2, 2.5, 5, 10)), key=lambda s: abs(s - rough))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(round(step * number, 10) for number in range(first, last + 1))


def bar(line: Line, on: Scale) -> Bar | None:
    """The drawing of a line; None if it has no accuracy."""
    accuracy = line.values.get("accuracy")
    if accuracy is None:
        return None
    low, high = line.values.get("accuracy_low"), line.values.get("accuracy_high")
    return Bar(
        at=on.x(accuracy),
        low=None if low is None else on.x(low),
        high=None if high is None else on.x(high),
        seeds=tuple(on.x(a) for a in line.seeds("test_accuracy") if a >= on.low),
        best=on.x(on.best),
        is_below=accuracy < on.low,
    )
