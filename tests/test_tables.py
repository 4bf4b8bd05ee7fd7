"""Rows out of each kind of table, the unusable ones among them."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import hypothesis
import pyarrow as pa
import pytest
from hypothesis import strategies as st
from pyarrow import parquet
from tables import write_json_lines

import harness
from harness.errors import Unavailable
from harness_datasets import _delimited, _tables
from harness_datasets._rows import Row, label_name
from harness_datasets._tables import find, part


def rows_of(path: Path, *, text: str = "text", label: str = "label") -> list[Row]:
    return list(part(path, text=text, label=label).rows())


def faults_of(path: Path) -> list[tuple[int, str]]:
    return [(row.place, row.fault) for row in rows_of(path) if row.fault]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_csv_file_has_quotes_commas_and_line_ends_in_its_texts(tmp_path: Path):
    path = write(
        tmp_path / "a.csv",
        '\ufefflabel,id,text\r\n pos ,1,"Good, he said: ""wow"""\r\nneg,2,"two\nlines"\r\n',
    )
    assert rows_of(path) == [
        Row(2, 'Good, he said: "wow"', "pos"),
        Row(3, "two\nlines", "neg", lines=2),
    ]


def test_a_row_is_named_by_the_line_that_it_begins_in(tmp_path: Path):
    path = write(tmp_path / "a.csv", 'text,label\n"two\nlines",a\n\nmore,b,c\n,a\nx,\n')
    assert faults_of(path) == [
        (4, "is empty"), (5, "has 3 fields, expected 2"), (7, "has no label"),
    ]  # fmt: skip


def test_a_quote_that_is_never_closed_is_one_row_that_says_how_far_it_goes(tmp_path: Path):
    path = write(tmp_path / "a.csv", 'text,label\ngood,a\n"open,b\nlost,b\n')
    assert rows_of(path)[0] == Row(2, "good", "a")
    (fault,) = faults_of(path)
    assert fault == (3, "is no row of CSV (unexpected end of data, in line 4)")
    assert rows_of(path)[1].lines == 2


def test_a_stray_quote_that_a_later_one_closes_says_how_many_lines_it_took(tmp_path: Path):
    between = "lost,b\n" * 60
    for last, row in (
        (
            'say "hi" there,a\n',
            Row(2, fault="is no row of CSV (',' expected after '\"', in line 63)"),
        ),
        ('the end",b\n', Row(2, f"stray,a\n{between}the end", "b")),
    ):
        path = write(tmp_path / "a.csv", f'text,label\n"stray,a\n{between}{last}good,a\n')
        assert rows_of(path) == [row._replace(lines=62), Row(64, "good", "a")]


def test_whole_numbers_that_were_written_as_floats_are_the_same_class(tmp_path: Path):
    for label, name in (
        ("1", "1"), (" 1.0 ", "1"), ("-3.00", "-3"), ("-0.0", "0"), ("1.5", "1.5"),
        ("1.", "1."), ("01.0", "01.0"), ("v1.0", "v1.0"), ("1.0.0", "1.0.0"),
    ):  # fmt: skip
        for kind, mark in (("csv", ","), ("tsv", "\t")):
            path = write(tmp_path / f"a.{kind}", f"text{mark}label\ngood{mark}{label}\n")
            assert [row.label for row in rows_of(path)] == [name]


def test_empty_lines_above_the_names_of_the_columns_are_passed_over(tmp_path: Path):
    path = write(tmp_path / "a.csv", "\n  \n,\ntext,label\ngood,a\n")
    assert rows_of(path) == [Row(5, "good", "a")]


def test_a_row_behind_a_broken_one_is_read(tmp_path: Path):
    path = write(tmp_path / "a.csv", 'text,label\n"a" b,x\ngood,a\n')
    assert [row.place for row in rows_of(path) if not row.fault] == [3]
    assert faults_of(path)[0][0] == 2


