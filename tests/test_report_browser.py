"""The report as its reader has it: opened from disk in a real browser.

The browser is Chromium, of a Debian package or of whatever `HARNESS_CHROMIUM` names.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from stored import failed_row, make_answered, make_row

import harness
from harness.report import Asked, Data, save_report
from harness.rows import Result
from harness.store import open_store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("HARNESS_CHROMIUM") or shutil.which("chromium")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: apt-get install chromium, or set HARNESS_CHROMIUM"
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """A report of small runs on two data sets, and of one that failed."""
    folder = tmp_path_factory.mktemp("report")
    url = f"sqlite:///{folder}/rows.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE_DIR", str(shared_cache))
        patch.setenv("HARNESS_PLUGINS", "")
        small: dict[str, Any] = {"epochs": 2, "store": url, "in_process": True, "limit": 400}
        models = ["majority", "mean_pool", "mean_pool:linear"]
        harness.run("digits", models, seeds=2, batch_size=32, learning_rate=1e-2, **small)
        harness.run("diabetes", "majority", **small)
        from harness.cli.report import _loader

        with open_store(url) as store:
            given = {"limit": 400, "epochs": 2, "batch_size": 32, "learning_rate": 1e-2}
            store.add(Result(row=failed_row("rnn", error_message="<b>no</b> way", **given)))
            asked = Asked(rows=store.rows(), load=_loader(()))
            save_report(store, asked, folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    # as root Chromium refuses to start with its sandbox
    words = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        with playwright.chromium.launch(executable_path=CHROMIUM, args=words) as opened:
            yield opened


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    """The report, opened; whatever it asks for or complains of fails the test."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(10_000)
    said: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(report.as_uri())
    yield opened
    opened.close()
    assert said == []
    assert asked == [report.as_uri()]


def models(page: Page, *, dataset: str = "d0") -> list[str]:
    """The models of a data set's lines, as they stand and as far as they are shown."""
    lines = page.locator(f"#{dataset} tr.line:visible th")
    return [text.strip() for text in lines.all_inner_texts()]


def numbers(page: Page, column: str) -> list[float]:
    cells = page.locator(f"#d0 tr.line td.{column}[data-sort]").all()
    return [float(cell.get_attribute("data-sort") or "nan") for cell in cells]


def test_headings_sort_both_ways_and_what_is_missing_stays_last(page: Page):
    heading = page.locator("#ablation th.param_count")
    assert heading.get_attribute("aria-sort") == "none"
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    rising = numbers(page, "param_count")
    assert rising == sorted(rising) and len(set(rising)) == 3 and models(page)[-1] == "rnn"
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert numbers(page, "param_count") == rising[::-1] and models(page)[-1] == "rnn"
    # the better values come first, whichever these are
    page.locator("#ablation th.accuracy").get_by_role("button").click()
    falling = numbers(page, "accuracy")
    assert falling == sorted(falling, reverse=True)
    assert heading.get_attribute("aria-sort") == "none"


def test_the_keyboard_sorts_too(page: Page):
    button = page.locator("#ablation th.model").get_by_role("button")
    button.focus()
    page.keyboard.press("Enter")
    assert models(page) == ["majority", "mean_pool", "mean_pool:linear", "rnn"]
    page.keyboard.press("Space")
    assert models(page) == ["rnn", "mean_pool:linear", "mean_pool", "majority"]
    outline = button.evaluate("node => getComputedStyle(node).outlineStyle")
    assert outline == "solid"


def test_lines_are_filtered_by_words_and_by_data_set(page: Page):
    assert page.locator("#shown").inner_text() == "5 of 5 lines"
    page.locator("#filter").fill("POOL linear")
    assert models(page) == ["mean_pool:linear"] and models(page, dataset="d1") == []
    assert page.locator("#shown").inner_text() == "1 of 5 lines"
    page.locator("#filter").fill("")
    page.locator("#dataset").select_option(label="diabetes")
    assert models(page) == [] and models(page, dataset="d1") == ["majority"]
    assert page.locator("#d0").is_hidden()


def test_two_models_are_chosen_and_only_what_divides_them_is_shown(page: Page):
    part = page.locator(".disagreement")
    first, second = (part.locator(f"[data-which={which}]") for which in ("first", "second"))
    seen = set()
    for one, other in (("mean_pool", "majority"), ("mean_pool:linear", "mean_pool")):
        first.select_option(label=one)
        second.select_option(label=other)
        examples = part.locator(".example:visible").all()
        assert examples
        for example in examples:
            said = example.locator("li:visible")
            assert sorted(said.locator(".who").all_inner_texts()) == sorted([one, other])
            assert len(set(said.locator("b").all_inner_texts())) == 2
        counts = part.locator(".split b").all_inner_texts()
        assert sum(int(count.replace(",", "")) for count in counts) == 360
        assert one in part.locator(".split").inner_text()
        seen.add(tuple(counts))
    assert len(seen) == 2
    second.select_option(label="mean_pool:linear")
    assert part.locator(".example:visible").count() == 0
    assert part.locator(".nothing").is_visible()


