"""Rows of text and label out of tables that users have, read piece by piece.

CSV, TSV, JSON Lines and Parquet are read as streams, so that a table may be larger than
memory. A row that cannot be used comes out too, with what is wrong with it; only a file that
as a whole is something else ends the reading.
"""

from __future__ import annotations

import csv
import glob
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import harness
from harness.errors import Unavailable, counted

# characters of a field, bytes of a line of JSON: what is longer is no text of a row
LONGEST = 2**22
ROWS_AT_ONCE = 1024


class Row(NamedTuple):
    """One row: its place counted from 1, and either text and label or what is wrong."""

    place: int
    text: str = ""
    label: str = ""
    fault: str = ""


class Part(NamedTuple):
    """A stream of rows: a file, or a split of a data set.

    Attributes:
      name: for messages.
      unit: what `Row.place` counts, "line" or "row".
      rows: begins the stream.
    """

    name: str
    unit: str
    rows: Callable[[], Iterator[Row]]


def find(path: str) -> list[Path]:
    """The files of a path or of a pattern such as `reviews/*.csv`, sorted.

    Raises:
      DataError: there is none.
      UsageError: one is of a kind that is not read.
    """
    given = Path(path).expanduser()
    found = [given] if given.is_file() else sorted(map(Path, glob.glob(str(given))))
    found = [one for one in found if one.is_file()]
    if not found:
        what = "is a folder" if given.is_dir() else "is not there"
        raise harness.DataError(
            f"{path!r} {what} (in {Path.cwd()}); give the path of a file, or a pattern such as "
            "'reviews/*.csv'"
        )
    for one in found:
        if one.suffix.lower() not in READERS:
            raise harness.UsageError(
                f"{one.name} is of a kind that is not read; expected {', '.join(READERS)}"
            )
    return found


def part(path: Path, *, text: str, label: str) -> Part:
    """The rows of a file; `text` and `label` name its columns.

    The stream raises:
      DataError: the file cannot be read, or is not what its name says.
      UsageError: it has no such column.
      Unavailable: it is Parquet, and pyarrow is not here.
    """
    suffix = path.suffix.lower()
    unit = "row" if suffix == ".parquet" else "line"
    return Part(path.name, unit, lambda: _told(path, READERS[suffix](path, text, label)))


def _told(path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    try:
        yield from rows
    except OSError as error:
        raise harness.DataError(
            f"{path} cannot be read ({error.strerror or error}); make it readable"
        ) from None


def _commas(path: Path, text: str, label: str) -> Iterator[Row]:
    return _delimited(path, text, label, delimiter=",", quoting=csv.QUOTE_MINIMAL)


def _tabs(path: Path, text: str, label: str) -> Iterator[Row]:
    # a quotation mark is one of the text's there, and often has no second
    return _delimited(path, text, label, delimiter="\t", quoting=csv.QUOTE_NONE)


def _delimited(
    path: Path, text: str, label: str, *, delimiter: str, quoting: Any
) -> Iterator[Row]:
    # the module's own limit is shorter than some texts, and one for the whole process
    csv.field_size_limit(max(LONGEST, csv.field_size_limit()))
    _refuse_utf16(path)
    # bytes that are not UTF-8 spoil their own row alone, which `_texts` tells
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, quoting=quoting, strict=True)
        columns = _header(path, reader)
        places = [_column(path, columns, name) for name in (text, label)]
        while True:
            begin = reader.line_num + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                fault = f"is no row of CSV ({error}, in line {reader.line_num})"
                yield Row(begin, fault=fault)
                continue
            yield _of_fields(begin, fields, columns, places)


def _of_fields(begin: int, fields: list[str], columns: list[str], places: Sequence[int]) -> Row:
    if not fields:
        return Row(begin, fault="is empty")
    if len(fields) != len(columns):
        number = counted(len(fields), "field")
        return Row(begin, fault=f"has {number}, expected {len(columns)}")
    text, label = (fields[place] for place in places)
    return _row(begin, text, label)


def _row(place: int, text: Any, label: Any) -> Row:
    """A row of values, whatever type they have."""
    if text is None:
        return Row(place, fault="has no text")
    if not isinstance(text, str):
        return Row(place, fault=f"has a text that is {_kind(text)}")
    name = label_name(label)
    if name is None:
        return Row(place, fault=f"has a label that is {_kind(label)}")
    return Row(place, text, name) if name else Row(place, fault="has no label")


