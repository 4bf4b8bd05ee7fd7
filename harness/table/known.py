"""What is known of the lines of a table, and what is not: the columns that evidence adds.

Lines are compared within one data set: the same examples, the same limit. A line whose runs
all have stored answers has an interval over seeds and test examples, and is one of the family
of `harness.comparison.families`; another one has what its seeds can say, and no rank. What was
not compared is never called a tie: `vs_best` says of each line how it stands to the one with
the highest accuracy.

A column whose name ends with `_over` says what another measurement would have drawn anew, as
of a `harness.comparison.Interval`: "examples" where a single seed decides, so that the number
beside it is about trained models and not about what other seeds would give.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from harness.comparison import (
    Evidence,
    Interval,
    Pair,
    best,
    family,
    front,
    mean_interval,
    ranks,
    ranks_over,
    seeds_interval,
    time_to_target,
)
from harness.comparison.families import Answers, Labelled

DATA = ["dataset", "dataset_variant", "dataset_params", "data_fingerprint", "limit"]
# where times must have been measured to be compared
PLACE = ["host", "cpu_model", "device_kind", "device_count", "mesh", "allocator"]
# a letter for each front, and the column of its cost
FRONTS = {"S": "step_ms_p50", "P": "param_count", "T": "train_s"}
# what `vs_best` says of a line that is better where both have seeds, if its mean is lower
BETTER = "better on common seeds"
TYPES: dict[str, Any] = {
    "accuracy_low": "float64", "accuracy_high": "float64", "accuracy_over": "string",
    "rank": "Int64", "rank_over": "string", "tied": "boolean", "best": "boolean",
    "time_to_target_s": "float64", "reached_target": "Int64", "pareto": "string",
    "vs_parent_low": "float64", "vs_parent_high": "float64", "vs_parent_p": "float64",
    "vs_parent_over": "string", "vs_next": "float64", "vs_next_low": "float64",
    "vs_next_high": "float64", "vs_next_p": "float64", "vs_next_over": "string",
    "vs_best": "string", "vs_best_over": "string", "pareto_note": "string",
    "family_pairs": "Int64", "target_split": "string",
}  # fmt: skip
ADDED = tuple(TYPES)
Line = dict[str, Any]


def known(
    ok: pd.DataFrame,
    measured: pd.DataFrame,
    parent_of: Mapping[int, int],
    evidence: Evidence,
    *,
    target_accuracy: float | None = None,
) -> pd.DataFrame:
    """The columns of `TYPES` by cell.

    Args:
      ok: the `ok` runs that count, with a column `cell`.
      measured: by cell `accuracy`, `shared` and the costs of `FRONTS`.
      parent_of: the cell of each variant's parent.
      evidence: on these runs.
      target_accuracy: without it there are no `time_to_target_s` and `reached_target`.
    """
    lines: dict[int, Line] = {}
    for _, runs in ok.groupby(DATA, dropna=False, sort=False):
        cells = runs["cell"].unique().tolist()
        answers = answers_of(runs, evidence)
        pairs = family(answers)
        lines |= {cell: {} for cell in cells}
        for cell, some in _by_cell(runs).items():
            lines[cell] |= _interval(answers.get(cell), [run[2] for run in some])
            if target_accuracy is not None:
                lines[cell] |= _reached([run[1] for run in some], evidence, target_accuracy)
        if pairs:
            for cell in cells:
                lines[cell]["family_pairs"] = len(pairs) // 2
        _rank(lines, cells, answers, pairs)
        judged = measured.loc[cells].dropna(subset=["accuracy"])
        _against_best(lines, judged["accuracy"], pairs)
        _neighbours(lines, judged["accuracy"], pairs)
        _compare_with_parents(lines, runs, parent_of, pairs)
        timed = runs.loc[runs["cell"].isin(judged.index)]
        _mark_fronts(lines, judged, apart(timed))
    names = [n for n in TYPES if target_accuracy is not None or "target" not in n]
    found = pd.DataFrame.from_dict(lines, orient="index", columns=names)
    return found.astype({name: TYPES[name] for name in names})


def all_pairs(ok: pd.DataFrame, evidence: Evidence) -> list[Pair]:
    """Each pair of lines once, family after family."""
    return [
        pair for _, runs in ok.groupby(DATA, dropna=False, sort=False)
        for (first, second), pair in family(answers_of(runs, evidence)).items()
        if first < second
    ]  # fmt: skip


def answers_of(runs: pd.DataFrame, evidence: Evidence) -> dict[int, Answers]:
    """The answers, by seed, of each line all of whose runs have some to the same labels."""
    found: dict[int, Answers] = {}
    for cell, some in _by_cell(runs).items():
        told = {seed: evidence.right[run] for seed, run, _ in some if run in evidence.right}
        labels = {evidence.labels.get(run, "") for _, run, _ in some}
        alike = len({len(right) for right in told.values()}) == len(labels) == 1
        if len(told) == len(some) and alike:
            found[cell] = Labelled(told, labels.pop())
    return found


def _by_cell(runs: pd.DataFrame) -> dict[int, list[tuple[int, str, float]]]:
    """Seed, id and accuracy of each run, by cell."""
    found: dict[int, list[tuple[int, str, float]]] = defaultdict(list)
    columns = runs[["cell", "seed", "run_id", "test_accuracy"]]
    for cell, seed, run, accuracy in columns.itertuples(index=False, name=None):
        found[cell].append((seed, run, accuracy))
    return found


def in_order(names: Sequence[str]) -> list[str]:
    """The columns of a line as a reader takes them; without an accuracy all is said."""
    if "accuracy" not in names:
        return [name for name in names if name not in ADDED]
    before, behind = (
        ("rank", "rank_over", "tied", "best"),
        ("accuracy_low", "accuracy_high", "accuracy_over"),
    )
    rest = [name for name in names if name not in {*before, *behind}]
    at = rest.index("accuracy")
    moved = [[n for n in some if n in names] for some in (before, behind)]
    return [*rest[:at], *moved[0], "accuracy", *moved[1], *rest[at + 1 :]]


def _interval(answers: Answers | None, accuracies: list[float]) -> Line:
    if answers is None:
        told: Interval = seeds_interval(np.array(accuracies, dtype=float), within=(0.0, 1.0))
    else:
        told = mean_interval(np.stack(list(answers.values())))
    over = told.over or None
    return {"accuracy_low": told.low, "accuracy_high": told.high, "accuracy_over": over}


def _reached(runs: list[str], evidence: Evidence, target: float) -> Line:
    times = [time_to_target(evidence.epochs.get(run, ()), target) for run in runs]
    reached = [seconds for seconds in times if seconds is not None]
    judged = {
        "validation" if epoch.get("val_accuracy") is not None else "test"
        for run in runs
        for epoch in evidence.epochs.get(run, ())
    }
    return {
        "target_split": " and ".join(sorted(judged)) or None,
        "time_to_target_s": median(reached) if reached else None,
        "reached_target": len(reached),
    }


def _rank(
    lines: dict[int, Line],
    cells: Sequence[int],
    answers: Mapping[int, Answers],
    pairs: Mapping[Any, Pair],
) -> None:
    accuracy = {cell: float(np.mean(list(told.values()))) for cell, told in answers.items()}
    placed, first, over = ranks(accuracy, pairs), best(cells, pairs), ranks_over(pairs)
    for cell, rank in placed.items():
        beside = [other for other in placed if other != cell and placed[other] == rank]
        tied = any(not pairs[cell, other].significant for other in beside)
        lines[cell] |= {"rank": rank, "rank_over": over[cell], "tied": tied}
        lines[cell] |= {"best": cell == first}


def _against_best(
    lines: dict[int, Line], accuracy: pd.Series, pairs: Mapping[Any, Pair]
) -> None:
    """How each line stands to the one with the highest accuracy; one alone to none.

    Each mean is over all seeds of its line, so on the common ones the other may be better.
    """
    if len(accuracy) < 2:
        return
    first = int(accuracy.index[int(np.argmax(accuracy.to_numpy(dtype=float)))])
    for cell in accuracy.index:
        pair: Pair | None = pairs.get((first, cell))
        lines[cell]["vs_best"] = "best" if cell == first else _verdict(pair)
        lines[cell]["vs_best_over"] = None if pair is None else pair.over


def _verdict(pair: Pair | None) -> str:
    """What is known of the second line of a pair whose first has the highest accuracy."""
    if pair is None:
        return "not compared"
    if not pair.significant:
        return "tied"
    return "worse" if pair.estimate > 0 else BETTER


def _neighbours(lines: dict[int, Line], accuracy: pd.Series, pairs: Mapping[Any, Pair]) -> None:
    """Each line's difference from the one with the next lower accuracy, if they are a pair."""
    ordered = accuracy.sort_values(ascending=False, kind="stable").index
    for cell, other in pairwise(ordered):
        if (cell, other) in pairs:
            pair = pairs[cell, other]
            lines[cell] |= {"vs_next": pair.estimate} | _told("vs_next", pair)


