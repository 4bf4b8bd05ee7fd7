"""The two halves of a comparison, and which of their lines meet.

Lines meet where everything that is not compared is the same: data set and recipe, and the model
where commits or stores are compared. A parameter that came between two versions of an entry is
known to one side alone. It keeps no lines apart, and the line says which it is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.comparison.families import Answers
from harness.errors import UsageError
from harness.parameters import show
from harness.table.cells import DATASET, MODEL, counted, tabulate
from harness.table.known import answers_of
from harness.table.labels import RECIPE, parameters
from harness.table.sides import Side
from harness.table.tuned import as_asked, tuning_text

PARAMETERS = {"dataset_params": "dataset.", "model_params": "model."}
Key = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Half:
    """One side's lines, as far as comparing them goes.

    Attributes:
      side: whose they are.
      runs: its `ok` runs that count, with a column `cell`.
      lines: of `tabulate`, by cell.
      asked: the first run of each cell as it was asked for, by cell.
      answers: of cells, where all runs have some.
      cells: by what has to be the same on the other side, in the order of `names`.
      names: of columns.
    """

    side: Side
    runs: pd.DataFrame
    lines: pd.DataFrame
    asked: pd.DataFrame
    answers: Mapping[int, Answers]
    cells: Mapping[Key, int]
    names: Sequence[str]

    def of(self, cell: int) -> pd.DataFrame:
        """The runs of a cell."""
        return self.runs.loc[self.runs["cell"] == cell]


@dataclass(frozen=True)
class Meeting:
    """Two cells that are compared, and the parameters with values that only one of them has."""

    first: int
    second: int
    alone: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def notes(self) -> list[str]:
        told = zip("AB", self.alone, strict=True)
        return [f"{side} alone has {', '.join(names)}" for side, names in told if names]


def half_of(side: Side) -> Half:
    """The lines of a side.

    Raises:
      UsageError: no run is ok, or a word stands for several lines of one data set and recipe.
    """
    runs = counted(side.frame)
    runs = runs.loc[runs["status"] == "ok"]
    if runs.empty:
        raise UsageError(f"{side.name}: no run is ok; `harness table` says why")
    asked = as_asked(runs.drop_duplicates("cell")).set_index("cell", drop=False)
    names = [*DATASET, *RECIPE, "recipe_tuning"]
    names += [] if side.kind == "model" else [*MODEL, "tuning"]
    lines = tabulate(side.frame)
    return Half(
        side=side, runs=runs, lines=lines, asked=asked,
        answers=answers_of(runs, side.evidence), cells=_cells(side, asked, lines, names),
        names=names,
    )  # fmt: skip


def _cells(
    side: Side, asked: pd.DataFrame, lines: pd.DataFrame, names: Sequence[str]
) -> dict[Key, int]:
    keys = asked[names].astype(object).where(asked[names].notna(), None)
    found: dict[Key, list[int]] = defaultdict(list)
    for cell, key in zip(asked.index, keys.itertuples(index=False, name=None), strict=True):
        found[key].append(int(cell))
    for several in found.values():
        if len(several) > 1:
            there = ", ".join(lines["model"].iloc[several])
            raise UsageError(
                f"{side.name!r} stands for {len(several)} cells of "
                f"{lines['dataset'].iloc[several[0]]}: {there}; name one with its parameters"
            )
    return {key: cell for key, (cell,) in found.items()}


def meetings(one: Half, two: Half) -> list[Meeting]:
    """The cells of two sides that are compared, in the order of the first side.

    Cells that are the same meet, and of the others those that agree in all that both know.

    Raises:
      UsageError: there are none; says in what the nearest differ.
    """
    free = [key for key in two.cells if key not in one.cells]
    found = []
    for key, cell in one.cells.items():
        others = [key] if key in two.cells else [k for k in free if _agree(one.names, key, k)]
        for other in others:
            alone = _alone(one.names, key, other), _alone(one.names, other, key)
            found.append(Meeting(cell, two.cells[other], alone))
    if not found:
        raise UsageError(f"nothing to compare: {_apart(one, two)}")
    return found


def _agree(names: Sequence[str], a: Key, b: Key) -> bool:
    return not any(True for _ in _differing(names, a, b))


def _differing(names: Sequence[str], a: Key, b: Key) -> Iterator[tuple[str, Any, Any]]:
    """Name and both values of each setting in which cells differ that both of them know."""
    for name, x, y in zip(names, a, b, strict=True):
        if name in PARAMETERS:
            left, right = parameters(x), parameters(y)
            for key in left:
                if key in right and left[key] != right[key]:
                    yield PARAMETERS[name] + key, show(left[key]), show(right[key])
        elif x != y:
            yield name, x, y


def _alone(names: Sequence[str], a: Key, b: Key) -> tuple[str, ...]:
    """The parameters that only the first cell has, with their values."""
    return tuple(
        f"{PARAMETERS[name]}{key}={show(value)}"
        for name, x, y in zip(names, a, b, strict=True) if name in PARAMETERS
        for key, value in parameters(x).items() if key not in parameters(y)
    )  # fmt: skip


def _apart(one: Half, two: Half) -> str:
    """The settings in which the nearest cells of two sides differ, or what each side has."""
    same = [*DATASET, *(MODEL if one.side.kind != "model" else ())]
    at = [one.names.index(name) for name in same if name not in PARAMETERS]
    near = [
        _settings(one.names, a, b, (one.asked.at[i, "tuning"], two.asked.at[j, "tuning"]))
        for a, i in one.cells.items() for b, j in two.cells.items()
        if all(a[k] == b[k] for k in at)
    ]  # fmt: skip
    if near:
        told = ", ".join(f"{name} ({a}; {b})" for name, a, b in min(near, key=len))
        return f"{one.side.name} and {two.side.name} differ in {told}; run both with the same"
    return (
        f"{_described(one)}; {_described(two)}; both sides need rows with the same data set "
        "and recipe"
    )


def _settings(
    names: Sequence[str], a: Key, b: Key, tuning: tuple[str, str]
) -> list[tuple[str, Any, Any]]:
    """What two cells differ in, `tuning` (of `as_asked`) as one."""
    found = {name: (x, y) for name, x, y in _differing(names, a, b)}
    spaces = [found.pop(name, None) for name in ("recipe_tuning", "tuning")]
    if any(spaces):
        tuned = {key for text in tuning if text for key in json.loads(text)[0]}
        found = {k: v for k, v in found.items() if k not in {*tuned, "tune_trials"}}
        found = {"tune": tuple(tuning_text(text) or "untuned" for text in tuning), **found}
    return [(name, x, y) for name, (x, y) in found.items()]


def _described(half: Half) -> str:
    names = [n for n in half.lines if n in ("dataset", "model", *RECIPE)]
    entries = half.lines[names].drop_duplicates().itertuples(index=False, name=None)
    recipes = half.runs[["epochs", "batch_size", "learning_rate"]].drop_duplicates()
    told = ", ".join(entry_text(names, entry) for entry in list(entries)[:4])
    few = "; ".join(
        f"epochs {e}, batch size {b}, learning rate {r:g}"
        for e, b, r in list(recipes.itertuples(index=False))[:4]
    )
    return f"{half.side.name} has {told} ({few})"


def entry_text(names: Sequence[str], values: Sequence[Any]) -> str:
    """What a line is of; a limit, say, need not be known of it."""
    return " ".join(
        f"{name}={value}" if name in RECIPE else str(value)
        for name, value in zip(names, values, strict=True) if not pd.isna(value)
    )  # fmt: skip
