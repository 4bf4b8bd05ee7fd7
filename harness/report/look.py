"""How figures look, in a file of their own and inside of a page.

A line of the table keeps one look in every figure: a colour that colour-blind readers can
tell apart, a mark and a pattern of dashes, so that colour is never the only sign. Figures are
drawn with sentinel colours. In a file these are colours like any other; inside of a page each
becomes a CSS variable, so that the page's light and dark modes hold for its figures too.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.report.plots import COLOURS, plain

INK = "#1b1f24"  # text and axes
FAINT = "#d5d9de"  # grids
CONTEXT = "#aab1b9"  # what is drawn behind the line that a panel is about
LOOKS = COLOURS[:6]  # black is text, and yellow hardly seen on white
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("solid", (0, (4, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
# what a reader of one figure can still tell apart; more lines get a panel each
OVERLAID = 6
DPI = 150
INCH = 72.0  # a point is a CSS pixel of the page's figures

RC: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be read, searched and scaled
    "svg.hashsalt": "harness",  # the same figure gives the same bytes
    "font.size": 10.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "legend.handlelength": 2.6,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True)
class Look:
    """The looks of one line of the table.

    Attributes:
      dash: of matplotlib, a name or (offset, lengths).
    """

    colour: str
    marker: str
    dash: str | tuple[float, tuple[float, ...]]


def look(place: int) -> Look:
    """The look of a data set's line at a place; 24 of them differ."""
    colour, turn = place % len(LOOKS), place // len(LOOKS)
    marker = MARKERS[(place + turn) % len(MARKERS)]
    return Look(LOOKS[colour], marker, DASHES[turn % len(DASHES)])


@contextmanager
def drawing() -> Iterator[None]:
    """What is drawn inside looks alike."""
    with matplotlib.rc_context(RC):
        yield


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A figure of one panel, not drawn yet.

    Attributes:
      title: what it is.
      description: what it shows, in words for those who do not see it.
      draw: draws it.
      width, height: in CSS pixels.
      legend: the names and looks of what is told apart by looks alone.
    """

    title: str
    description: str
    draw: Callable[[Axes], None]
    width: int = 480
    height: int = 300
    legend: tuple[tuple[str, Look], ...] = ()


def alone(panel: Panel) -> Figure:
    """A figure without title or legend, which its page has in HTML."""
    with drawing():
        size = (panel.width / INCH, panel.height / INCH)
        figure = Figure(size, DPI, layout="constrained")
        panel.draw(figure.add_subplot())
    return figure


def together(panels: Sequence[Panel], *, columns: int = 2) -> Figure:
    """One figure of all panels with their titles and legends, for a file."""
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    extra = max(0.22 * len(panel.legend) for panel in panels)
    width = max(panel.width for panel in panels) / INCH * columns
    height = (max(panel.height for panel in panels) / INCH + extra) * rows
    with drawing():
        figure = Figure((width, height), DPI, layout="constrained")
        for number, one in enumerate(panels, start=1):
            axes = figure.add_subplot(rows, columns, number)
            one.draw(axes)
            axes.set_title(plain(one.title))
            if one.legend:
                handles = [Line2D([], [], **style(each)) for _, each in one.legend]
                names = [plain(name) for name, _ in one.legend]
                axes.legend(handles, names, loc="upper left", bbox_to_anchor=(0, -0.16))
    return figure


def style(look: Look, **more: Any) -> dict[str, Any]:
    """A look as the keywords of `Axes.plot`."""
    return {"color": look.colour, "marker": look.marker, "linestyle": look.dash, **more}


def picture(figure: Figure, format: str, *, transparent: bool = False) -> bytes:
    """The figure as a file of its own, "png" or "svg"; the same figure gives the same bytes."""
    file = io.BytesIO()
    metadata = {"Software": None} if format == "png" else {"Date": None, "Creator": None}
    with matplotlib.rc_context(RC), warnings.catch_warnings():
        # a letter that matplotlib's font lacks is a box in a PNG, and itself in an SVG
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(file, format=format, metadata=metadata, transparent=transparent)
    return file.getvalue()


def inline(figure: Figure, *, key: str, title: str, description: str) -> str:
    """The figure as an `<svg>` element for a page.

    Args:
      key: letters and digits that no other figure of the page has: its ids begin with it.
      title: what the figure is, for those who do not see it.
      description: what it shows.

    Returns:
      Trusted HTML: the texts are escaped, and matplotlib escapes what it draws.
    """
    text = picture(figure, "svg", transparent=True).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style).*?</\1>", "", text, flags=re.DOTALL)
    used = set(re.findall(r"(?:url\(|href=\")#([^\")]+)", text))
    text = re.sub(
        r' id="([^"]+)"', lambda m: f' id="{key}-{m[1]}"' if m[1] in used else "", text
    )
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{key}-\1)", text)
    text = re.sub(r'(?:xlink:)?href="#([^"]+)"', rf'href="#{key}-\1"', text)
    text = _in_variables(text)
    width, height = re.findall(r'(?:width|height)="([\d.]+)pt"', text[: text.index(">")])
    box = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    head = (
        f'<svg {box} role="img" aria-labelledby="{key}-title {key}-desc">'
        f'<title id="{key}-title">{escape(title)}</title>'
        f'<desc id="{key}-desc">{escape(description)}</desc>'
    )
    return head + re.sub(r"\s*\n\s*", "\n", text[text.index(">") + 1 :])


def _in_variables(text: str) -> str:
    """Sentinel colours as variables of the page, and its font in place of matplotlib's."""
    text = text.replace(INK, "currentColor")
    text = text.replace(FAINT, "var(--faint)").replace(CONTEXT, "var(--context)")
    for number, colour in enumerate(LOOKS):
        text = re.sub(re.escape(colour), f"var(--c{number})", text, flags=re.IGNORECASE)
    return re.sub(
        r"font(-family)?: ([^;\"]*)'DejaVu Sans'[^;\"]*", r"font\1: \2var(--sans)", text
    )
