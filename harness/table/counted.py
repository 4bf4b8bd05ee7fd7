"""Which rows count: of all that a store holds, the ones that the lines of a table are made of.

One cell may be in a store many times: repeated, stopped and taken up again, made by older code
or tuned anew. Its line holds one row a seed, all made by one code from one choice of tuning.
Lines, captions and reports begin here, so that they speak of the same rows.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from harness.standing import CODE, in_order, sources
from harness.table.labels import DATASET, MODEL, RECIPE
from harness.table.tuned import as_asked, of_one_choice, without_trials

EACH: dict[str, Any] = {"dropna": False, "sort": False}  # missing values make groups too


def counted(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that the lines of `tabulate` are made of, with a column `cell`.

    `cell` is the index of a row's line, as long as `tabulate` does not sort.
    """
    runs = unrepeated(frame)
    newest = _newest(runs.assign(cell=cells_of(runs)))
    return newest.assign(cell=newest.groupby("cell", sort=False).ngroup())


def unrepeated(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that `tabulate` groups by columns: of runs, and of each the one that counts."""
    frame = without_trials(frame)
    named = frame.assign(
        key=frame["run_key"].fillna(frame["run_id"]),
        # an older harness had one device, and did not say so of a run that ended early
        device_count=frame["device_count"].fillna(1),
        process_count=frame["process_count"].fillna(1),
    )
    return _best(named, ["key", "data_fingerprint"])


def cells_of(runs: pd.DataFrame) -> pd.Series:
    """A number for each row, the same for rows that were asked for alike but for the seed."""
    return as_asked(runs).groupby([*DATASET, *MODEL, *RECIPE, "tuning"], **EACH).ngroup()


def is_ok(rows: pd.DataFrame) -> pd.Series:
    """Whether a row is a result."""
    found = [status == "ok" for status in rows["status"].fillna("")]
    return pd.Series(found, index=rows.index, dtype=bool)


def _best(rows: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Of the rows that agree in `names`, the newest ok one, or else the newest."""
    ranked = rows.assign(ok=is_ok(rows)).sort_values("ok", kind="stable")
    kept = ranked.drop_duplicates(names, keep="last").index
    return rows.loc[rows.index.isin(kept)]


def _newest(runs: pd.DataFrame) -> pd.DataFrame:
    """Each cell's runs of its newest code and choice, and of them the newest of each seed.

    A run that was stopped before it began has the versions of the day, and no result: where a
    cell has ok rows, only they decide what its newest code is.
    """
    ok, made = is_ok(runs), made_by(runs)
    deciding = ok | ~ok.groupby(runs["cell"]).transform("any").astype(bool)
    for name in made.columns:
        told = made[name].where(deciding)
        newest = told.groupby(runs["cell"]).transform("last")  # skips missing values
        kept = ~(made[name] != newest).fillna(False).astype(bool)
        runs, made, deciding = runs.loc[kept], made.loc[kept], deciding.loc[kept]
    return _best(of_one_choice(runs), ["cell", "seed"])


def made_by(runs: pd.DataFrame) -> pd.DataFrame:
    """What made each row: versions, and hashes of sources where its key has parts.

    Seed, host and settings are no code: rows of several machines may be of one line. What only
    one of two rows tells, tells them not apart. The columns are in the order in which
    `harness.standing` compares them.
    """
    hashes = [
        sources(text, task if isinstance(task, str) else None)
        for text, task in runs[["key_parts", "task"]].itertuples(index=False, name=None)
    ]
    told = pd.DataFrame(hashes, index=runs.index).astype("string")
    found = pd.concat([runs[[*CODE]], told], axis=1)
    return found.loc[:, in_order(found.columns)]
