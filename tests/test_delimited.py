"""Rows of CSV and TSV, the unusable ones among them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from tables import faults_of, rows_of, write

from harness_datasets import _delimited
from harness_datasets._rows import Row


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
