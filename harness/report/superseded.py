"""Rows whose place later ones have taken: interrupted runs that were resumed, repeated ones.

A report tells what is known now. A run that failed and was made again is no failure any
more, so that neither its row nor its log is part of it; the store keeps both. One that failed
when it was made again is news: it takes no result from the table, and is told all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pandas as pd

from harness.frames import frame_of
from harness.rows import Row
from harness.table import counted
from harness.table.counted import cells_of, is_ok
from harness.table.tuned import without_trials


def superseded(rows: Sequence[Row]) -> set[str]:
    """Ids of the rows that a report leaves out.

    Of runs these are the rows before an `ok` one of the same key, or of the same cell (as it
    was asked for) and seed, which is in the table. Of trials, those before an `ok` one of the
    same key. Of both, rows that are not `ok` before any of the same key and data.

    Args:
      rows: in the order of the store.
    """
    if not rows:
        return set()
    frame = frame_of(rows)
    runs = without_trials(frame)
    return _runs(runs, counted(frame)) | _trials(frame.loc[~frame.index.isin(runs.index)])


def _runs(runs: pd.DataFrame, kept: pd.DataFrame) -> set[str]:
    key = runs["run_key"].fillna(runs["run_id"])
    told = runs.assign(asked=cells_of(runs), key=key)
    shown = told["run_id"].isin(kept["run_id"])
    done = told.loc[shown & is_ok(told)]
    before = _before(told, done, ["key"]) | _before(told, done, ["asked", "seed"])
    return set(told.loc[~shown & (before | _ended_later(told)), "run_id"])


def _trials(trials: pd.DataFrame) -> set[str]:
    told = trials.assign(key=trials["run_key"].fillna(trials["run_id"]))
    before = _before(told, told.loc[is_ok(told)], ["key"])
    return set(told.loc[before | _ended_later(told), "run_id"])


def _ended_later(told: pd.DataFrame) -> pd.Series:
    """Whether a row is no result, and a later one says how the same ended in the end.

    One that got to other data, or alone got to them, decides what the table is made of.
    """
    data = told["data_fingerprint"]
    same = _before(told, told, ["key", "data_fingerprint"])
    return ~is_ok(told) & (same | (data.isna() & _before(told, told, ["key"])))


def _before(rows: pd.DataFrame, others: pd.DataFrame, names: Collection[str]) -> pd.Series:
    """Whether a row stands before one of the others that agrees with it in these columns."""
    # a frame of rows is numbered in their order, and the last of several counts
    last = dict(zip(_values(others, names), others.index, strict=True))
    found = [
        number < last.get(values, number)
        for number, values in zip(rows.index, _values(rows, names), strict=True)
    ]
    return pd.Series(found, index=rows.index, dtype=bool)


def _values(rows: pd.DataFrame, names: Collection[str]) -> Iterable[tuple[Any, ...]]:
    return rows[[*names]].itertuples(index=False, name=None)
