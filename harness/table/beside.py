"""Two sides, side by side: effect sizes first, then what each side has.

Lines of the two sides meet where everything that is not compared is the same: data set and
recipe, and the model where commits or stores are compared.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.comparison import Pair, family, holm, seeds_interval
from harness.comparison.families import Answers
from harness.errors import UsageError
from harness.table.cells import DATASET, MODEL, counted, tabulate
from harness.table.known import answers_of, apart
from harness.table.labels import RECIPE
from harness.table.render import to_text, with_caption
from harness.table.sides import Side
from harness.table.tuned import as_asked

VALUES = ("accuracy", "param_count", "step_ms_p50", "train_s")
RATIOS = {"step_ms_p50": "step_ratio", "param_count": "params_ratio", "train_s": "train_ratio"}
TIMES = ("step_ms_p50", "train_s")
COLUMNS = [
    "seeds", "difference", "difference_low", "difference_high", "p", "error_ratio",
    *RATIOS.values(), *(f"{name}_{side}" for name in VALUES for side in "ab"), "note",
]  # fmt: skip


@dataclass(frozen=True)
class _Half:
    """One side's lines, as far as comparing them goes."""

    side: Side
    runs: pd.DataFrame
    lines: pd.DataFrame
    answers: Mapping[int, Answers]
    cells: Mapping[tuple[Any, ...], list[int]]
    names: Sequence[str]


def beside(first: Side, second: Side) -> pd.DataFrame:
    """A line for each data set and recipe (and model) that both sides have.

    Columns: what the lines are of; `difference`, the first side's accuracy minus the second's
    on common `seeds`, with its 95 % interval; `p`, by Holm adjusted for all lines; ratios of
    the first to the second in error (1 - accuracy), step time, parameters and training time;
    the values of each side (`_a`, `_b`); `note` says why something is missing.

    Raises:
      UsageError: sides of different kinds, a word that stands for several lines of one data
        set and recipe, or nothing in common.
    """
    if first.kind != second.kind:
        raise UsageError(
            f"{first.name!r} is a {first.kind} and {second.name!r} a {second.kind}; compare "
            "two models, two commits or two stores"
        )
    halves = _half(first), _half(second)
    common = [key for key in halves[0].cells if key in halves[1].cells]
    if not common:
        raise UsageError(f"nothing to compare: {_apart(*halves)}")
    lines = [_line(*halves, halves[0].cells[key][0], halves[1].cells[key][0]) for key in common]
    frame = pd.DataFrame(lines)
    known = frame["p"].notna()
    frame.loc[known, "p"] = holm(frame.loc[known, "p"].to_numpy(dtype=float))
    names = [name for name in COLUMNS if name != "note" or bool(frame["note"].ne("").any())]
    told = [name for name in frame if name not in COLUMNS]
    shown: pd.DataFrame = frame.loc[:, [*told, *names]]
    return shown.astype({"note": "string"}) if "note" in names else shown


def beside_text(lines: pd.DataFrame, format: str, *, below: str) -> str:
    """The lines of `beside` for people, with what they are below, or for programs.

    People see the notes below, and neither them nor step times among the columns.

    Args:
      format: "text", "markdown" or "latex", "csv" or "json" (an array of objects).
      below: from `beside_caption`.
    """
    if format == "csv":
        return lines.to_csv(index=False, lineterminator="\n")
    if format == "json":
        return str(lines.to_json(orient="records", indent=1, double_precision=15))
    shown = lines.drop(columns=["step_ms_p50_a", "step_ms_p50_b", "note"], errors="ignore")
    return with_caption(to_text(shown, format), below, format)


def _half(side: Side) -> _Half:
    runs = counted(side.frame)
    runs = runs.loc[runs["status"] == "ok"]
    if runs.empty:
        raise UsageError(f"{side.name}: no run is ok; `harness table` says why")
    asked = as_asked(runs.drop_duplicates("cell"))
    names = [*DATASET, *RECIPE, "recipe_tuning"]
    names += [] if side.kind == "model" else [*MODEL, "tuning"]
    keys = asked[names].astype(object).where(asked[names].notna(), None)
    cells: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for cell, key in zip(asked["cell"], keys.itertuples(index=False, name=None), strict=True):
        cells[key].append(int(cell))
    lines = tabulate(side.frame)
    for several in cells.values():
        if len(several) > 1:
            there = ", ".join(lines["model"].iloc[several])
            raise UsageError(
                f"{side.name!r} stands for {len(several)} cells of "
                f"{lines['dataset'].iloc[several[0]]}: {there}; name one with its parameters"
            )
    return _Half(side, runs, lines, answers_of(runs, side.evidence), cells, names)


