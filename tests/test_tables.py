"""Rows out of each kind of table, the unusable ones among them."""

from __future__ import annotations

import csv
from pathlib import Path

import hypothesis
import pyarrow as pa
import pytest
from hypothesis import strategies as st
from pyarrow import parquet
from tables import rows_of, write, write_json_lines

import harness
from harness_datasets import _tables
from harness_datasets._rows import Row, label_name
from harness_datasets._tables import find


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"", "is empty"),
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'["good", "a"]', "is no JSON object"),
        (b'{"text": "caf\xe9", "label": "a"}', "is not valid UTF-8"),
        (b'{"text": "good"}', "has no 'label' (its keys: text)"),
        (b"{}", "has no 'text' (its keys: none)"),
        (rb'{"\ud800": 1}', "has no 'text' (its keys: ?)"),
        (b'{"text": null, "label": "a"}', "has no text"),
        (b'{"text": 3, "label": "a"}', "has a text that is a number"),
        (b'{"text": "good", "label": null}', "has no label"),
        (b'{"text": "good", "label": NaN}', "has no label"),
        (b'{"text": "good", "label": ["a"]}', "has a label that is a list"),
    ],
)
def test_a_line_of_json_that_is_no_row_is_named(tmp_path: Path, line: bytes, fault: str):
    path = write(tmp_path / "a.jsonl", line + b'\n{"text": "good", "label": 1, "id": 7}')
    assert rows_of(path) == [Row(1, fault=fault), Row(2, "good", "1")]


def test_a_line_of_json_that_is_too_long_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_tables, "LONGEST", 50)
    long = {"text": "x" * 200, "label": "a"}
    path = write_json_lines(tmp_path / "a.ndjson", [long, {"text": "good", "label": "a"}])
    assert rows_of(path) == [Row(1, fault="is longer than 50 bytes"), Row(2, "good", "a")]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet"])
def test_a_column_that_is_not_there_is_told_with_those_that_are(tmp_path: Path, name: str):
    path = tmp_path / name
    if name.endswith("parquet"):
        parquet.write_table(pa.table({"review": ["a"], "label": ["b"]}), path)
    else:
        write(path, "review,label\na,b\n".replace(",", "," if name == "a.csv" else "\t"))
    with pytest.raises(harness.UsageError) as caught:
        rows_of(path)
    assert str(caught.value) == (
        f"{name} has no column 'text' but review, label; name the columns with text=... and "
        "label=..."
    )


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.csv", b"", "a.csv is empty; expected a line of column names"),
        ("a.csv", "text,label\n".encode("utf-16"), "a.csv is UTF-16; save it as UTF-8"),
        ("a.csv", b'"text', r"a.csv does not begin with a line of column names \(unexpected"),
        ("a.csv", "text,label\n".encode("utf-32"), "a.csv is UTF-32; save it as UTF-8"),
        ("a.csv", "text,label\n".encode("utf-16-le"), "a.csv is UTF-16 or no text; save it"),
        ("a.csv", "text,größe\n".encode("latin-1"), "a.csv is not UTF-8 in its line of column"),
        ("a.csv", b"\n\n", "a.csv is empty; expected a line of column names"),
        ("a.jsonl", "{}\n".encode("utf-16"), "a.jsonl is UTF-16; save it as UTF-8"),
        ("a.parquet", b"PAR1 and no more", "a.parquet is no Parquet file that can be read"),
    ],
)
def test_a_file_that_is_something_else_is_one_line(
    tmp_path: Path, name: str, content: bytes, why: str
):
    with pytest.raises(harness.DataError, match=f"^{why}") as caught:
        rows_of(write(tmp_path / name, content))
    assert "\n" not in str(caught.value)


def test_a_table_with_other_separators_is_told_what_separates(tmp_path: Path):
    with pytest.raises(harness.UsageError, match="'text' but text;label; put a comma .* ';'$"):
        rows_of(write(tmp_path / "a.csv", "text;label\na;b\n"))


def test_two_columns_of_one_name_are_refused(tmp_path: Path):
    with pytest.raises(harness.UsageError) as caught:
        rows_of(write(tmp_path / "a.csv", "text,text,label\na,b,c\n"))
    assert str(caught.value) == (
        "a.csv has 2 columns 'text' (text, text, label); give each column a name of its own"
    )


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path):
    (folder := tmp_path / "a.csv").mkdir()
    with pytest.raises(harness.DataError, match="cannot be read .*make it readable"):
        rows_of(folder)


def test_a_pattern_stands_for_its_files_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("b.csv", "a.csv", "c.txt"):
        write(tmp_path / name, "")
    (tmp_path / "d.csv").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find("*.csv") == [Path("a.csv"), Path("b.csv")]
    assert find("a.csv") == [Path("a.csv")]
    write(tmp_path / "[a].csv", "")
    assert find("[a].csv") == [Path("[a].csv")]


def test_a_path_that_stands_for_nothing_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(harness.DataError, match=rf"'a.csv' is not there \(in {tmp_path}\)"):
        find("a.csv")
    with pytest.raises(harness.DataError, match="is a folder"):
        find(str(tmp_path))
    for name in ("~nobody-of-this-name/a.csv", "a" * 300 + ".csv", "a\0.csv"):
        with pytest.raises(harness.DataError, match="is not there"):
            find(name)
    write(tmp_path / "a.txt", "")
    with pytest.raises(harness.UsageError, match="a.txt is of a kind .* .csv, .tsv, .jsonl"):
        find("a.txt")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (" good  film ", "good film"), ("", ""), ("1", "1"), (1, "1"), (1.0, "1"), (0.5, "0.5"),
        (True, "true"), (None, ""), (float("nan"), ""), (float("inf"), "inf"), ({}, None),
    ],
)  # fmt: skip
def test_a_label_of_any_type_has_one_name(value: object, name: str | None):
    assert label_name(value) == name


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@hypothesis.given(
    st.lists(st.tuples(TEXTS, TEXTS), max_size=5), st.sampled_from(["csv", "jsonl"])
)
def test_whatever_was_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], kind: str
):
    path = tmp_path_factory.mktemp("table") / f"a.{kind}"
    if kind == "jsonl":
        write_json_lines(path, [{"text": text, "label": label} for text, label in pairs])
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *pairs])
    usable = [(text, " ".join(label.split())) for text, label in pairs if label.split()]
    assert [(row.text, row.label) for row in rows_of(path) if not row.fault] == usable
