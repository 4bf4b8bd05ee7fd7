"""The lines of the table with the runs behind each: what every section of a report is about.

A line is a cell, and its runs are the ones that the table counts. A line keeps its name, its
place within its data set and so its look through the whole report.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.comparison import read_evidence
from harness.recipe import Recipe
from harness.rows import Row
from harness.store import Store
from harness.table import counted, tabulate
from harness.table.labels import RECIPE

# hyper-parameters that stand in a column of their own, or behind the name of the line
NAMED = tuple(name for name in RECIPE if name not in ("limit", "tune_trials"))

DEFAULTS = Recipe().to_row()  # which need not be said


@dataclass(frozen=True, kw_only=True, eq=False)
class Line:
    """One line of the table.

    Attributes:
      number: which line of `tabulate`.
      place: within its data set, from 0; what its look is chosen by.
      dataset: the data set's selection, with the limit on it where that varies, and its
        fingerprint where the store has several versions of it.
      model: the model's selection, with the hyper-parameters that vary in the data set.
      settings: those that vary in the table and not in the data set, "" if none.
      values: the line's columns by name, without those that are missing.
      rows: the counted runs of the line, whatever became of them.
    """

    number: int
    place: int
    dataset: str
    model: str
    settings: str
    values: Mapping[str, Any]
    rows: tuple[Row, ...]

    @property
    def ok(self) -> list[Row]:
        return [row for row in self.rows if row["status"] == "ok"]

    @property
    def is_ranked(self) -> bool:
        """Whether it was compared with the other lines; one alone is not."""
        return "rank" in self.values

    @property
    def is_top(self) -> bool:
        """Whether no other line is shown to be better."""
        return self.values.get("rank") == 1

    def seeds(self, column: str) -> list[float]:
        """A column's values over the ok runs, without what is missing."""
        return [row[column] for row in self.ok if row[column] is not None]


def tabulated(
    store: Store, frame: pd.DataFrame, *, target_accuracy: float | None = None
) -> pd.DataFrame | None:
    """The table of some rows with all statistics; None if there are no rows.

    Raises:
      StoreError: the store cannot be read.
    """
    if frame.empty:
        return None
    evidence = read_evidence(store, counted(frame), epochs=target_accuracy is not None)
    return tabulate(frame, evidence=evidence, target_accuracy=target_accuracy)


def read_lines(frame: pd.DataFrame, table: pd.DataFrame) -> list[Line]:
    """The lines of a table in its order, data set by data set.

    Args:
      frame: rows as `Store.frame` gives them.
      table: what `tabulate` made of them.
    """
    runs: dict[int, list[Row]] = {}
    for values in _records(counted(frame)):
        runs.setdefault(int(values["cell"]), []).append(values)
    groups: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    listed = list(enumerate(_records(table)))
    names = [_data_named(values, runs.get(number, [])) for number, values in listed]
    for name, one in zip(names, listed, strict=True):
        groups.setdefault(name, []).append(one)
    lines = []
    for dataset, members in groups.items():
        varying = _varying([values for _, values in members])
        models = _models(members, varying, runs)
        for place, (model, (number, values)) in enumerate(zip(models, members, strict=True)):
            line = Line(
                number=number, place=place, dataset=dataset, model=model,
                settings=named({**values, "model": ""}, [
                    n for n in NAMED if n not in varying and values.get(n) != DEFAULTS[n]
                ]),
                values={k: v for k, v in values.items() if v is not None},
                rows=tuple(runs.get(number, ())),
            )  # fmt: skip
            lines.append(line)
    return lines


def _models(
    members: Sequence[tuple[int, Mapping[str, Any]]],
    varying: set[str],
    runs: Mapping[int, Sequence[Row]],
) -> list[str]:
    """The names of the lines of one data set, with their tuning where nothing else differs."""
    names = [
        named(values, [n for n in NAMED if n in varying - set(chosen(runs.get(number, ())))])
        for number, values in members
    ]
    return [
        f"{name}, tuned over {printable(values['tune'])}"
        if names.count(name) > 1 and values.get("tune")
        else name
        for name, (_, values) in zip(names, members, strict=True)
    ]


def datasets(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """The lines of each data set, in order."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.dataset, []).append(line)
    return found


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Plain Python values, None for what is missing."""
    listed = frame.astype(object).where(frame.notna(), None)
    return [{str(k): v for k, v in row.items()} for row in listed.to_dict(orient="records")]


def _data_named(values: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """The data set, and how much of it is used where the table has a column for that."""
    limit = rows[0]["limit"] if rows and "limit" in values else None
    told = "" if limit is None else f", first {limit:,} examples"
    return printable(f"{values['dataset']}{told}")


def _varying(members: Sequence[Mapping[str, Any]]) -> set[str]:
    """The hyper-parameters that tell the lines of one data set apart."""
    return {name for name in NAMED if len({values.get(name) for values in members}) > 1}


def chosen(rows: Sequence[Row]) -> dict[str, Any]:
    """What tuning chose for the runs of a line, by the names of its space; {} if untuned."""
    tune = next((row["tune"] for row in rows if row["tune"]), None)
    return {} if tune is None else json.loads(tune).get("chosen", {})


def named(values: Mapping[str, Any], shown: Sequence[str]) -> str:
    """The model with some of its settings."""
    settings = [
        f"{name.replace('_', ' ')} {_short(values[name])}"
        for name in shown
        if values.get(name) is not None
    ]
    return printable(", ".join(filter(None, [str(values["model"]), *settings])))


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def printable_lines(text: str) -> str:
    """Lines without control characters, which a page could not hold."""
    return "\n".join(
        "".join(c if c.isprintable() or c == "\t" else " " for c in line)
        for line in text.splitlines()
    )


def printable(text: object) -> str:
    """One line without control characters, as every figure and page can show it."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
