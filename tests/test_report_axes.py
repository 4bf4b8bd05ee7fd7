"""Which axes are logarithmic, and where they have numbers."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from harness.report.axes import spread_x


def ticks(numbers: list[float]) -> tuple[bool, list[str]]:
    """Whether the axis is logarithmic, and what stands at the ticks that can be seen."""
    figure = Figure()
    axes = figure.add_subplot()
    axes.plot(numbers, numbers)
    is_logarithmic = spread_x(axes, numbers)
    figure.draw_without_rendering()
    low, high = axes.get_xlim()
    assert axes.get_xscale() == ("log" if is_logarithmic else "linear")
    return is_logarithmic, [
        label.get_text()
        for place, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
        if low <= place <= high
    ]


@pytest.mark.parametrize("numbers", [[2.2, 2.6], [0.0, 5.0], [-1.0, 100.0], [3.0]])
def test_numbers_that_lie_near_or_below_zero_are_on_a_linear_axis(numbers: list[float]):
    is_logarithmic, told = ticks(numbers)
    assert not is_logarithmic and len(told) > 1


def test_a_range_of_a_decade_or_two_has_numbers_within_it():
    assert ticks([0.9, 60.0]) == (True, ["1", "2", "5", "10", "20", "50"])


def test_a_wide_range_has_a_number_a_decade():
    assert ticks([0.8e-5, 1.2]) == (True, ["1e-05", "0.0001", "0.001", "0.01", "0.1", "1"])


def test_a_small_panel_has_fewer_numbers():
    def told(low: float, high: float) -> list[str]:
        figure = Figure((3, 2))
        axes = figure.add_subplot()
        axes.plot([low, high], [0, 1])
        assert spread_x(axes, [low, high], is_small=True)
        figure.draw_without_rendering()
        first, last = axes.get_xlim()
        at = zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
        return [label.get_text() for place, label in at if first <= place <= last]

    assert told(1.2e-4, 8e-3) == ["0.0001", "0.0003", "0.001", "0.003"]
    assert told(0.9e-4, 0.11) == ["0.0001", "0.001", "0.01", "0.1"]