def _line(one: _Half, two: _Half, first: int, second: int) -> dict[str, Any]:
    a, b = one.lines.iloc[first], two.lines.iloc[second]
    told = {"dataset": a["dataset"]}
    told |= {} if one.side.kind == "model" else {"model": a["model"]}
    # the recipe tells lines apart where it has columns
    told |= {name: a[name] for name in one.lines if name in RECIPE and name in two.lines}
    runs = one.runs.loc[one.runs["cell"] == first], two.runs.loc[two.runs["cell"] == second]
    same_data = _agree(*runs, ["data_fingerprint"])
    notes = [] if same_data else ["other data, so nothing is paired"]
    answers = one.answers.get(first), two.answers.get(second)
    told |= _difference(*runs, answers, notes) if same_data else dict(NOTHING)
    place = apart(pd.concat(runs))
    why = [f"{' and '.join(place)} differ{'s' * (len(place) == 1)}"] if place else []
    why += ["another run went on beside"] if any(_shared(some) for some in runs) else []
    comparable = not why
    notes += [f"times not comparable: {' and '.join(why)}"] if why else []
    told["error_ratio"] = _ratio(1 - a.get("accuracy", np.nan), 1 - b.get("accuracy", np.nan))
    for name, ratio in RATIOS.items():
        given = comparable or name not in TIMES
        told[ratio] = _ratio(a[name], b[name]) if given else np.nan
    for name in VALUES:
        told |= {f"{name}_a": a.get(name, np.nan), f"{name}_b": b.get(name, np.nan)}
    return told | {"note": "; ".join(notes)}


NOTHING = {"seeds": 0, "difference": np.nan, "difference_low": np.nan,
           "difference_high": np.nan, "p": np.nan}  # fmt: skip


def _difference(
    one: pd.DataFrame,
    two: pd.DataFrame,
    answers: tuple[Answers | None, Answers | None],
    notes: list[str],
) -> dict[str, Any]:
    """Over seeds and examples where answers are stored, else over seeds alone."""
    first, second = answers
    if first is not None and second is not None:
        pair: Pair | None = family({0: first, 1: second}).get((0, 1))
        if pair is not None:
            if pair.seeds == 1:
                notes.append("one seed: about these two trained models")
            return {
                "seeds": pair.seeds, "difference": pair.estimate, "difference_low": pair.low,
                "difference_high": pair.high, "p": pair.p,
            }  # fmt: skip
    accuracies = (some.set_index("seed")["test_accuracy"] for some in (one, two))
    first_side, second_side = accuracies
    paired = (first_side - second_side).dropna().to_numpy(dtype=float)
    if not len(paired):
        notes.append("no common seed")
        return dict(NOTHING)
    notes.append("over seeds only: answers are not stored")
    told = seeds_interval(paired)
    return {
        "seeds": len(paired), "difference": told.estimate, "difference_low": told.low,
        "difference_high": told.high, "p": np.nan,
    }  # fmt: skip


def _agree(one: pd.DataFrame, two: pd.DataFrame, names: list[str]) -> bool:
    return len(pd.concat([one[names], two[names]]).drop_duplicates()) == 1


def _shared(runs: pd.DataFrame) -> bool:
    return not bool(runs["timing_comparable"].fillna(True).all())


def _ratio(first: Any, second: Any) -> float:
    if pd.isna(first) or pd.isna(second) or second == 0:
        return float("nan")
    return float(first) / float(second)


def _apart(one: _Half, two: _Half) -> str:
    """The settings in which the nearest cells of two sides differ, or what each side has."""
    same = [*DATASET, *(MODEL if one.side.kind != "model" else ())]
    at = [one.names.index(name) for name in same]
    near = [
        settings for a in one.cells for b in two.cells
        if all(a[i] == b[i] for i in at) and (settings := _settings(one.names, a, b))
    ]  # fmt: skip
    if near:
        told = ", ".join(f"{name} ({a}; {b})" for name, a, b in min(near, key=len))
        return f"{one.side.name} and {two.side.name} differ in {told}"
    return (
        f"{_described(one)}; {_described(two)}; both sides need rows with the same data set "
        "and recipe"
    )


def _settings(names: Sequence[str], a: Sequence[Any], b: Sequence[Any]) -> list[tuple]:
    """Name and both values of each setting in which two cells differ, tuning as one."""
    found = {name: (x, y) for name, x, y in zip(names, a, b, strict=True) if x != y}
    spaces = [found.pop(name, None) for name in ("recipe_tuning", "tuning")]
    told = next((space for space in spaces if space), None)
    if told:
        tuned = {key for text in told if text for key in json.loads(text)[0]}
        found = {k: v for k, v in found.items() if k not in {*tuned, "tune_trials"}}
        found = {"tune": (_tuning(told[0]), _tuning(told[1])), **found}
    return [(name, x, y) for name, (x, y) in found.items()]


def _tuning(text: str) -> str:
    if not text:
        return "untuned"
    space, budget = json.loads(text)
    return f"{' '.join(f'{key}={values}' for key, values in space.items())}, budget {budget}"


def _described(half: _Half) -> str:
    names = [n for n in half.lines if n in ("dataset", "model", *RECIPE)]
    entries = half.lines[names].astype(str).drop_duplicates().itertuples(index=False)
    recipes = half.runs[["epochs", "batch_size", "learning_rate"]].drop_duplicates()
    told = ", ".join(" ".join(entry) for entry in list(entries)[:4])
    few = "; ".join(
        f"epochs {e}, batch size {b}, learning rate {r:g}"
        for e, b, r in list(recipes.itertuples(index=False))[:4]
    )
    return f"{half.side.name} has {told} ({few})"
