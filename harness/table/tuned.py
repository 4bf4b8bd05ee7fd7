"""Cells whose hyper-parameters tuning has chosen.

Two tuned cells are compared as they were asked for, over the same space with the same
budget, although each has values of its own in the end. So a cell is known by what was asked,
and its line shows what was chosen.
"""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pandas as pd

from harness.standing import MODEL_KEY as MODEL_KEY
from harness.suites import on_the_first
from harness.table.labels import DATASET, parameters


def without_trials(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that are results: a trial is none."""
    return frame.loc[(frame["kind"] != "trial").fillna(True).astype(bool)]


def as_asked(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows with what was asked for in the place of what tuning chose.

    Tuned hyper-parameters are missing, tuned parameters of the model are not among its
    `model_params`, and two more columns hold the rest: `tuning` the whole space with its
    budget, and `recipe_tuning` the part of it that all models share.
    """
    asked = runs.copy()
    told = [json.loads(text) if isinstance(text, str) else None for text in runs["tune"]]
    spaces = [_space(one) for one in told]
    asked["tuning"] = [_written(one, spaces) for one, spaces in zip(told, spaces, strict=True)]
    asked["recipe_tuning"] = [
        _written(one, {k: v for k, v in space.items() if not k.startswith(MODEL_KEY)})
        for one, space in zip(told, spaces, strict=True)
    ]
    if any("runs_limit" in (one or ()) for one in told):  # trials saw less than was asked for
        asked["limit"] = [
            one["runs_limit"] if one and "runs_limit" in one else limit
            for one, limit in zip(told, runs["limit"], strict=True)
        ]
        asked["limit"] = asked["limit"].astype(runs["limit"].dtype)
    for name in {key for space in spaces for key in space} & set(runs.columns):
        asked[name] = asked[name].mask([name in space for space in spaces])
    asked["model_params"] = [
        text if not space else json.dumps(_fixed(parameters(text), space), sort_keys=True)
        for text, space in zip(runs["model_params"].fillna(""), spaces, strict=True)
    ]
    return asked


def of_one_choice(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of each cell that have the values of its newest `ok` run, or of its newest.

    A cell that was tuned again may have found other values; no mean mixes two choices.

    Args:
      runs: with a column `cell`.
    """
    made = runs["tune"].map(lambda text: json.dumps(_chosen(text), sort_keys=True))
    ok = made.where((runs["status"] == "ok").fillna(False)).groupby(runs["cell"])
    newest = ok.transform("last").fillna(made.groupby(runs["cell"]).transform("last"))
    return runs.loc[made == newest]


def with_chosen(cells: pd.DataFrame) -> pd.DataFrame:
    """The rows without values in tuned hyper-parameters for which none was chosen."""
    shown = cells.copy()
    told = [json.loads(text) if isinstance(text, str) else None for text in cells["tune"]]
    open_ = [set(_space(one)) - set(one["chosen"] if one else ()) for one in told]
    for name in {key for names in open_ for key in names} & set(cells.columns):
        shown[name] = shown[name].mask([name in names for names in open_])
    return shown


def tuning_told(cells: pd.DataFrame) -> pd.DataFrame:
    """What is to be known of how each row was tuned, where there is something.

    Returns:
      `tune_ok`, how many of the trials were ok, where that were not all; `tune_at_end`, the
      names of chosen values that lie at an end of their range.
    """
    told = [json.loads(text) if isinstance(text, str) else {} for text in cells["tune"]]
    ok = [
        one["ok"] if one.get("ok") is not None and one["ok"] < trials else None
        for one, trials in zip(told, cells["tune_trials"], strict=True)
    ]
    at_end = [", ".join(one.get("at_end") or ()) or None for one in told]
    found = pd.DataFrame({"tune_ok": ok, "tune_at_end": at_end}, index=cells.index)
    return found.astype({"tune_ok": "Int64", "tune_at_end": "string"})


def trials_saw(rows: pd.DataFrame) -> str:
    """On which examples the trials behind rows were made, "" where all saw what runs do."""
    given = [
        (limit, None if pd.isna(runs_limit) else int(runs_limit))
        for text, runs_limit in zip(rows["tune"], rows["limit"], strict=True)
        if isinstance(text, str)
        for limit in [json.loads(text).get("limit")]
    ]
    limits = {min(limit, runs or limit) for limit, runs in given if limit is not None}
    some = any(limit is None for limit, _ in given)
    return on_the_first(*sorted(limits)) + (", some on all" if limits and some else "")


def unequal_tuning(asked: pd.DataFrame) -> pd.DataFrame:
    """What tells lines apart that were tuned, but not alike.

    Args:
      asked: a row a line, from `as_asked`.

    Returns:
      `tune`, over what and with which budget each line was tuned, missing where it was not; no
      column if all tuned lines of each data set were given the same.
    """
    tuned = asked.loc[asked["tuning"] != ""]
    families = tuned.groupby([*DATASET, "limit"], dropna=False)
    if not any(_is_unequal(some) for _, some in families):
        return pd.DataFrame(index=asked.index)
    told = [tuning_text(text) or None for text in asked["tuning"]]
    return pd.DataFrame({"tune": told}, index=asked.index).astype("string")


def tuning_text(tuning: str) -> str:
    """A value of the column `tuning` of `as_asked` in words, "" for an untuned one.

    >>> tuning_text('[{"learning_rate": "0.001:0.1:log"}, 8]')
    'learning_rate=0.001:0.1:log, budget 8'
    """
    if not tuning:
        return ""
    space, budget, *limit = json.loads(tuning)
    values = " ".join(f"{key}={values}" for key, values in space.items())
    return f"{values}, budget {budget}" + "".join(on_the_first(number) for number in limit)


def chosen_parameters(text: str | None) -> dict[str, Any]:
    """The model's parameters that tuning chose, from a row's `tune`."""
    return {
        key.removeprefix(MODEL_KEY): value
        for key, value in _chosen(text).items()
        if key.startswith(MODEL_KEY)
    }


def _chosen(text: str | None) -> dict[str, Any]:
    return json.loads(text)["chosen"] if isinstance(text, str) else {}


def _space(told: dict[str, Any] | None) -> dict[str, str]:
    return {} if told is None else told["space"]


def _written(told: dict[str, Any] | None, space: dict[str, str]) -> str:
    if told is None:
        return ""
    limit = [told["limit"]] if "limit" in told else []
    return json.dumps([space, told["budget"], *limit], sort_keys=True)


def _fixed(params: dict[str, Any], space: dict[str, str]) -> dict[str, Any]:
    return {k: v for k, v in params.items() if MODEL_KEY + k not in space}


def _is_unequal(lines: pd.DataFrame) -> bool:
    """Whether any two of the tuned lines of a data set were not tuned alike."""
    entries = lines[["model", "variant", "tuning"]].fillna("").drop_duplicates()
    told = [
        ((model, variant), *json.loads(tuning))
        for model, variant, tuning in entries.itertuples(index=False, name=None)
    ]
    return any(_differ(one, other) for one, other in combinations(told, 2))


def _differ(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether two tunings differ in more than parameters that one of two models lacks."""
    (entry, space, *given), (other_entry, other_space, *other_given) = one, other
    if given != other_given:
        return True
    lacking = set() if entry == other_entry else space.keys() ^ other_space.keys()
    may_lack = {key for key in lacking if key.startswith(MODEL_KEY)}
    keys = (space.keys() | other_space.keys()) - may_lack
    return any(space.get(key) != other_space.get(key) for key in keys)
