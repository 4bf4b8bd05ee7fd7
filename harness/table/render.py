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

from harness.comparison.intervals import ALPHA, EXAMPLES, SEEDS
from harness.errors import UsageError
from harness.rows import COLUMNS, NAMES, Type
from harness.table.conditions import REVERSED, column_named
from harness.table.known import ADDED
from harness.table.labels import parameters
from harness.table.latex import booktabs, captioned
from harness.table.tuned import MODEL_KEY

STYLES = {"text": "simple", "markdown": "pipe"}
FORMATS = (*STYLES, "latex")
HEADINGS = {
    "param_count": "params", "examples_per_s": "examples/s", "difference": "accuracy A - B",
    "error_ratio": "error A/B", "step_ratio": "step A/B", "params_ratio": "params A/B",
    "train_ratio": "train A/B", "accuracy_a": "accuracy A", "accuracy_b": "accuracy B",
    "loss_difference": "loss A - B", "loss_a": "loss A", "loss_b": "loss B",
    "step_ms_p50_a": "step ms A", "step_ms_p50_b": "step ms B",
}  # fmt: skip
MISSING = "-"
LONGEST = 72  # characters of a reason in a line


def to_text(
    lines: pd.DataFrame, format: str, *, columns: Sequence[str] | None = None
) -> str:  # fmt: skip
    """Lines of `tabulate` as aligned text, without a newline at the end.

    An interval stands behind its mean, as in `0.8664 [0.861, 0.872]`, or a spread where no
    interval is known, as in `0.8664 ± 0.0031`; "-" stands for a missing number, and a
    difference on fewer seeds than the line has names their number. Where there are intervals,
    `step_ms_p90` and `examples_per_s` make room for them.

    Args:
      format: "text", "markdown" or "latex", which emphasizes the accuracy of a line that
        is significantly better than every other one on two or more common seeds each, and
        no other.
      columns: those that are shown, instead of the usual ones; one that these lines
        have nothing for shows "-", and one that is the same in all of them that.

    Raises:
      UsageError: another format, or no such column; the nearest are listed.
    """
    import tabulate

    if format not in FORMATS:
        raise UsageError(f"format {format!r}: expected text, markdown or latex for a table")
    if columns is not None:  # what these lines have nothing for is no misspelt name
        columns = [REVERSED.get(name, name) for name in columns]
        asked = [n for n in columns if n in EXPECTED and n not in lines]
        lines = lines.assign(**{n: _left_out(n, lines) for n in asked})
    names = [str(name) for name in lines.columns]
    if columns is None:
        shown = [name for name in names if not _joined(name, names)]
    else:
        known = dict.fromkeys([*names, *sorted(EXPECTED)])
        shown = [column_named(name, known, what="columns") for name in columns]
    headings = [HEADINGS.get(name, name.replace("_", " ")) for name in shown]
    told = lines.to_dict(orient="records")
    cells = [[_tidy(_shown(name, line), format) for name in shown] for line in told]
    sides = ["left" if _is_text(lines.dtypes[name]) else "right" for name in shown]
    if format == "latex":
        first = [i for i, line in enumerate(told) if line.get("best") is True]
        bold = {(i, shown.index("accuracy")) for i in first if "accuracy" in shown}
        return booktabs(headings, cells, sides, bold=bold)
    return tabulate.tabulate(
        cells,
        headers=headings,
        tablefmt=STYLES[format],
        colalign=sides if cells else None,
        disable_numparse=True,
    )


def _left_out(name: str, lines: pd.DataFrame) -> pd.Series:
    """A column that would have said nothing of any line, for who asks for it."""
    if name == "status":
        return pd.Series("ok", lines.index, "string")
    empty = pd.Series(pd.NA, lines.index, "Int64")
    # of runs that are ok it is known that there was none of it
    return empty.mask(lines["n"] > 0, 0) if name in MARKS and "n" in lines else empty


def with_caption(text: str, below: str, format: str) -> str:
    """A table and what stands below it, in the same format.

    Args:
      text: from `to_text`.
      below: lines, as `caption` gives them; in LaTeX the first is the caption, and the others
        a note below the table; in markdown each is an item of a list.
      format: that of `text`.
    """
    if format == "latex":
        return captioned(text, below)
    if format == "markdown":
        told = (line.replace("*", r"\*").replace("|", r"\|") for line in below.splitlines())
        below = "\n".join(f"- {line}" for line in told)
    return f"{text}\n\n{below}"


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
    at_end = line.get("tune_at_end")
    names = [] if at_end is None or pd.isna(at_end) else at_end.split(", ")
    if name in names or (name == "model" and any(n.startswith(MODEL_KEY) for n in names)):
        return f"{_value(value)}{AT_END}"
    if name in SHOWN:
        return SHOWN[name](value, line)
    if f"{name}_sd" in line:  # a metric of a plugin
        return f"{value:.4f}{_spread(line[f'{name}_sd'])}"
    return _value(value)


def _joined(name: str, names: Sequence[str]) -> bool:
    """Whether a column is written behind another one, as a spread is behind its mean."""
    is_spread = name.endswith("_sd") and name.removesuffix("_sd") in names
    unwanted = TIGHT if "accuracy_low" in names else ROOMY
    return name in (*JOINED, *unwanted) or is_spread


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _accuracy(value: float, line: Mapping[Any, Any]) -> str:
    if "accuracy_low" not in line:
        return f"{value:.4f}{_spread(line.get('accuracy_sd'))}"
    return f"{value:.4f}{_interval(line, 'accuracy')}{_over(line, 'accuracy')}"