def _compare_with_parents(
    lines: dict[int, Line],
    runs: pd.DataFrame,
    parent_of: Mapping[int, int],
    pairs: Mapping[Any, Pair],
) -> None:
    accuracy = runs.set_index(["cell", "seed"])["test_accuracy"]
    here = set(runs["cell"])
    for child, parent in parent_of.items():
        if (child, parent) in pairs:
            lines[child] |= _told("vs_parent", pairs[child, parent])
        elif {child, parent} <= here:
            over_seeds = (accuracy.loc[child] - accuracy.loc[parent]).to_numpy(dtype=float)
            told = seeds_interval(over_seeds, within=(-1.0, 1.0))
            lines[child] |= {"vs_parent_low": told.low, "vs_parent_high": told.high,
                             "vs_parent_over": told.over or None}  # fmt: skip


def _told(name: str, pair: Pair) -> Line:
    return {
        f"{name}_low": pair.low, f"{name}_high": pair.high, f"{name}_p": pair.p_holm,
        f"{name}_over": pair.over,
    }  # fmt: skip


def _mark_fronts(lines: dict[int, Line], measured: pd.DataFrame, apart: list[str]) -> None:
    """The letters of the fronts on which each line is; one line alone is on none.

    A line whose times say nothing may belong on a front of times, and take others off it. So
    where there is one, no line gets the letter of such a front.
    """
    if len(measured) < 2:
        return
    note = f"{' and '.join(apart)} differ{'s' * (len(apart) == 1)}" if apart else ""
    note = "‡" if bool(measured["shared"].fillna(0).gt(0).any()) else note
    judged = {letter: name for letter, name in FRONTS.items() if not note or letter == "P"}
    costs = {letter: measured[name].astype("float64") for letter, name in judged.items()}
    letters = dict.fromkeys(measured.index, "")
    for letter, cost in costs.items():
        on = front(measured["accuracy"].to_numpy(), cost.to_numpy())
        for cell, is_on in zip(measured.index, on, strict=True):
            letters[cell] += letter if is_on else ""
    for cell in measured.index if any(letters.values()) or note else ():
        lines[cell] |= {"pareto": letters[cell], "pareto_note": note or None}


def apart(runs: pd.DataFrame) -> list[str]:
    """What of the place differs between runs whose times are held side by side."""
    return [name for name in PLACE if len(runs[name].unique()) > 1]
