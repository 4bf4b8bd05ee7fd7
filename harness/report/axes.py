"""Axes of numbers that lie far apart."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator

FAR = 12  # largest over smallest number from which on an axis is logarithmic
WIDE = 1_000  # from which on a tick a decade is enough


def spread_x(axes: Axes, numbers: Sequence[float]) -> bool:
    """Makes the x axis logarithmic where that shows more, with numbers at its ticks.

    A range of a decade or two has ticks at 2 and 5 too: powers of ten alone would leave one
    number, or none.

    Returns:
      Whether it is logarithmic now.
    """
    low, high = min(numbers), max(numbers)
    if low <= 0 or high < FAR * low:
        return False
    axes.set_xscale("log")
    within = (1.0,) if high >= WIDE * low else (1.0, 2.0, 5.0)
    axes.xaxis.set_major_locator(LogLocator(10, subs=within))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter("")
    return True
