"""Rows whose place later ones have taken: interrupted runs that were resumed, repeated ones.

A report tells what is known now. A run that failed and was made again is no failure any
more, so that neither its row nor its log is part of it; the store keeps both.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd

from harness.rows import Row
from harness.store import frame_of
from harness.table import counted
from harness.table.cells import DATASET, EACH, MODEL
from harness.table.labels import RECIPE
from harness.table.tuned import as_asked, without_trials


def superseded(rows: Sequence[Row]) -> set[str]:
    """Ids of the rows that a report leaves out.

    Of runs these are the rows beside which an `ok` one of the same key, or of the same cell
    (as it was asked for) and seed, is in the table. Of trials, those beside which there is a
    newer `ok` one of the same key.
    """
    if not rows:
        return set()
    frame = frame_of(rows)
    runs = without_trials(frame)
    return _runs(runs, counted(frame)) | _trials(frame.loc[~frame.index.isin(runs.index)])


def _runs(runs: pd.DataFrame, kept: pd.DataFrame) -> set[str]:
    asked = as_asked(runs).groupby([*DATASET, *MODEL, *RECIPE, "tuning"], **EACH).ngroup()
    told = runs.assign(asked=asked, key=runs["run_key"].fillna(runs["run_id"]))
    shown = told["run_id"].isin(kept["run_id"])
    done = told.loc[shown & _ok(told)]
    again = told["key"].isin(done["key"]) | _among(told, done, ["asked", "seed"])
    return set(told.loc[~shown & again, "run_id"])


def _trials(trials: pd.DataFrame) -> set[str]:
    told = trials.assign(key=trials["run_key"].fillna(trials["run_id"]))
    newest = told.loc[_ok(told)].drop_duplicates("key", keep="last")
    again = told["key"].isin(newest["key"]) & ~told["run_id"].isin(newest["run_id"])
    return set(told.loc[again, "run_id"])


def _ok(rows: pd.DataFrame) -> pd.Series:
    found = [status == "ok" for status in rows["status"].fillna("")]
    return pd.Series(found, index=rows.index, dtype=bool)


def _among(rows: pd.DataFrame, others: pd.DataFrame, names: Collection[str]) -> pd.Series:
    """Whether a row agrees with one of the others in these columns."""
    found = set(others[[*names]].itertuples(index=False, name=None))
    listed = rows[[*names]].itertuples(index=False, name=None)
    return pd.Series([one in found for one in listed], index=rows.index, dtype=bool)
