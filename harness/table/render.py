"""Frames as text: lines for people (text, markdown), rows for programs (csv, json).

Lines are rounded and carry units in their headings; records are complete and exact.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from harness.errors import UsageError
from harness.rows import COLUMNS, NAMES, Type
from harness.table.labels import parameters

STYLES = {"text": "simple", "markdown": "pipe"}
HEADINGS = {"param_count": "params", "examples_per_s": "examples/s"}
MISSING = "-"
LONGEST = 72  # characters of a reason in a line


def to_text(lines: pd.DataFrame, format: str) -> str:
    """Lines of `tabulate` as aligned text, without a newline at the end.

    A spread stands behind its mean, as in `0.8664 ± 0.0031`; "-" stands for a missing
    number, and a difference on fewer seeds than the line has names their number.

    Args:
      format: "text" or "markdown".

    Raises:
      UsageError: another format.
    """
    import tabulate

    if format not in STYLES:
        raise UsageError(f"format {format!r}: expected {' or '.join(STYLES)} for a table")
    names = [str(name) for name in lines.columns]
    shown = [name for name in names if not _joined(name, names)]
    cells = [
        [_tidy(_shown(name, line), format) for name in shown]
        for line in lines.to_dict(orient="records")
    ]
    sides = ["left" if _is_text(lines.dtypes[name]) else "right" for name in shown]
    return tabulate.tabulate(
        cells,
        headers=[HEADINGS.get(name, name.replace("_", " ")) for name in shown],
        tablefmt=STYLES[format],
        colalign=sides if cells else None,
        disable_numparse=True,
    )


def records(frame: pd.DataFrame, format: str) -> str:
    """Every row with all columns of `harness.rows` in order, without a newline at the end.

    JSON is an array of objects: missing values and numbers that JSON cannot write are
    null, parameters are objects. CSV leaves missing values empty, writes truth values as
    true and false, and parameters as JSON.

    Args:
      frame: rows as `Store.frame` gives them.
      format: "csv" or "json".

    Raises:
      UsageError: another format.
    """
    rows = _plain_rows(frame)
    if format == "json":
        objects = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows]
        return "[\n" + ",\n".join(objects) + "\n]" if objects else "[]"
    if format == "csv":
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(NAMES)
        writer.writerows([_csv(value) for value in row.values()] for row in rows)
        return file.getvalue().removesuffix("\n")
    raise UsageError(f"format {format!r}: expected csv or json for records")


def _plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    columns = [
        [_plain(value, column.type) for value in frame[column.name]] for column in COLUMNS
    ]
    return [dict(zip(NAMES, values, strict=True)) for values in zip(*columns, strict=True)]


def _plain(value: Any, kind: Type) -> Any:
    """A value as JSON has it."""
    if pd.isna(value):
        return None
    if kind == "json":
        return parameters(value)
    if kind == "float":
        return float(value) if math.isfinite(value) else None
    return {"int": int, "bool": bool, "text": str}[kind](value)


def _csv(value: Any) -> Any:
    if isinstance(value, bool | dict):
        return json.dumps(value, ensure_ascii=False)
    return value


def _is_text(dtype: Any) -> bool:
    return isinstance(dtype, pd.StringDtype) or pd.api.types.is_object_dtype(dtype)


def _tidy(text: str, format: str) -> str:
    """One line without control characters, with no mark that ends a markdown cell."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line.replace("|", "\\|") if format == "markdown" else line


def _shown(name: str, line: Mapping[Any, Any]) -> str:
    value = line[name]
    if pd.isna(value):
        return MISSING
    if name in SHOWN:
        return SHOWN[name](value, line)
    if f"{name}_sd" in line:  # a metric of a plugin
        return f"{value:.4f}{_spread(line[f'{name}_sd'])}"
    return _value(value)


def _joined(name: str, names: Sequence[str]) -> bool:
    """Whether a column is written behind another one, as a spread is behind its mean."""
    is_spread = name.endswith("_sd") and name.removesuffix("_sd") in names
    return name in JOINED or is_spread


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _accuracy(value: float, line: Mapping[Any, Any]) -> str:
    return f"{value:.4f}{_spread(line.get('accuracy_sd'))}"


def _difference(value: float, line: Mapping[Any, Any]) -> str:
    # adding zero turns a rounded -0.0 into 0.0
    text = f"{round(value, 4) + 0.0:+.4f}{_spread(line.get('vs_parent_sd'))}"
    pairs = line["vs_parent_n"]
    return text if pairs == line["n"] else f"{text} (n={pairs})"


def _spread(value: Any) -> str:
    return "" if pd.isna(value) else f" ± {value:.4f}"


def _three_digits(value: float, _: Mapping[Any, Any]) -> str:
    """Three significant digits, and every digit before the point."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"


def _time(value: float, line: Mapping[Any, Any]) -> str:
    return _three_digits(value, line) + _marks(line)


def _compile_time(value: float, line: Mapping[Any, Any]) -> str:
    # what was compiled again later is no part of it
    return _three_digits(value, line) + _marks({**line, "compiled_again": 0})


def _marks(line: Mapping[Any, Any]) -> str:
    """Signs for what makes a line's times hard to believe."""
    counts: dict[str, Any] = {mark: line.get(name, 0) for name, mark in MARKS.items()}
    return "".join(m for m, count in counts.items() if not pd.isna(count) and count > 0)


def _reason(value: str, _: Mapping[Any, Any]) -> str:
    return value if len(value) <= LONGEST else value[: LONGEST - 1].rstrip() + "…"


# marks behind times; `caption` says what they mean
MARKS = {"shared": "‡", "compiled_again": "†"}
# beside the spreads, columns that are written behind another one
JOINED = ("vs_parent_n", *MARKS)
SHOWN: dict[str, Callable[[Any, Mapping[Any, Any]], str]] = {
    "accuracy": _accuracy,
    "loss": lambda value, _: f"{value:.4f}",
    "param_count": lambda value, _: f"{value:,}",
    "tune_trials": lambda value, _: str(value) if value else "untuned",
    "compile_s": _compile_time,
    "step_ms_p50": _time,
    "step_ms_p90": _time,
    "examples_per_s": lambda value, line: f"{value:,.0f}{_marks(line)}",
    "vs_parent": _difference,
    "status": _reason,
}
