"""Rows whose place later ones have taken: interrupted runs that were resumed, repeated ones.

A report tells what is known now. A run that failed and was made again is no failure any
more, so that neither its row nor its log is part of it; the store keeps both. One that failed
last, under code that the table has no result of, is told beside the older result.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from harness.rows import Row
from harness.store import frame_of
from harness.table import counted
from harness.table.counted import cells_of, is_ok
from harness.table.tuned import without_trials


def superseded(rows: Sequence[Row]) -> set[str]:
    """Ids of the rows that a report leaves out.

    Of runs these are the rows beside which an `ok` one of the same key, or a newer `ok` one of
    the same cell (as it was asked for) and seed, is in the table. Of trials, those beside which
    there is a newer `ok` one of the same key.
    """
    if not rows:
        return set()
    frame = frame_of(rows)
    runs = without_trials(frame)
    return _runs(runs, counted(frame)) | _trials(frame.loc[~frame.index.isin(runs.index)])


def _runs(runs: pd.DataFrame, kept: pd.DataFrame) -> set[str]:
    key = runs["run_key"].fillna(runs["run_id"])
    told = runs.assign(asked=cells_of(runs), key=key, at=range(len(runs)))
    shown = told["run_id"].isin(kept["run_id"])
    done = told.loc[shown & is_ok(told)]
    again = told["key"].isin(done["key"]) | _before(told, done)
    return set(told.loc[~shown & again, "run_id"])


def _trials(trials: pd.DataFrame) -> set[str]:
    told = trials.assign(key=trials["run_key"].fillna(trials["run_id"]))
    newest = told.loc[is_ok(told)].drop_duplicates("key", keep="last")
    again = told["key"].isin(newest["key"]) & ~told["run_id"].isin(newest["run_id"])
    return set(told.loc[again, "run_id"])


def _before(rows: pd.DataFrame, done: pd.DataFrame) -> pd.Series:
    """Whether a row is older than the result of its cell and seed."""
    results = dict(zip(_of(done), done["at"], strict=True))
    found = [at < results.get(run, -1) for run, at in zip(_of(rows), rows["at"], strict=True)]
    return pd.Series(found, index=rows.index, dtype=bool)


def _of(rows: pd.DataFrame) -> list[tuple[int, int]]:
    """Which run each row is of, made by whatever code."""
    return list(zip(rows["asked"], rows["seed"], strict=True))
