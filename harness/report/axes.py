"""Axes of numbers that lie far apart."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator

FAR = 12  # largest over smallest number from which on an axis is logarithmic
# from which on a tick a decade is enough, and the ticks within a decade otherwise
WIDE = (1_000, (1.0, 2.0, 5.0))
NARROW = (200, (1.0, 3.0))  # of a small panel, in which fewer numbers have room


def spread_x(axes: Axes, numbers: Sequence[float], *, is_small: bool = False) -> bool:
    """Makes the x axis logarithmic where that shows more, with numbers at its ticks.

    A range of a decade or two has ticks within a decade too: powers of ten alone would leave
    one number, or none.

    Args:
      is_small: the panel has room for a few numbers only.

    Returns:
      Whether it is logarithmic now.
    """
    low, high = min(numbers), max(numbers)
    if low <= 0 or high < FAR * low:
        return False
    axes.set_xscale("log")
    wide, several = NARROW if is_small else WIDE
    within = (1.0,) if high >= wide * low else several
    axes.xaxis.set_major_locator(LogLocator(10, subs=within))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter("")
    return True
