"""`harness report`: what is chosen, what is written, and what is said of it."""

from __future__ import annotations

import html
import importlib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from stored import make_answered, make_row

from harness import inspection
from harness.cli.report import report
from harness.errors import UsageError
from harness.store import open_store


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/rows.db"
    with open_store(url) as opened:
        for model, said in (("good", [0, 1, 1, 0]), ("bad", [1, 0, 0, 1])):
            row = make_row(model, run_id=f"{model}1", data_fingerprint="other")
            opened.add(make_answered(row, label=[0, 1, 1, 0], predicted=said))
    return url


def call(*words: str) -> Result:
    return CliRunner().invoke(report, words)


def test_the_page_is_written_and_data_that_have_changed_cost_a_note(store: str, tmp_path: Path):
    file = tmp_path / "report.html"
    done = call("-o", str(file), "--store", store)
    assert (done.exit_code, done.stdout) == (0, f"{file}\n")
    assert "note: digits: no examples are shown: data set 'digits' is now" in done.stderr
    assert "good" in file.read_text() and "bad" in file.read_text()


@pytest.mark.parametrize("chosen", [["good1"], ["--where", "accuracy > 0.5"]])
def test_runs_are_chosen_by_their_ids_or_by_conditions(
    store: str, tmp_path: Path, chosen: list[str]
):
    file = tmp_path / "report.html"
    done = call(*chosen, "-o", str(file), "--no-examples", "--store", store)
    assert done.exit_code == 0 and done.stderr == ""
    text = file.read_text()
    assert "good1" in text and "bad1" not in text


def test_the_page_says_how_it_was_made_without_a_path_of_this_machine(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    module = importlib.import_module("harness.cli.report")
    monkeypatch.setattr(module, "_declared", lambda plugins: {})
    monkeypatch.chdir(tmp_path)
    done = call("-o", "r.html", "--no-examples", "--plugin", "own.py", "--store",
                "sqlite:///rows.db")  # fmt: skip
    assert done.exit_code == 0
    text = html.unescape((tmp_path / "r.html").read_text())
    assert (
        "harness report -o report.html --store sqlite:///rows.db --plugin own.py --no-examples"
        in text
    )
    assert str(tmp_path) not in text


def test_only_a_file_is_named_as_it_was():
    from harness.cli.report import _named

    class Opened:
        name = "postgresql://me:***@host/rows"

    opened: Any = Opened()
    assert _named(opened, "postgresql://me:secret@host/rows") == opened.name


@pytest.mark.parametrize("decoded", ["raises", "none"])
def test_data_that_cannot_be_decoded_cost_the_examples_alone(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: str
):
    def texts(indices: list[int]) -> dict[int, Any]:
        if decoded == "none":
            return dict.fromkeys(indices)
        raise IndexError("no word 7")

    monkeypatch.setattr(inspection, "data_of", lambda row, plugins: (("cat", "dog"), texts))
    done = call("-o", str(tmp_path / "r.html"), "--store", store)
    assert done.exit_code == 0 and "cat" in (tmp_path / "r.html").read_text()
    note = "note: digits: no examples are shown: data set 'digits' cannot be decoded: no word 7"
    assert done.stderr.splitlines() == ([] if decoded == "none" else [note])


def test_conditions_that_no_run_meets_are_told_of(store: str, tmp_path: Path):
    words = ["-o", str(tmp_path / "r.html"), "--plots", str(tmp_path / "f"), "--store", store]
    done = call("--where", "accuracy > 2", *words)
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path}/r.html\n")
    assert done.stderr.splitlines() == [
        "note: no row meets every --where",
        "note: there is nothing to draw, so that no plots are written",
    ]


def test_figures_and_tables_of_the_same_runs(store: str, tmp_path: Path):
    words = ["--plots", str(tmp_path / "f"), "--tables", str(tmp_path / "t"), "--store", store]
    done = call("--where", "model == 'good'", *words, "--figure-format", "svg")
    assert done.exit_code == 0
    assert (tmp_path / "f" / "confusion.svg").exists()
    latex = (tmp_path / "t" / "table.tex").read_text()
    assert "bad" not in latex and r"\caption{" in latex


def test_without_anything_to_write_it_says_what_there_is(store: str):
    error = call("--store", store).exception
    assert isinstance(error, UsageError)
    assert str(error).startswith("nothing to write; give -o report.html")


def test_a_target_is_an_accuracy(store: str, tmp_path: Path):
    done = call("-o", str(tmp_path / "r.html"), "--target-accuracy", "2", "--store", store)
    assert done.exit_code == 2 and "0<=x<=1" in done.output