def _over(line: Mapping[Any, Any], name: str) -> str:
    """The mark of what says less than one over seeds and test examples."""
    over = line.get(f"{name}_over")
    return "" if over is None or pd.isna(over) else OVER.get(over, "")


def _rank(value: int, line: Mapping[Any, Any]) -> str:
    return f"{value}{'=' * (line.get('tied') is True)}{_over(line, 'rank')}"


def _trials(value: int, line: Mapping[Any, Any]) -> str:
    ok = line.get("tune_ok")
    some = "" if ok is None or pd.isna(ok) else f" ({ok} ok)"
    return f"{value}{some}" if value else "untuned"


def _difference(name: str) -> Show:
    """A difference with its interval, or else its spread."""

    def show(value: float, line: Mapping[Any, Any]) -> str:
        # adding zero turns a rounded -0.0 into 0.0
        text = f"{round(value, 4) + 0.0:+.4f}"
        if f"{name}_low" in line:
            p = line.get(f"{name}_p", line.get("p"))
            text += _interval(line, name, sign="+") + _significant(p) + _over(line, name)
        else:
            text += _spread(line.get(f"{name}_sd"))
        number = line.get(f"{name}_n", line.get("n"))
        return text if number == line.get("n") else f"{text} (n={number})"

    return show


def _interval(line: Mapping[Any, Any], name: str, *, sign: str = "") -> str:
    low, high = line[f"{name}_low"], line[f"{name}_high"]
    return "" if pd.isna(low) else f" [{_end(low, sign)}, {_end(high, sign)}]"


def _end(value: float, sign: str) -> str:
    return f"{round(value, 3) + 0.0:{sign}.3f}"


def _significant(p: Any) -> str:
    return " *" if not pd.isna(p) and p <= ALPHA else ""


def _p_value(name: str) -> Show:
    """The p-value of a difference, with the same mark as the difference."""

    def show(value: float, line: Mapping[Any, Any]) -> str:
        return ("<0.0001" if value < 1e-4 else f"{value:.4f}") + _over(line, name)

    return show


def _time_to_target(value: float, line: Mapping[Any, Any]) -> str:
    reached, runs = line["reached_target"], line["n"]
    few = "" if reached == runs else f" ({reached} of {runs})"
    return _three_digits(value, line) + few + _marks({**line, "compiled_again": 0})


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


def _without_recompiles(value: float, line: Mapping[Any, Any]) -> str:
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
# behind a chosen value that lies at an end of its range
AT_END = "‖"
# behind what is over less than seeds and examples: an interval, a rank, a difference
OVER = {EXAMPLES: "§", SEEDS: "¶"}
# beside the spreads, columns that are written behind another one or not at all
JOINED = (
    "vs_parent_n", "vs_parent_low", "vs_parent_high", "vs_parent_p", "vs_next", "vs_next_low",
    "vs_next_high", "vs_next_p", "accuracy_low", "accuracy_high", "accuracy_over", "tied",
    "best", "reached_target", "vs_best", "pareto_note", "tune_ok", "tune_at_end",
    "family_pairs", "target_split", "rank_over", "vs_parent_over", "vs_next_over",
    "vs_best_over", *MARKS,
    "difference_low", "difference_high", "difference_over", "loss_difference_low",
    "loss_difference_high", "param_count_a", "param_count_b", "train_s_a",
    "train_s_b",
)  # fmt: skip
# not shown beside intervals, and only beside them
TIGHT = ("step_ms_p90", "examples_per_s")
ROOMY = ("train_s",)
# columns that lines have only where they say something
EXPECTED = {
    *ADDED, "vs_parent", "vs_parent_sd", "vs_parent_n", "tune", "tune_ok", "tune_at_end",
    "accuracy", "accuracy_sd", "status", *MARKS,
}  # fmt: skip
Show = Callable[[Any, Mapping[Any, Any]], str]
SHOWN: dict[str, Show] = {
    "rank": _rank,
    "accuracy": _accuracy,
    "loss": lambda value, _: f"{value:.4f}",
    "param_count": lambda value, _: f"{value:,}",
    "tune_trials": _trials,
    "compile_s": _without_recompiles,
    "step_ms_p50": _time,
    "step_ms_p90": _time,
    "examples_per_s": lambda value, line: f"{value:,.0f}{_marks(line)}",
    "train_s": _without_recompiles,
    "time_to_target_s": _time_to_target,
    "vs_parent": _difference("vs_parent"),
    "vs_next": _difference("vs_next"),
    "difference": _difference("difference"),
    "loss_difference": _difference("loss_difference"),
    **dict.fromkeys(
        ("error_ratio", "step_ratio", "params_ratio", "train_ratio"), _three_digits
    ),
    **dict.fromkeys(
        ("accuracy_a", "accuracy_b", "loss_a", "loss_b"), lambda value, _: f"{value:.4f}"
    ),
    "step_ms_p50_a": _three_digits,
    "step_ms_p50_b": _three_digits,
    "p": _p_value("difference"),
    "vs_parent_p": _p_value("vs_parent"),
    "vs_next_p": _p_value("vs_next"),
    "vs_best": lambda value, line: f"{value}{_over(line, 'vs_best')}",
    "status": _reason,
}
