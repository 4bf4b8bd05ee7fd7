"""The files of a report: the page, the tables, and the figures that belong to lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from stored import failed_row, make_answered, make_row

from harness.errors import UsageError
from harness.report import Asked, Data, save_plots, save_report, save_tables
from harness.rows import Result
from harness.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/rows.db") as opened:
        for model, said in (("good", [0, 1, 1, 0]), ("bad", [0, 1, 0, 0])):
            row = make_row(model, step_ms_p50=float(len(model)), param_count=3, train_s=1.0)
            opened.add(make_answered(row, label=[0, 1, 1, 0], predicted=said))
        yield opened


def test_plots_are_svg_files_with_texts_where_that_is_asked_for(store: Store, tmp_path: Path):
    saved = save_plots(store, None, tmp_path / "plots", format="svg")
    assert {path.name for path in saved.paths} == {
        f"{name}.svg" for name in
        ("train_loss", "test_metrics", "learning_curves", "accuracy_step_time", "step_times",
         "confusion", "calibration")
    }  # fmt: skip
    text = (tmp_path / "plots" / "accuracy_step_time.svg").read_text()
    assert "digits: Accuracy against step time" in text and ">good<" in text


def test_the_table_is_there_for_a_readme_and_for_a_paper(store: Store, tmp_path: Path):
    saved = save_tables(store, Asked(rows=store.rows(), target_accuracy=0.5), tmp_path / "t")
    markdown, latex = (path.read_text() for path in saved.paths)
    assert markdown.startswith("| dataset") and "recipe: " in markdown
    assert "time to target" in markdown.partition("\n")[0]
    assert r"\toprule" in latex and "good" in latex
    assert save_tables(store, Asked(rows=[]), tmp_path / "none").notes
    assert not (tmp_path / "none").exists()


def test_a_table_without_data_has_no_messages_that_may_quote_them(store: Store, tmp_path: Path):
    store.add(Result(row=failed_row("rnn", error_message="cannot encode 'secret'")))
    asked = Asked(rows=store.rows())
    for load, is_told in ((None, False), (lambda row: Data((), lambda some: {}), True)):
        saved = save_tables(store, replace(asked, load=load), tmp_path)
        text = saved.paths[0].read_text()
        assert "failed" in text and ("secret" in text) is is_told


def test_no_plots_are_told_of(store: Store, tmp_path: Path):
    saved = save_plots(store, [], tmp_path / "none")
    assert saved.paths == () and not (tmp_path / "none").exists()
    assert saved.notes == ("there is nothing to draw, so that no plots are written",)


def test_a_report_replaces_the_one_before(store: Store, tmp_path: Path):
    file = tmp_path / "report.html"
    file.write_text("old")
    saved = save_report(store, Asked(rows=store.rows()), file)
    assert saved.paths == (file,) and file.read_text().startswith("<!doctype html>")


def test_a_file_that_cannot_be_written_is_told_in_a_line(store: Store, tmp_path: Path):
    with pytest.raises(UsageError, match=r"^the report cannot be written to [^\n]*Is a dir"):
        save_report(store, Asked(rows=[]), tmp_path)
