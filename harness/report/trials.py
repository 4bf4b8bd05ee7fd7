"""The trials of tuning: what was tried, for which line of the table, and how it did.

A trial belongs to the line whose values it helped to choose: both were asked for alike, over
the same space with the same budget, and made by the same code. It has that line's name and
look. A trial whose line is not in the table, because its tuning goes on or failed or newer code
has made another, has a place of its own behind the lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.halving import order
from harness.report.lines import NAMED, Line, named, printable
from harness.rows import Row
from harness.table.counted import made_by
from harness.table.labels import DATASET, MODEL, RECIPE, SHORT, labels
from harness.table.tuned import as_asked

# what a trial has of its own, where its line has what the whole recipe says
OWN = ("epochs", "tune_trials")
ALIKE = (*DATASET, *MODEL, *(name for name in RECIPE if name not in OWN), "tuning")
DATA = (*DATASET, "limit")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial.

    Attributes:
      dataset, model: names, those of its line if that is there.
      place: of what it is a trial, among those of its data set: what its look is chosen by.
      rung: of successive halving, from 0.
      chosen: the values tried, by the names that the user gave them.
      score: validation accuracy, or where there is none the validation loss.
      order: what tuning sorts the trials of a rung by, the best first.
    """

    run_id: str
    dataset: str
    model: str
    place: int
    rung: int
    epochs: int | None
    chosen: dict[str, Any]
    score: float | None
    order: tuple[float, float, int]
    is_loss: bool
    status: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What trials were made for."""

    dataset: str
    model: str
    place: int


def read_trials(frame: pd.DataFrame, lines: Sequence[Line]) -> list[Trial]:
    """The trials among rows, in the order of the store.

    Args:
      lines: of the table of the same rows.
    """
    if not bool((frame["kind"] == "trial").any()):
        return []
    rows = _asked(frame)
    trials = [row for row in rows if row["kind"] == "trial"]
    known = _of_lines(trials, rows, lines)
    rest = [row for row in trials if row["run_id"] not in known]
    cells = {**known, **_of_no_line(rest, lines)}
    return [_trial(row, cells[row["run_id"]]) for row in trials]


def _asked(frame: pd.DataFrame) -> list[Row]:
    """The rows as they were asked for, with labels of data set and model and what made them."""
    asked, made = as_asked(frame), made_by(frame)
    asked["data_label"] = _labels(asked, DATASET)
    asked["model_label"] = _labels(asked, MODEL)
    asked["made_by"] = [_known(row) for row in made.to_dict(orient="records")]
    listed = asked.astype(object).where(asked.notna(), None)
    return [{str(k): v for k, v in row.items()} for row in listed.to_dict(orient="records")]


def _known(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(k): v for k, v in values.items() if not pd.isna(v)}


def _labels(rows: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    name, variant, params = (rows[column].fillna("") for column in columns)
    return labels(zip(name, variant, params, strict=True))


def _of_lines(
    trials: Sequence[Row], rows: Sequence[Row], lines: Sequence[Line]
) -> dict[str, Cell]:
    """The cells of the trials whose line is there, by run."""
    by_run = {row["run_id"]: row for row in rows}
    alike: dict[tuple[Any, ...], list[tuple[Line, Row]]] = {}
    for line in lines:
        first, *others = (by_run[row["run_id"]] for row in line.rows)
        made = {k: v for row in (*others, first) for k, v in row["made_by"].items()}
        row = {**first, "made_by": made}
        alike.setdefault(_values(row, ALIKE), []).append((line, row))
    found = {}
    for trial in trials:
        for line, row in alike.get(_values(trial, ALIKE), ()):
            if _is_for(trial, row):
                found[trial["run_id"]] = _cell(line, row)
                break
    return found


def _values(row: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def _is_for(trial: Row, row: Row) -> bool:
    """Whether a trial has the code, the data and the epochs of those before this row.

    What only one of the two tells, tells them not apart: a trial may never have read the data.
    """
    rungs, rung = _tune(row).get("rungs"), _rung(trial)
    fits = not rungs or (rung < len(rungs) and rungs[rung][1] == trial["epochs"])
    made, others = trial["made_by"], row["made_by"]
    # trials of several optimizers have the sources of several
    tuned = {f"{name} source" for name in _tune(row).get("space", ())}
    return fits and all(made[k] == others[k] for k in (made.keys() & others.keys()) - tuned)


def _cell(line: Line, row: Row) -> Cell:
    # the line's name has the parameters that were chosen in place of those that were asked for
    settings = line.model.removeprefix(printable(line.values["model"]))
    name = f"{printable(row['model_label'])}{settings}"
    return Cell(dataset=line.dataset, model=name, place=line.place)


def _of_no_line(trials: Sequence[Row], lines: Sequence[Line]) -> dict[str, Cell]:
    """The cells of the other trials, by run; in each data set behind the lines."""
    versions: dict[tuple[Any, ...], dict[str | None, str]] = {}
    for line in lines:
        for row in line.rows:
            known = versions.setdefault(_values(row, DATA), {})
            known.setdefault(row["data_fingerprint"], line.dataset)
    groups: dict[str, list[Row]] = {}
    for row in trials:
        groups.setdefault(_dataset(row, versions), []).append(row)
    found: dict[str, Cell] = {}
    for dataset, own in groups.items():
        found |= _behind(dataset, own, [one for one in lines if one.dataset == dataset])
    return found


def _dataset(row: Row, versions: dict[tuple[Any, ...], dict[str | None, str]]) -> str:
    """The name that the lines give these data, or else one that no other data have."""
    version, known = row["data_fingerprint"], versions.setdefault(_values(row, DATA), {})
    if version is None and known:  # it never came to read them
        return next(iter(known.values()))
    if version not in known:
        limit = "" if row["limit"] is None else f", first {row['limit']:,} examples"
        name = f"{row['data_label']}{limit}"
        taken = {name for several in versions.values() for name in several.values()}
        if printable(name) in taken and version is not None:
            name = f"{row['data_label']} (data {version[:SHORT]}){limit}"
        known[version] = printable(name)
    return known[version]


def _behind(dataset: str, trials: Sequence[Row], lines: Sequence[Line]) -> dict[str, Cell]:
    """The cells of the trials of one data set that belong to none of its lines."""
    settings = [n for n in NAMED if n not in OWN and len({row[n] for row in trials}) > 1]
    cells: dict[tuple[Any, ...], Cell] = {}
    found = {}
    for row in trials:
        key = _values(row, ALIKE)
        if key not in cells:
            name = named({**row, "model": row["model_label"]}, settings)
            absent = " (not in the table)" if any(one.model == name for one in lines) else ""
            cells[key] = Cell(
                dataset=dataset, model=f"{name}{absent}", place=len(lines) + len(cells)
            )
        found[row["run_id"]] = cells[key]
    return found


def _trial(row: Row, cell: Cell) -> Trial:
    is_loss = row["val_accuracy"] is None
    score = row["val_loss"] if is_loss else row["val_accuracy"]
    return Trial(
        run_id=row["run_id"], dataset=cell.dataset, model=cell.model, place=cell.place,
        rung=_rung(row), epochs=row["epochs"], chosen=dict(_tune(row).get("chosen", {})),
        score=score, order=order(int(_tune(row).get("trial", 0)), row), is_loss=is_loss,
        status=row["status"] or "",
    )  # fmt: skip


def _rung(row: Row) -> int:
    return int(_tune(row).get("rung", 0))


def _tune(row: Row) -> dict[str, Any]:
    return json.loads(row["tune"] or "{}")