def test_without_script_everything_is_there(browser: Browser, report: Path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert models(page) == ["majority", "mean_pool", "mean_pool:linear", "rnn"]
    assert page.locator(".example").first.is_visible()
    assert page.locator("#controls").is_hidden()
    assert page.locator("#ablation button").count() == 0
    context.close()


def test_dark_mode_changes_page_and_figures(page: Page):
    def colours() -> list[str]:
        return page.evaluate(
            "() => [getComputedStyle(document.body).backgroundColor,"
            " getComputedStyle(document.querySelector('.figures svg text')).fill,"
            " getComputedStyle(document.querySelector('.swatch path')).stroke]"
        )

    light = colours()
    page.emulate_media(color_scheme="dark")
    dark = colours()
    assert all(one != other for one, other in zip(light, dark, strict=True))


RATIO = """
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if (colour.startsWith("rgb(")) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const ratio = (one, other) => {
    const [a, b] = [one, other].map((colour) => light(rgb(colour)));
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
"""
CONTRAST = """
  const found = [];
  const all = "p, li, td, th, small, dt, dd, h1, h2, h3, h4, a, label, summary, b, button, pre,"
    + "code, span, abbr, output, input, select, figcaption, svg text";
  for (const node of document.querySelectorAll(all)) {
    const box = node.getBoundingClientRect();
    const told = node.textContent.trim() || node.value;
    if (!told || !box.width || node.closest(".confusion, .unseen")) continue;
    const style = getComputedStyle(node);
    const seen = ratio(node.matches("svg text") ? style.fill : style.color, ground(node));
    if (seen < 4.5) found.push(`${node.tagName} ${told.slice(0, 20)} ${seen.toFixed(2)}`);
  }
  return found;
"""
# what is no text and has to be seen all the same: the edges of fields, the arrows of headings
CONTROLS = """
  const edges = [...document.querySelectorAll("input, select, .more > button")]
    .map((node) => ratio(getComputedStyle(node).borderTopColor, ground(node)));
  const arrows = [...document.querySelectorAll("th button")]
    .map((node) => ratio(getComputedStyle(node, "::after").color, ground(node)));
  return [edges.length, arrows.length, Math.min(...edges, ...arrows)];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(page: Page, scheme: Any):
    page.emulate_media(color_scheme=scheme)
    assert page.evaluate(f"() => {{{RATIO}{CONTRAST}}}") == []
    edges, arrows, least = page.evaluate(f"() => {{{RATIO}{CONTROLS}}}")
    assert edges > 3 and arrows > 3 and least >= 3


def test_a_phone_scrolls_tables_and_not_the_page(page: Page):
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    table = page.locator(".scroll", has=page.locator("#ablation"))
    table.evaluate("node => { node.scrollLeft = 400; }")
    assert table.evaluate("node => node.scrollLeft") > 0
    name = page.locator("#d0 tr.line th").first
    box = name.bounding_box()
    assert box is not None and box["x"] >= 0  # the first column stays


def test_it_prints(page: Page, tmp_path: Path):
    content = page.pdf(prefer_css_page_size=True)
    assert content.startswith(b"%PDF") and len(content) > 20_000
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden() and page.locator("#ablation").is_visible()


def test_paper_is_light_and_what_was_folded_away_is_on_it(page: Page):
    ground = "() => getComputedStyle(document.body).backgroundColor"
    closed = "() => document.querySelectorAll('details:not([open])').length"
    folded = """() => [...document.querySelectorAll("details:not([open]) > :not(summary)")]
      .filter((node) => !node.checkVisibility()).length"""
    light, shut = page.evaluate(ground), page.evaluate(closed)
    assert shut > 0 and page.evaluate(folded) >= shut
    page.emulate_media(color_scheme="dark", media="print")
    assert page.evaluate(ground) == light
    assert page.evaluate(folded) == 0  # without the script as well
    page.emulate_media(color_scheme="light", media="screen")
    shown = page.locator("#examples .example:visible")
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(closed) == 0 and shown.count() > 8
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(closed) == shut and shown.count() == 8


STRUCTURE = """() => ({
  levels: [...document.querySelectorAll("h1, h2, h3, h4")].map((h) => Number(h.tagName[1])),
  unnamed: [...document.querySelectorAll("button, select, input, summary")]
    .filter((node) => !(node.labels?.length || node.textContent.trim()
      || node.getAttribute("aria-label"))).map((node) => node.outerHTML),
  doubled: [...document.querySelectorAll("[id]")].map((node) => node.id)
    .filter((id, place, all) => all.indexOf(id) !== place),
  lang: document.documentElement.lang,
  landmarks: ["header", "nav", "main"].map((name) => document.querySelectorAll(name).length),
  unreachable: [...document.querySelectorAll(".scroll")]
    .filter((node) => node.tabIndex !== 0 || !node.getAttribute("aria-label")).length,
})"""


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a single data set, as most are."""
    folder = tmp_path_factory.mktemp("usual")
    with open_store(f"sqlite:///{folder}/rows.db") as store:
        for model, said in (("good", [0, 1, 1, 0]), ("bad", [1, 0, 0, 1])):
            store.add(make_answered(make_row(model), label=[0, 1, 1, 0], predicted=said))
        data = Data(("cat", "dog"), lambda some: {index: f"text {index}" for index in some})
        asked = Asked(rows=store.rows(), load=lambda row: data)
        save_report(store, asked, folder / "report.html")
    return folder / "report.html"


@pytest.mark.parametrize("which", ["report", "usual"])
def test_its_structure_serves_those_who_do_not_see_it(
    browser: Browser, request: pytest.FixtureRequest, which: str
):
    page = browser.new_page()
    page.goto(request.getfixturevalue(which).as_uri())
    found = page.evaluate(STRUCTURE)
    levels = found.pop("levels")
    assert found == {"unnamed": [], "doubled": [], "lang": "en", "landmarks": [1, 1, 1],
                     "unreachable": 0}  # fmt: skip
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    page.close()


def test_a_button_shows_more_than_the_first_examples(page: Page):
    shown = page.locator("#examples .example:visible")
    button = page.locator("#examples .more button").first
    assert shown.count() == 8
    more = int((button.inner_text()).split()[1])
    button.click()
    assert shown.count() == 8 + more and not button.is_visible()
