"""Looks differ, and figures inside of a page obey the page."""

from __future__ import annotations

import re

from matplotlib.axes import Axes

from harness.report.look import INK, LOOKS, Panel, alone, inline, look, picture, style, together

NASTY = 'a<b>&"$_{}--> \U0001f916'


def draw(axes: Axes) -> None:
    axes.plot([1, 2], [0.5, 1.0], **style(look(1)))
    axes.set_xlabel(NASTY.replace("$", r"\$"))


PANEL = Panel(title=NASTY, description=NASTY, draw=draw, legend=((NASTY, look(1)),))


def svg(key: str = "k") -> str:
    return inline(alone(PANEL), key=key, title=NASTY, description=NASTY)


def test_twenty_four_lines_look_different_and_neighbours_differ_in_more_than_colour():
    looks = [look(place) for place in range(24)]
    assert len(set(looks)) == 24
    for one, other in zip(looks, looks[1:], strict=False):
        assert one.colour != other.colour and one.marker != other.marker


def test_an_inline_figure_takes_its_colours_and_its_font_from_the_page():
    text = svg()
    assert INK not in text and "currentColor" in text
    assert not [colour for colour in LOOKS if colour.lower() in text.lower()]
    assert "var(--c1)" in text and "var(--sans)" in text and "DejaVu" not in text


def test_an_inline_figure_says_what_it_is_and_texts_stay_texts():
    text = svg()
    assert text.startswith("<svg viewBox=")
    assert 'role="img" aria-labelledby="k-title k-desc"' in text
    assert '<title id="k-title">a&lt;b&gt;&amp;' in text
    assert "<b>" not in text and "<style" not in text and "<metadata" not in text


def test_ids_begin_with_the_figures_key_and_all_that_are_used_exist():
    text = svg("one")
    ids = re.findall(r'\bid="([^"]+)"', text)
    used = re.findall(r'(?:url\(#|href="#)([^)"]+)', text)
    assert used and set(used) <= set(ids) and len(ids) == len(set(ids))
    assert all(name.startswith("one-") for name in ids)


def test_the_same_figure_gives_the_same_bytes_in_each_format():
    assert svg() == svg()
    for format in ("png", "svg"):
        first, second = (picture(together([PANEL]), format) for _ in range(2))
        assert first == second
    assert b"<dc:date" not in second


def test_several_panels_share_a_figure_with_titles_and_legends():
    figure = together([PANEL, PANEL, PANEL], columns=2)
    assert len(figure.axes) == 3
    legend = figure.axes[0].get_legend()
    assert legend is not None and "a<b>" in legend.get_texts()[0].get_text()
    assert "a<b>" in figure.axes[2].get_title(loc="left")
