"""`harness compare` on a store of made-up results, in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from answered import answered_rows
from stored import make_row, npy

from harness.cli import main
from harness.rows import Result
from harness.store import open_store


def fill(path: Path, **accuracies: float) -> str:
    with open_store(f"sqlite:///{path}") as store:
        for model, accuracy in accuracies.items():
            for row, right in answered_rows(model, accuracy, commit="0a1b2c3d").values():
                arrays = {"test_predicted": npy(right, "uint8"),
                          "test_label": npy(right | True, "uint8")}  # fmt: skip
                store.add(Result(row=row, arrays=arrays))
    return f"sqlite:///{path}"


def said(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(words)
    out, err = capfd.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, out, err


def test_models_and_stores_are_compared_in_every_format(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
):
    url = fill(tmp_path / "one.db", good=0.9, poor=0.5)
    code, out, _ = said(capfd, "compare", "good", "poor", "--store", url, "--format", "json")
    [line] = json.loads(out)
    assert code == 0 and line["difference"] == pytest.approx(0.4) and line["p"] < 0.05
    fill(tmp_path / "two.db", good=0.8, poor=0.5)
    for format_, expected in (
        ("text", "accuracy A - B"), ("markdown", "|:---"), ("latex", r"\toprule"),
        ("csv", "digits,good,3,"), ("json", '"difference"'),
    ):  # fmt: skip
        words = [str(tmp_path / "one.db"), f"sqlite:///{tmp_path}/two.db", "--format", format_]
        code, out, err = said(capfd, "compare", *words)
        assert (code, err) == (0, "") and expected in out, format_


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["good", "nope"],
            "'nope' is no model, commit or store; known models with rows: good, poor",
        ),
        (["good", "por"], "did you mean 'poor'?"),
        (["good", "absent.db"], "no file 'absent.db'; a store is a file"),
        (["good", "some/folder"], "no file 'some/folder'"),
        (["good", "0a1b"], "compare two models, two commits or two stores"),
        (
            ["good", "poor", "-d", "imdb"],
            "no rows of data set 'imdb'; known data sets with rows: digits",
        ),
        (["good", "poor", "--where", "x > 1"], "no column 'x'"),
        (["good", "sqlite:///absent.db"], "absent.db"),
    ],
)
def test_an_error_is_one_line(
    words: list[str], expected: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
):
    url = fill(tmp_path / "one.db", good=0.9, poor=0.5)
    code, out, err = said(capfd, "compare", *words, "--store", url)
    assert (code, out) == (2, "") and expected in err and err.count("\n") == 1


def test_a_table_has_intervals_and_what_is_asked_for(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
):
    url = fill(tmp_path / "one.db", good=0.9, poor=0.5)
    code, out, _ = said(capfd, "table", "--store", url, "--columns", "model,rank,vs_next_p")
    assert code == 0 and out.split()[:5] == ["model", "rank", "vs", "next", "p"]
    code, out, _ = said(capfd, "table", "--store", url, "--format", "latex")
    assert r"\caption{6 runs}" in out and r"\textbf{0.8975 [" in out
    code, out, _ = said(capfd, "table", "--store", url, "--columns", "model,vs_parent_p")
    assert code == 0 and out.splitlines()[2].split() == ["good", "-"]
    code, out, err = said(capfd, "table", "--store", url, "--columns", "rnk")
    assert code == 2 and "columns: no column 'rnk'; did you mean 'rank'" in err
    code, out, err = said(
        capfd, "table", "--store", url, "--by", "model", "--target-accuracy", "0.5"
    )
    assert code == 2 and "leave --by out" in err


def test_a_table_without_lines_says_why(capfd: pytest.CaptureFixture[str], tmp_path: Path):
    url = fill(tmp_path / "one.db", good=0.9)
    _, _, err = said(capfd, "table", "--store", url, "--where", "accuracy > 2")
    assert err == "note: no row meets every --where\n"
    with open_store(f"sqlite:///{tmp_path}/trials.db") as store:
        store.add(Result(row=make_row(kind="trial", accuracy=None)))
    url = f"sqlite:///{tmp_path}/trials.db"
    _, _, err = said(capfd, "table", "--store", url, "--target-accuracy", "0.5")
    assert "note: 1 row, all of them trials of tuning, which make no line" in err
    assert "note: --target-accuracy: no row has an accuracy" in err


def test_commits_are_compared_by_what_was_committed(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
):
    url = f"sqlite:///{tmp_path}/commits.db"
    with open_store(url) as store:
        for commit, dirty, loss in (
            ("0a1b", False, 0.5), ("0a1b", True, 0.9), ("2c3d", True, 0.75),
        ):  # fmt: skip
            values = {"commit": commit, "dirty": dirty, "test_loss": loss}
            store.add(Result(row=make_row("mlp", accuracy=None, **values)))
    code, out, _ = said(capfd, "compare", "0a1b", "2c3d", "--store", url, "--format", "json")
    [line] = json.loads(out)
    assert code == 0 and line["loss_difference"] == pytest.approx(-0.25)
    assert "B holds rows of uncommitted changes" in line["note"]


def test_conditions_that_no_row_meets_are_told_and_not_the_models(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
):
    url = fill(tmp_path / "one.db", good=0.9, poor=0.5)
    words = ["good", "poor", "--store", url, "--where", "epochs == 99"]
    code, _, err = said(capfd, "compare", *words)
    assert code == 2 and "no row meets every --where (epochs == 99); loosen it" in err


def test_columns_that_are_the_same_in_every_line_are_shown_on_demand(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
):
    url = fill(tmp_path / "one.db", good=0.9, poor=0.5)
    words = ["table", "--store", url, "--columns", "model,learning_rate,limit,epochs"]
    code, out, _ = said(capfd, *words)
    assert code == 0
    told = [line.split() for line in out.splitlines()[2:4]]
    assert told == [["good", "0.001", "-", "10"], ["poor", "0.001", "-", "10"]]
    code, _, err = said(capfd, "table", "--store", url, "--columns", "compiled_agin")
    assert code == 2 and "did you mean 'compiled_again' or" in err


@pytest.mark.parametrize("option", ["--columns", "--by"])
@pytest.mark.parametrize("names", ["", "model,", " "])
def test_an_empty_name_of_a_column_is_refused(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, option: str, names: str
):
    url = fill(tmp_path / "one.db", good=0.9)
    code, _, err = said(capfd, "table", "--store", url, option, names)
    assert code == 2 and f"{option} {names!r}: expected COLUMN,..." in err
