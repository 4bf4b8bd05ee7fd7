"""Rows as a pandas data frame: one dtype for each type of column, whatever is missing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from harness.rows import NAMES, TYPES, Type, complete

if TYPE_CHECKING:
    import pandas as pd

FRAME_TYPES: dict[Type, str] = {
    "text": "string",
    "json": "string",
    "int": "Int64",
    "float": "float64",
    "bool": "boolean",
}


def frame_of(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a data frame with every column, in order.

    Text is `string`, integers are `Int64` and truth values `boolean`, all three with
    `pd.NA` where a value is missing; floats are plain `float64` with NaN. Behind them stands
    a column for each name in `metrics`, as in `test_macro_f1`.
    """
    listed = [complete(row) for row in rows]
    return frame_of_columns({name: [row[name] for row in listed] for name in NAMES})


def frame_of_columns(
    values: Mapping[str, list[Any]], numbers: list[int] | None = None
) -> pd.DataFrame:
    """Columns of rows by name as a data frame, numbered if their numbers are given."""
    import pandas as pd

    series: dict[str, Any] = {
        name: pd.Series(some, numbers, dtype=FRAME_TYPES[TYPES[name]])  # type: ignore[arg-type]
        for name, some in values.items()
    }
    frame = pd.DataFrame(series, index=numbers)
    measured = [_metrics(text) for text in values.get("metrics", [])]
    for name in dict.fromkeys(name for found in measured for name in found):
        told = [found.get(name) for found in measured]
        frame[name] = pd.Series(told, numbers, dtype="float64")
    return frame


def _metrics(text: str | None) -> dict[str, float | None]:
    """The metrics of a row by name; a plugin may have written anything there."""
    return {
        name: value
        for name, value in json.loads(text or "{}").items()
        if name not in NAMES and (value is None or type(value) in (int, float))
    }
