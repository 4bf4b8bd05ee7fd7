"""Rows of CSV and TSV, read as a stream."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import harness
from harness.errors import counted
from harness_datasets._rows import (
    LONGEST,
    Row,
    column_place,
    refuse_other_encodings,
    row_of,
)

# a column of whole numbers with a gap is written so, by pandas for one
WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]{0,14}))\.0+")


def commas(path: Path, text: str, label: str) -> Iterator[Row]:
    return _delimited(path, text, label, delimiter=",", quoting=csv.QUOTE_MINIMAL)


def tabs(path: Path, text: str, label: str) -> Iterator[Row]:
    # a quotation mark is one of the text's there, and often has no second
    return _delimited(path, text, label, delimiter="\t", quoting=csv.QUOTE_NONE)


def _delimited(
    path: Path, text: str, label: str, *, delimiter: str, quoting: Any
) -> Iterator[Row]:
    # the module's own limit is shorter than some texts, and one for the whole process
    csv.field_size_limit(max(LONGEST, csv.field_size_limit()))
    refuse_other_encodings(path)
    # bytes that are not UTF-8 spoil their own row alone, which `_gather` tells
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, quoting=quoting, strict=True)
        columns = _header(path, reader)
        places = [column_place(path, columns, name) for name in (text, label)]
        while True:
            begin = reader.line_num + 1
            try:
                row = _of_fields(begin, next(reader), columns, places)
            except StopIteration:
                return
            except csv.Error as error:
                fault = f"is no row of CSV ({error}, in line {reader.line_num})"
                row = Row(begin, fault=fault)
            yield row._replace(lines=reader.line_num - begin + 1)


def _of_fields(begin: int, fields: list[str], columns: list[str], places: Sequence[int]) -> Row:
    if not fields:
        return Row(begin, fault="is empty")
    if len(fields) != len(columns):
        number = counted(len(fields), "field")
        return Row(begin, fault=f"has {number}, expected {len(columns)}")
    text, label = (fields[place] for place in places)
    whole = WHOLE.fullmatch(label.strip())
    return row_of(begin, text, int(whole[1]) if whole else label)


def _header(path: Path, reader: Iterator[list[str]]) -> list[str]:
    """The names of the columns: the first line that is not empty.

    Raises:
      DataError: there is none, or it is not UTF-8.
    """
    try:
        names = next(names for names in reader if any(map(str.strip, names)))
    except StopIteration:
        raise harness.DataError(
            f"{path.name} is empty; expected a line of column names and rows below it"
        ) from None
    except csv.Error as error:
        raise harness.DataError(
            f"{path.name} does not begin with a line of column names ({error}); give a table"
        ) from None
    try:
        _ = "".join(names).encode()
    except UnicodeEncodeError:  # what bytes became that are no UTF-8
        raise harness.DataError(
            f"{path.name} is not UTF-8 in its line of column names; save it as UTF-8"
        ) from None
    return [name.strip() for name in names]