def test_a_field_without_end_ends_at_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    before = csv.field_size_limit()
    monkeypatch.setattr(_delimited, "LONGEST", 100)
    monkeypatch.setattr(
        csv, "field_size_limit", lambda *limit, own=csv.field_size_limit: own(100)
    )
    try:
        path = write(tmp_path / "a.csv", 'text,label\n"' + "many words\n" * 20 + "good,a\n")
        found = rows_of(path)
        assert found[0].place == 2 and "field limit" in found[0].fault
        assert found[-1] == Row(22, "good", "a")
    finally:
        monkeypatch.undo()
        csv.field_size_limit(before)


def test_a_text_longer_than_the_csv_modules_own_limit_is_read(tmp_path: Path):
    text = "word " * 40_000
    path = write(tmp_path / "a.csv", f"text,label\n{text},a\n")
    assert rows_of(path) == [Row(2, text, "a")]


def test_a_quotation_mark_in_tsv_is_part_of_the_text(tmp_path: Path):
    path = write(tmp_path / "a.tsv", 'label\ttext\na\t"never closed\nb\tsays "so"\n')
    assert rows_of(path) == [Row(2, '"never closed', "a"), Row(3, 'says "so"', "b")]


def test_bytes_that_are_not_utf_8_stay_in_their_row(tmp_path: Path):
    path = write(tmp_path / "a.csv", b"text,label\ncaf\xe9,a\ncaf\xc3\xa9,a\n")
    spoilt, whole = rows_of(path)
    assert whole == Row(3, "café", "a")
    with pytest.raises(UnicodeEncodeError):
        spoilt.text.encode()


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


def test_parquet_is_read_in_parts_with_labels_of_any_type(tmp_path: Path):
    path = tmp_path / "a.parquet"
    table = pa.table({"y": [1, 0, None], "t": ["good", None, "bad"], "more": [1.0, 2.0, 3.0]})
    parquet.write_table(table, path, row_group_size=2)
    assert rows_of(path, text="t", label="y") == [
        Row(1, "good", "1"), Row(2, fault="has no text"), Row(3, fault="has no label"),
    ]  # fmt: skip
    assert part(path, text="t", label="y").unit == "row"


def test_parquet_with_categories_and_spoilt_bytes(tmp_path: Path):
    path = tmp_path / "a.parquet"
    spoilt = pa.array([b"caf\xe9", b"tea"]).cast(pa.string(), safe=False)
    labels = pa.array(["a", "b"]).dictionary_encode()
    parquet.write_table(pa.table({"text": spoilt, "label": labels}), path)
    first, second = rows_of(path)
    assert second == Row(2, "tea", "b") and first.label == "a"
    with pytest.raises(UnicodeEncodeError):
        first.text.encode()


def test_dates_that_python_does_not_have_are_one_line(tmp_path: Path):
    path = tmp_path / "a.parquet"
    days = pa.array([10**9, 0], pa.int32()).cast(pa.date32())
    parquet.write_table(pa.table({"text": ["good", "bad"], "label": days}), path)
    with pytest.raises(harness.DataError, match="a.parquet has a date32.* in 'label' that is"):
        rows_of(path)


def test_a_damaged_parquet_file_is_one_line_wherever_the_damage_is(tmp_path: Path):
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"good {i}" for i in range(500)], "label": ["a"] * 500})
    parquet.write_table(
        table, path, compression="snappy", use_dictionary=False, store_schema=False
    )
    whole = path.read_bytes()
    pages = whole[:100] + b"\xff" * 400 + whole[500:]
    for damaged in (whole.replace(b"label", b"\xff\xfebel"), pages):
        path.write_bytes(damaged)
        with pytest.raises(
            harness.DataError, match="is no Parquet file .*; give an intact one"
        ):
            rows_of(path)


def test_parquet_without_its_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Unavailable, match=r"needs pyarrow; run pip install '.*\[parquet\]'$"):
        rows_of(write(tmp_path / "a.parquet", "x"))


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
