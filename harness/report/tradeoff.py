"""Accuracy against step time, with the lines that no other one beats in both."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from harness.report.axes import spread_x
from harness.report.lines import Line
from harness.report.look import CONTEXT, INK, Panel, look
from harness.report.plots import plain

ON_STEP_TIME = "S"  # the letter of this front in the lines' `pareto`
LETTER = 5.2  # CSS pixels of a letter of a label, a little more than most have
HEIGHT = 12.0
# where a label may stand, seen from its point: across, up, and the side that touches it
PLACES = ((8, 0, "left"), (-8, 0, "right"), (0, 12, "center"), (0, -12, "center"),
          (8, 12, "left"), (8, -12, "left"), (-8, 12, "right"), (-8, -12, "right"))  # fmt: skip
Box = tuple[float, float, float, float]


def tradeoff_panel(lines: Sequence[Line]) -> Panel | None:
    """The panel of one data set; None where fewer than two lines have both numbers."""
    drawn = [one for one in lines if {"accuracy", "step_ms_p50"} <= set(one.values)]
    if len(drawn) < 2:
        return None
    front = [one for one in drawn if ON_STEP_TIME in one.values.get("pareto", "")]
    front.sort(key=lambda one: one.values["step_ms_p50"])
    told = "; ".join(
        f"{one.model} {one.values['accuracy']:.3f} at {one.values['step_ms_p50']:.3g} ms"
        for one in drawn
    )
    names = ", ".join(one.model for one in front)
    on = f"On the Pareto front: {names}." if front else f"No front: {why_not_judged(lines)}."
    return Panel(
        title="Accuracy against step time",
        description=f"{on} All lines: {told}.",
        draw=lambda axes: _draw(axes, drawn, front), width=540, height=360,
    )  # fmt: skip


def is_judged(lines: Sequence[Line]) -> bool:
    """Whether there is a front by step time; there is none of times that do not compare."""
    return any(ON_STEP_TIME in one.values.get("pareto", "") for one in lines)


def why_not_judged(lines: Sequence[Line]) -> str:
    """In a few words, why there is no front; "" where there is one."""
    if is_judged(lines):
        return ""
    notes = dict.fromkeys(one.values.get("pareto_note", "") for one in lines)
    told = ", ".join(filter(None, notes))
    return (
        f"step times cannot be compared ({told})" if told else "step times cannot be compared"
    )


def _draw(axes: Axes, drawn: Sequence[Line], front: Sequence[Line]) -> None:
    how = (
        "ms, logarithmic" if spread_x(axes, [o.values["step_ms_p50"] for o in drawn]) else "ms"
    )
    axes.set_xlabel(f"step time, median ({how})")
    axes.set_ylabel("accuracy")
    if len(front) > 1:
        x, y = ([one.values[name] for one in front] for name in ("step_ms_p50", "accuracy"))
        axes.step(x, y, where="post", color=CONTEXT, linewidth=1.4, zorder=1.5)
    for one in drawn:
        _point(axes, one, filled=one in front)
    axes.margins(x=0.12, y=0.1)
    _label(axes, drawn, front)


def _point(axes: Axes, line: Line, *, filled: bool) -> None:
    how = look(line.place)
    low, accuracy, high = _span(line)
    axes.errorbar(
        [line.values["step_ms_p50"]], [accuracy], yerr=[[accuracy - low], [high - accuracy]],
        color=how.colour, marker=how.marker, markersize=7, linewidth=1.0,
        markerfacecolor=how.colour if filled else "none", markeredgewidth=1.4,
    )  # fmt: skip


def _span(line: Line) -> tuple[float, float, float]:
    """The lower end of the interval, the mean, and the upper end."""
    accuracy = line.values["accuracy"]
    low, high = (line.values.get(f"accuracy_{end}", accuracy) for end in ("low", "high"))
    return min(low, accuracy), accuracy, max(high, accuracy)


def _label(axes: Axes, drawn: Sequence[Line], front: Sequence[Line]) -> None:
    """Names beside their points, each at the place where it covers least."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # only then it is known where points are
    scale = 72.0 / figure.dpi
    spans = [_span(one) for one in drawn]  # low, mean and high
    at = [
        [axes.transData.transform((one.values["step_ms_p50"], y)) * scale for y in span]
        for one, span in zip(drawn, spans, strict=True)
    ]
    points = [middle for _, middle, _ in at]
    area = axes.bbox
    edges = (area.x0 * scale, area.y0 * scale, area.x1 * scale, area.y1 * scale)
    taken: list[Box] = [(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    steps = [middle for one in front for each, (_, middle, _) in zip(drawn, at, strict=True)
             if each is one]  # fmt: skip
    taken += [
        (x, y - 1, end, y + 1) for (x, y), (end, _) in zip(steps, steps[1:], strict=False)
    ]
    taken += [(low[0] - 2, low[1], low[0] + 2, high[1]) for low, _, high in at]
    for one, (x, y) in zip(drawn, points, strict=True):
        boxes = [(place, _box(x, y, place, len(one.model))) for place in PLACES]
        free = [found for found in boxes if _inside(found[1], edges)] or boxes
        place, box = min(free, key=lambda found: sum(_cover(found[1], t) for t in taken))
        taken.append(box)
        axes.annotate(
            plain(one.model), (one.values["step_ms_p50"], one.values["accuracy"]),
            xytext=place[:2], textcoords="offset points", color=INK, fontsize=9,
            ha=place[2], va="center",
        )  # fmt: skip


def _box(x: float, y: float, place: tuple[int, int, str], letters: int) -> Box:
    width = LETTER * letters
    left = {"left": 0.0, "right": -width, "center": -width / 2}[place[2]] + x + place[0]
    middle = y + place[1]
    return left, middle - HEIGHT / 2, left + width, middle + HEIGHT / 2


def _inside(box: Box, edges: Box) -> bool:
    return (
        box[0] >= edges[0] and box[1] >= edges[1] and box[2] <= edges[2] and box[3] <= edges[3]
    )


def _cover(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    along = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, along)
