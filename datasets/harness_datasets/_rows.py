"""A row of text and label, and what the readers of all kinds of tables share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import harness

# characters of a field, bytes of a line of JSON: what is longer is no text of a row
LONGEST = 2**22
ROWS_AT_ONCE = 1024
# how a file begins that is in another encoding; the first four are byte order marks
OTHER_ENCODINGS = {
    b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16",
}  # fmt: skip


class Row(NamedTuple):
    """One row: its place counted from 1, and either text and label or what is wrong.

    Attributes:
      lines: how many lines of a file it takes.
    """

    place: int
    text: str = ""
    label: str = ""
    fault: str = ""
    lines: int = 1


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


def row_of(place: int, text: Any, label: Any) -> Row:
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


def refuse_other_encodings(path: Path) -> None:
    """Raises DataError for a file that begins as no text in UTF-8 does."""
    with path.open("rb") as file:
        head = file.read(4)
    # two bytes a character, of which one is zero, where no mark says so
    zero = "UTF-16 or no text" if b"\0" in head else ""
    name = next((n for mark, n in OTHER_ENCODINGS.items() if head.startswith(mark)), zero)
    if name:
        raise harness.DataError(f"{path.name} is {name}; save it as UTF-8")


def column_place(path: Path, columns: Sequence[str], name: str) -> int:
    """The place of a column.

    Raises:
      UsageError: there is none of that name, or several.
    """
    count = list(columns).count(name)
    if count == 1:
        return list(columns).index(name)
    shown = ", ".join(" ".join(column.split())[:30] for column in columns[:12])
    if count:
        raise harness.UsageError(
            f"{path.name} has {count} columns {name!r} ({shown}); give each column a name of "
            "its own"
        )
    do = "name the columns with text=... and label=..."
    if len(columns) == 1 and (mark := next((m for m in ";|\t" if m in columns[0]), "")):
        do = f"put a comma between two columns of CSV, not {mark!r}"
    raise harness.UsageError(f"{path.name} has no column {name!r} but {shown}; {do}")