def label_name(value: Any) -> str | None:
    """A label as the name of a class: "" where there is none, None for what cannot be one.

    >>> [label_name(value) for value in (" good ", 3, 3.0, True, None, ["a"])]
    ['good', '3', '3', 'true', '', None]
    """
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, int):
        return str(value)
    return "" if value is None else None


def _kind(value: Any) -> str:
    names = {list: "a list", dict: "an object", str: "a string", bool: "true or false"}
    number = isinstance(value, int | float)
    return names.get(type(value)) or ("a number" if number else type(value).__name__)


def _refuse_utf16(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise harness.DataError(f"{path.name} is UTF-16; save it as UTF-8")


def _header(path: Path, reader: Iterator[list[str]]) -> list[str]:
    try:
        return [name.strip() for name in next(reader)]
    except StopIteration:
        raise harness.DataError(
            f"{path.name} is empty; expected a line of column names and rows below it"
        ) from None
    except csv.Error as error:
        raise harness.DataError(
            f"{path.name} does not begin with a line of column names ({error}); give a table"
        ) from None


def _column(path: Path, columns: Sequence[str], name: str) -> int:
    """The place of a column."""
    if list(columns).count(name) == 1:
        return list(columns).index(name)
    what = "no column" if name not in columns else "two columns"
    shown = ", ".join(" ".join(column.split())[:30] for column in columns[:12])
    do = "name the columns with text=... and label=..."
    if len(columns) == 1 and (mark := next((m for m in ";|\t" if m in columns[0]), "")):
        do = f"put a comma between two columns of CSV, not {mark!r}"
    raise harness.UsageError(f"{path.name} has {what} {name!r} but {shown}; {do}")


def _json_lines(path: Path, text: str, label: str) -> Iterator[Row]:
    _refuse_utf16(path)
    with path.open("rb") as file:
        place = 0
        while line := file.readline(LONGEST):
            place += 1
            if len(line) == LONGEST and not line.endswith(b"\n"):
                while line and not line.endswith(b"\n"):
                    line = file.readline(LONGEST)
                yield Row(place, fault=f"is longer than {LONGEST:,} bytes")
            else:
                yield _of_json(place, line, text, label)


def _of_json(place: int, line: bytes, text: str, label: str) -> Row:
    if not line.strip():
        return Row(place, fault="is empty")
    try:
        value = json.loads(line.decode("utf-8-sig" if place == 1 else "utf-8"))
    except UnicodeDecodeError:
        return Row(place, fault="is not valid UTF-8")
    except (ValueError, RecursionError):
        return Row(place, fault="is not JSON")
    if not isinstance(value, dict):
        return Row(place, fault="is no JSON object")
    for name in (text, label):
        if name not in value:
            keys = ", ".join(" ".join(key.split())[:30] for key in list(value)[:6])
            return Row(place, fault=f"has no {name!r} (its keys: {keys or 'none'})")
    return _row(place, value[text], value[label])


def _parquet(path: Path, text: str, label: str) -> Iterator[Row]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise Unavailable(
            f"{path.name} is Parquet, which needs pyarrow; run pip install "
            "'model-zoo-harness[parquet]'"
        ) from None
    try:
        # pages are read as they are needed, not a whole group of rows at once
        with parquet.ParquetFile(path, buffer_size=2**20, pre_buffer=False) as file:
            for name in (text, label):
                _column(path, file.schema_arrow.names, name)
            batches = file.iter_batches(batch_size=ROWS_AT_ONCE, columns=[text, label])
            place = 0
            for batch in batches:
                pairs = zip(*(_values(batch.column(c)) for c in (text, label)), strict=True)
                for value in pairs:
                    place += 1
                    yield _row(place, *value)
    except pyarrow.ArrowException as error:
        raise harness.DataError(
            f"{path.name} is no Parquet file that can be read ({' '.join(str(error).split())})"
            "; give an intact one"
        ) from None


def _values(column: Any) -> list[Any]:
    """A column's values; bytes that are not UTF-8 as `_delimited` has them."""
    import pyarrow

    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        raw = column.cast(pyarrow.large_binary()).to_pylist()
        return [v if v is None else v.decode(errors="surrogateescape") for v in raw]


Reader = Callable[[Path, str, str], Iterator[Row]]
READERS: dict[str, Reader] = {
    ".csv": _commas,
    ".tsv": _tabs,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
