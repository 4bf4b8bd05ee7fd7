"""The page: what is in it for each kind of store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from report_pages import Page, answered, decode, html_of, page_of, two_models
from stored import (
    failed_row,
    make_epochs,
    make_result,
    make_row,
    make_trial,
    make_tuned,
)

from harness.errors import UsageError
from harness.report import Asked, Data
from harness.report.document import read_document
from harness.report.lines import Line
from harness.report.page import finding, to_html
from harness.rows import Result, Row
from harness.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/rows.db") as opened:
        yield opened


SECTIONS = ["table", "curves", "tradeoff", "steps", "confusion", "calibration", "examples",
            "runs", "origin"]  # fmt: skip


def test_a_store_of_two_models_has_every_section(store: Store):
    two_models(store)
    page = page_of(store, load=decode)
    links = [a["href"] for tag, a in page.tags if tag == "a"]
    assert links == ["#main", *(f"#{name}" for name in SECTIONS)]
    assert set(SECTIONS) <= set(page.ids) and len(page.ids) == len(set(page.ids))
    assert "text of 1" in page.text and "cat" in page.text
    assert [tag for tag, _ in page.tags].count("h1") == 1
    assert "good has the highest accuracy, 0.9500" in page.text


def test_every_figure_says_what_it_is(store: Store):
    two_models(store)
    figures = [a for tag, a in page_of(store).tags if tag == "svg" and a.get("role") == "img"]
    assert len(figures) >= 6
    assert all(a["aria-labelledby"] for a in figures)


def test_without_examples_nothing_of_the_data_is_there(store: Store):
    two_models(store)
    page = page_of(store)
    assert "text of" not in page.text and "cat" not in page.text
    assert "This report was made without examples." in page.text


def test_without_examples_there_is_nothing_that_may_quote_them(
    store: Store, shared_cache: Path
):
    log = shared_cache / "logs" / "quoting.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("text of 1")
    two_models(store)
    message = "cannot encode 'text of 2'"
    told_of: dict[str, Any] = {
        "error_type": "ValueError",
        "error_message": message,
        "phase": "train",
    }
    store.add(Result(row=failed_row("rnn", run_id="failed1", log_path=str(log), **told_of)))
    left_out = "messages and logs, which may quote data, are left out"
    told = page_of(store).text
    assert "text of" not in told and left_out in told
    assert "failed1" in told and "ValueError (phase: train)" in told
    told = page_of(store, load=decode).text
    assert "'text of 2'" in told and "End of its log text of 1" in told
    assert left_out not in told


def test_data_that_cannot_be_loaded_costs_the_examples_alone(store: Store):
    def gone(row: Row) -> Data:
        raise UsageError("the files have gone")

    two_models(store)
    page = page_of(store, load=gone)
    assert "No examples are shown: the files have gone" in page.text
    assert "confusion" in page.ids


def test_runs_and_trials_are_counted_apart(store: Store):
    for model in ("a", "b"):
        store.add(answered(make_row(model)))
        for n in range(2):
            store.add(Result(row=make_row(model, kind="trial", seed=10_000 + n)))
    told = page_of(store).text
    assert "2 lines, each a model with its hyper-parameters and 1 seed, " in told
    assert "from 2 runs and 4 trials of tuning. All of them ended well." in told


def test_seeds_and_lines_are_counted_where_there_are_any(store: Store):
    store.add(Result(row=make_trial("mlp", 0.5, {"learning_rate": 0.1})))
    only = "No line of the table yet, only 1 trial of tuning. All of them ended well."
    assert only in page_of(store).text
    store.add(Result(row=failed_row("mlp")))
    told = "1 line, a model with its hyper-parameters, from 1 run and 1 trial of tuning."
    assert told in page_of(store).text


def section(text: str, name: str) -> str:
    return text.partition(f'<section id="{name}"')[2].partition("</section>")[0]


def legends(text: str) -> list[list[str]]:
    """The names in each legend."""
    lists = re.findall(r'<ul class="legend">(.*?)</ul>', text, re.DOTALL)
    return [re.findall(r"</svg> ([^<]*)</li>", one) for one in lists]


def test_a_legend_names_what_is_drawn_in_any_panel_of_its_data_set(store: Store):
    for model, split in (("held_out", "val"), ("tested", "test")):
        epochs = make_epochs([0.5, 0.4], [0.5, 0.6], split=split)
        store.add(Result(row=make_row(model), epochs=epochs))
    curves = section(html_of(store), "curves")
    assert legends(curves) == [["held_out", "tested"]]
    assert curves.count("<figcaption>") == 4


def test_few_tuned_models_have_a_legend_and_many_a_panel_each(store: Store):
    for number in range(9):
        data, chosen = ("digits", "imdb")[number < 2], {"learning_rate": 0.1 + number / 100}
        store.add(Result(row=make_tuned(f"m{number}", chosen, dataset=data)))
        store.add(Result(row=make_trial(f"m{number}", 0.5, chosen, dataset=data)))
    tuning = section(html_of(store), "tuning")
    assert re.findall("<h3>(.*?)</h3>", tuning) == ["imdb", "digits"]
    assert legends(tuning) == [["m0", "m1"]]
    titles = re.findall("<figcaption>(.*?)</figcaption>", tuning)
    assert titles == ["Learning rate", *(f"m{n}: learning rate" for n in range(2, 9))]
    assert tuning.count('<div class="figures small">') == 1


def test_a_mean_that_was_compared_with_none_has_a_mark_of_its_own(store: Store):
    store.add(answered(make_row("alone")))
    key = "<b>◇</b> mean of a line that was not compared with the others, with its 95"
    text = html_of(store)
    assert f"In the drawing: {key}" in text
    drawn = re.findall(r'<(\w+)[^>]* class="mean"', section(text, "table"))
    assert drawn == ["path"]
    store.add(answered(make_row("other"), [1]))
    text = html_of(store)
    assert "◇" not in text and "●" in text
    assert set(re.findall(r'<(\w+)[^>]* class="mean"', section(text, "table"))) == {"circle"}


def test_every_mark_that_the_caption_explains_is_in_the_table(store: Store):
    for seed in (0, 1):
        measured = {"seed": seed, "metrics": f'{{"test_macro_f1": 0.{seed + 1}}}'}
        store.add(answered(make_row("mlp", **measured)))
        store.add(answered(make_row("mlp", "worse", **measured), range(15)))
    text = html_of(store)
    table = section(text, "table")
    below = table.partition('<p class="caption">')[2]
    for mark, cell in (("±", "<small>± 0.0707</small>"), ("*", "p &lt; 0.001 *</small>")):
        assert mark in below and cell in table


@pytest.mark.parametrize("data_sets", [1, 2])
def test_no_level_of_headings_is_left_out(store: Store, data_sets: int):
    for data in ("digits", "imdb")[:data_sets]:
        for model, wrong in (("a", []), ("b", [1, 2])):
            store.add(answered(make_row(model, dataset=data), wrong))
    names = Data(("cat", "dog"), lambda some: {index: "text" for index in some})
    tags = [tag for tag, _ in page_of(store, load=lambda row: names).tags]
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert max(levels) == 2 + data_sets
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))


def test_what_was_made_again_is_no_failure_any_more(store: Store):
    store.add(Result(row=failed_row("good", run_key="g", error_message="stopped by hand")))
    store.add(answered(make_row("good", run_key="g")))
    page = page_of(store, load=decode)
    assert "from 1 run. All of them ended well." in page.text
    assert "1 earlier row that was superseded" in page.text
    assert "stopped by hand" not in page.text


def test_a_repeat_that_failed_is_told_and_takes_no_result_away(store: Store):
    store.add(answered(make_row("good", run_key="g", data_fingerprint="f")))
    store.add(Result(row=failed_row("good", run_key="g", error_message="out of memory")))
    document = read_document(store, Asked(rows=store.rows(), load=decode))
    told = Page(to_html(document)).text
    assert (
        "from 1 run. 1 more run is in no line: it is of other code, data or tuning than the "
        "runs of its line, or failed where an earlier one had ended well. 1 ok, 1 failed."
    ) in told
    assert "out of memory" in told
    assert "good on digits, seed 0, in no line" in told
    assert "superseded" not in told
    (line,) = document.lines
    assert (line.values["accuracy"], len(line.rows)) == (1.0, 1)
    assert "status" not in [column.name for column in document.columns]


def test_runs_of_older_code_are_told_and_in_no_line(store: Store):
    for seed in (0, 1, 2):
        store.add(answered(make_row("mlp", seed=seed, run_id=f"old{seed}", jax_version="1")))
    store.add(answered(make_row("mlp", run_id="new0", jax_version="2")))
    store.add(Result(row=make_trial("mlp", 0.5, {"learning_rate": 0.1})))
    document = read_document(store, Asked(rows=store.rows()))
    assert document.in_no_line == {"old1", "old2"}
    html = to_html(document)
    told = Page(html).text
    assert "and 1 seed, from 1 run and 1 trial of tuning. 2 more runs are in no line: " in told
    marked = re.findall(r"<code>(\w+)</code>.*<small>in no line</small>", html)
    assert marked == ["old1", "old2"]


def test_every_version_of_the_data_has_its_confusion_and_what_lacks_one_is_named(store: Store):
    for model, data in (("a", "f1"), ("b", "f1"), ("c", "f2")):
        store.add(answered(make_row(model, data_fingerprint=data)))
    store.add(make_result(make_row("d", data_fingerprint="f1")))
    document = read_document(store, Asked(rows=store.rows()))
    assert [(d.name, [one.answers.line.model for one in d.confusions], d.unanswered)
            for d in document.data_sets] == [
        ("digits (data f1)", ["a", "b"], ["d"]), ("digits (data f2)", ["c"], []),
    ]  # fmt: skip
    assert "without stored answers to the same test set: d." in to_html(document)


def test_only_what_was_tested_is_claimed():
    def line(model: str, accuracy: float, **values: Any) -> Line:
        return Line(number=0, place=0, dataset="digits", model=model, settings="", rows=(),
                    values={"accuracy": accuracy, **values})  # fmt: skip

    best, old = line("a", 0.9, rank=1, vs_best="best"), line("old", 0.6)
    worse, tied = line("b", 0.5, vs_best="worse"), line("c", 0.8, vs_best="tied")
    start = "digits: a has the highest accuracy, 0.9000"
    unknown = "not compared with it (no stored answers or no common seed): old"
    assert (
        finding("digits", [best, worse]) == f"{start}; the other line is significantly worse."
    )
    assert finding("digits", [best, worse, old]) == (
        f"{start}; 1 line is significantly worse; {unknown}."
    )
    assert finding("digits", [best, tied, old]) == (
        f"{start}; not separable from it: c; {unknown}."
    )
    single = line("d", 0.7, vs_best="worse", vs_best_over="examples")
    only = "tested on one common seed, so of these trained models only: d"
    assert finding("digits", [best, single]) == (
        f"{start}; the other line is significantly worse; {only}."
    )
    better = line("e", 0.8, rank=1, vs_best="better on common seeds")
    assert finding("digits", [best, better, worse]) == (
        f"{start}; on common seeds significantly better than it: e; "
        "1 line is significantly worse."
    )
    assert finding("digits", [line("a", 0.9)]) == f"{start}."
    assert finding("digits", []) == ""


def test_the_first_examples_are_open_and_the_others_folded_away(store: Store):
    for model, wrong in (("good", []), ("bad", range(12))):
        store.add(answered(make_row(model), list(wrong)))
    text = html_of(store, load=decode)
    first, rest = text.split('<details class="more"><summary>Show 4 more</summary>')
    assert (first.count('class="example"'), rest.count('class="example"')) == (8, 4)


def test_an_ablation_is_called_one(store: Store):
    store.add(answered(make_row("mlp")))
    assert '<h2 id="table-h">Comparison</h2>' in html_of(store)
    store.add(answered(make_row("mlp", "wide")))
    assert '<h2 id="table-h">Ablation table</h2>' in html_of(store)


def regression(store: Store) -> None:
    row = make_row("ridge", accuracy=None, test_loss=0.25, task="regression")
    store.add(Result(row=row, epochs=({"epoch": 1, "test_loss": 0.5},)))


def failed_only(store: Store) -> None:
    store.add(Result(row=failed_row("rnn", error_type="ValueError", error_message="no way")))


def one_run(store: Store) -> None:
    store.add(answered(make_row("alone")))


def many_data_sets(store: Store) -> None:
    for number in range(4):
        store.add(make_result(make_row("mlp", dataset=f"set{number}", limit=10 + number)))


@pytest.mark.parametrize(
    ("fill", "said", "sections"),
    [
        (lambda store: None, "This store holds no runs.", ["table", "runs", "origin"]),
        (failed_only, "ValueError: no way", ["table", "runs", "origin"]),
        (regression, "0.2500", ["table", "curves", "runs", "origin"]),
        (one_run, "alone has the highest accuracy", [s for s in SECTIONS if s not in
                                                     ("tradeoff", "examples")]),
        (many_data_sets, "Model comparison on 4 data sets", ["table", "curves", "runs",
                                                             "origin"]),
    ],
)  # fmt: skip
def test_every_kind_of_store_has_a_report(
    store: Store, fill: Callable[[Store], None], said: str, sections: list[str]
):
    fill(store)
    page = page_of(store, load=decode)
    assert said in page.text
    assert [a["href"] for tag, a in page.tags if tag == "a"][1:] == [f"#{s}" for s in sections]


def test_gates_are_told(store: Store):
    store.add_gate([{"gate_id": "g", "cell": "digits x mlp", "head": "abc", "base": "def",
                     "verdict": "slower", "ratio": 1.25, "ratio_low": 1.2, "ratio_high": 1.3},
                    {"gate_id": "g", "cell": "x", "head": None, "base": None,
                     "verdict": "changed", "ratio": None, "ratio_low": None,
                     "ratio_high": None}])  # fmt: skip
    page = page_of(store)
    assert "gates" in page.ids and "1.250" in page.text and "changed" in page.text
    (drawn,) = re.findall(r"<svg[^>]*gates-title.*?</svg>", html_of(store), re.DOTALL)
    assert all("currentColor" in text for text in re.findall(r"<text style=\"[^\"]*", drawn))
    assert "gates" not in page_of(store, runs=["abc"]).ids
    assert "gates" not in page_of(store, conditions=["seed == 0"]).ids


def test_a_choice_that_no_run_meets_is_no_empty_store(store: Store):
    one_run(store)
    asked = Asked(rows=[], conditions=["accuracy > 2"])
    told = Page(to_html(read_document(store, asked))).text
    assert "No run meets the conditions." in told and "harness run adds runs" not in told
    assert "there is none that could be tabulated" in told
