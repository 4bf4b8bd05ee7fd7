"""The two sides of a comparison: which rows a word stands for.

A word is a model as a selection, or the beginning of a commit; a store is found by the
command. What is not compared stays together with each side: data set, recipe, and with
commits and stores the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from harness import grammar
from harness.comparison import Evidence
from harness.errors import UsageError, did_you_mean
from harness.parameters import show
from harness.table.labels import RECIPE, parameters, selection
from harness.table.tuned import as_asked, without_trials

COMMIT = re.compile(r"[0-9a-f]{4,40}")
MODEL = ("model", "variant", "model_params")
DATASET = ("dataset", "dataset_variant", "dataset_params")
Kind = Literal["model", "commit", "store"]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side.

    Attributes:
      name: as the user wrote it.
      kind: what it is.
      frame: its rows.
      evidence: on those of them that count.
    """

    name: str
    kind: Kind
    frame: pd.DataFrame
    evidence: Evidence


def rows_of(word: str, frame: pd.DataFrame) -> tuple[Kind, pd.DataFrame]:
    """The rows of a model, or else of a commit: those of what was committed come first.

    Raises:
      UsageError: there are none; lists the models and commits that there are.
    """
    if _begins_with_model(word, frame):
        return "model", chosen(word, frame, MODEL, what="model")
    if COMMIT.fullmatch(word):
        rows = frame.loc[frame["commit"].str.startswith(word).fillna(False).astype(bool)]
        commits = sorted(set(rows["commit"]))
        if len(commits) > 1:
            listed = ", ".join(commit[: len(word) + 4] for commit in commits)
            raise UsageError(f"{len(commits)} commits start with {word!r}: {listed}")
        if commits:
            return "commit", _committed_first(rows)
    commits = [str(commit)[:8] for commit in frame["commit"].dropna().unique()]
    raise UsageError(
        f"{word!r} is no model, commit or store; "
        f"{did_you_mean(word, _listed(frame, MODEL), what='models with rows')}; commits: "
        f"{', '.join(commits) or 'none'}"
    )


def chosen(
    text: str, frame: pd.DataFrame, columns: Sequence[str], *, what: str
) -> pd.DataFrame:  # fmt: skip
    """The rows whose entry a selection stands for; parameters that it leaves out may be any.

    Args:
      columns: of the entry's name, variant and parameters.

    Raises:
      UsageError: there are none; lists those that there are.
    """
    asked = grammar.parse(text)
    name, variant, params = columns
    if "*" in (asked.name, asked.variant):
        raise UsageError(
            f"{text!r} stands for several {what}s; expected one; "
            f"{did_you_mean(text, _listed(frame, columns), what=f'{what}s with rows')}"
        )
    kept = frame.loc[(frame[name] == asked.name) & (frame[variant].fillna("") == asked.variant)]
    held = [_holds(asked, text) for text in kept[params]]
    found = kept.loc[held]
    if found.empty and not kept.empty:
        raise UsageError(f"no rows of {what} {text!r}; {_values(asked, kept[params])}")
    if found.empty:
        there = did_you_mean(text, _listed(frame, columns), what=f"{what}s with rows")
        raise UsageError(f"no rows of {what} {text!r}; {there}")
    return found


def _committed_first(rows: pd.DataFrame) -> pd.DataFrame:
    """The runs of a commit, of uncommitted changes only those of cells that have no other ok.

    Such changes may be what the next commit holds, and no mean mixes them with this one.
    """
    rows = without_trials(rows)
    clean = ~rows["dirty"].fillna(False).astype(bool)
    is_result = clean & (rows["status"] == "ok").fillna(False).astype(bool)
    asked = as_asked(rows).assign(is_result=is_result)
    cells = asked.groupby([*DATASET, *MODEL, *RECIPE, "tuning"], dropna=False)
    return rows.loc[clean | ~cells["is_result"].transform("any")]


def _begins_with_model(word: str, frame: pd.DataFrame) -> bool:
    name = re.split(r"[:\[]", word, maxsplit=1)[0]
    return name in set(frame["model"]) or name != word or word == "*"


def _holds(asked: grammar.Selection, text: str | None) -> bool:
    params = parameters(text)
    return all(key in params and params[key] in values for key, values in asked.params)


def _values(asked: grammar.Selection, texts: Iterable[str | None]) -> str:
    """Of the parameters of a selection that no row meets: the values that rows have."""
    rows = [parameters(text) for text in texts]
    told = []
    for key, _ in asked.params:
        values = list(dict.fromkeys(show(row[key]) for row in rows if key in row))
        known = {name for row in rows for name in row}
        told.append(
            f"rows have {key}={','.join(values)}" if values
            else f"no parameter {key!r}; {did_you_mean(key, known, what='parameters')}"
        )  # fmt: skip
    return "; ".join(told)


def _listed(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    entries = frame[[columns[0], columns[1]]].fillna("").drop_duplicates()
    return [selection(name, variant, {}) for name, variant in entries.itertuples(index=False)]
