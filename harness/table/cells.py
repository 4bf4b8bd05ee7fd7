"""From rows to lines: one line a cell, each number over the cell's seeds.

A *cell* is data set x model variant x hyper-parameters. Accuracy comes with its spread
over seeds, and a variant with its difference from its parent on the same seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from harness.comparison import Evidence
from harness.comparison.evidence import alike
from harness.errors import UsageError
from harness.rows import NAMES, STATUSES
from harness.table.conditions import ALIASES, REVERSED, column_named
from harness.table.counted import EACH, counted, unrepeated
from harness.table.known import ADDED, all_pairs, in_order, known
from harness.table.labels import (
    DATASET,
    MODEL,
    RECIPE,
    labels,
    parameters,
    versions,
    with_parameters,
)
from harness.table.parents import Cell, differences, parents
from harness.table.tuned import (
    as_asked,
    chosen_parameters,
    tuning_told,
    unequal_tuning,
    with_chosen,
)

# a line's name for a measure: the row's column, and how several runs become one number
MEASURES = {
    "accuracy": ("test_accuracy", "mean"),
    "accuracy_sd": ("test_accuracy", "std"),
    "loss": ("test_loss", "mean"),
    "compile_s": ("compile_s", "median"),
    "step_ms_p50": ("step_ms_p50", "median"),
    "step_ms_p90": ("step_ms_p90", "median"),
    "examples_per_s": ("examples_per_s", "median"),
    "train_s": ("train_s", "median"),
    "compiled_again": ("recompiles", "sum"),
    "shared": ("shared", "sum"),
}
# of these a line has a column only if it is not zero everywhere
RARE = ("compiled_again", "shared")
# and of these only if there is something in it
OPTIONAL = ("rank", "rank_over", "tied", "best", "pareto", "vs_next", "vs_next_low",
            "vs_next_high", "vs_next_p", "vs_next_over", "vs_best", "vs_best_over",
            "pareto_note", "tune_ok", "tune_at_end", "family_pairs",
            "target_split")  # fmt: skip
# names that a line has, or that stand for something else in a condition
TAKEN = {
    *NAMES, *MEASURES, *ALIASES, *ADDED, "n", "status", "vs_parent", "vs_parent_sd",
    "vs_parent_n", "key", "cell", "tune_ok", "tune_at_end",
}  # fmt: skip
PAIR = ["first", "second", "estimate", "low", "high", "p", "p_holm", "seeds"]
ORDER = ["n", "accuracy", "accuracy_sd", "loss", "param_count", *list(MEASURES)[3:]]


def tabulate(
    frame: pd.DataFrame,
    *,
    by: Sequence[str] | None = None,
    sort: str | None = None,
    evidence: Evidence | None = None,
    target_accuracy: float | None = None,
) -> pd.DataFrame:
    """One line a cell, or one a group of runs that agree in the columns `by`.

    Only `ok` runs are measured, and trials are none. Runs whose hyper-parameters tuning chose
    are of one cell if they were asked for alike, and count if they have the values of its
    newest `ok` run. If a run was repeated (the same `run_key` on
    the same data more than once in the store), its newest `ok` row counts, or without one its
    newest: a repeat that fails or is stopped takes no result away. In a line of a cell, only
    rows made by the code of its newest `ok` rows count (sources of plugins and harness, data,
    package versions), and of them the newest of each seed, so that no mean mixes two versions;
    the others stay in `records`, and `by=["model", "jax_version"]` shows both.

    Columns of a line: `dataset` and `model` as selections that show the parameters which
    vary (or else the columns `by`), a data set of several fingerprints with its own;
    hyper-parameters that are not the same in all rows; `tune`, over what and with which
    budget a line was tuned, where tuned lines of a data set are unequal in that;
    `n` ok runs; `accuracy`, `loss` means, and `accuracy_sd` the sample standard deviation
    (missing for one run); `param_count`; `compile_s` (of runs that did compile),
    `step_ms_p50`, `step_ms_p90`, `examples_per_s` and `train_s` medians; each metric that was
    asked for, its mean and, as `<metric>_sd`, its spread; `compiled_again` programs that
    were compiled once more in the middle of training, and `shared` the runs beside which
    another one went on, so that their times are not comparable; `vs_parent` the mean
    difference in accuracy from the parent on `vs_parent_n` common seeds, with its sample
    standard deviation `vs_parent_sd`; `status`. The last four are there only if they say
    something.

    Args:
      frame: rows in the order of the store, as `Store.frame` gives them.
      by: columns of the rows to group by instead of cells; aliases are allowed.
      sort: "column" or "column:desc" of the resulting lines; missing values go last.
      evidence: of the runs that count, from `read_evidence`. With it the lines have the
        columns that `harness.table.known` adds: intervals, ranks, differences, fronts.
        Lines of `by` have none of them.
      target_accuracy: with evidence that has epochs, how long training took to reach it.

    Raises:
      UsageError: `by` or `sort` names an unknown column; the nearest are listed.
    """
    if by:
        lines = _groups(unrepeated(frame), by)
    else:
        lines = _cells(counted(frame), evidence, target_accuracy)
    return lines if sort is None else _sorted(lines, sort)


def with_recipe(
    lines: pd.DataFrame, frame: pd.DataFrame, columns: Sequence[str]
) -> pd.DataFrame:  # fmt: skip
    """The lines of `tabulate` with those asked `columns` of the recipe that it leaves out.

    It leaves out what is the same in all lines.
    """
    runs = counted(frame)
    found = {
        name: pd.Series(runs[name].iloc[0], lines.index, runs[name].dtype)
        for name in columns if name in RECIPE and name not in lines and len(runs)
    }  # fmt: skip
    return lines.assign(**found)


def pairs(frame: pd.DataFrame, evidence: Evidence) -> pd.DataFrame:
    """Every pair of lines of one data set: the family from which the lines' p-values are.

    Returns:
      A line a pair: `first` and `second`, indices of lines in the order of `tabulate` without
      `sort`; `difference` in accuracy, the first minus the second, with its 95 % interval
      `low` and `high`; `p` of that pair alone and `p_holm`, adjusted for all pairs of the data
      set; `seeds` in common.
    """
    runs = counted(frame)
    found = all_pairs(runs.loc[runs["status"] == "ok"], evidence)
    told = pd.DataFrame([vars(pair) for pair in found], columns=PAIR)
    return told.rename(columns={"estimate": "difference"})


def _cells(
    runs: pd.DataFrame, evidence: Evidence | None, target_accuracy: float | None
) -> pd.DataFrame:
    differing = [name for name in RECIPE if len(runs[name].unique()) > 1]
    first = _first(runs)
    asked = as_asked(first)
    told = with_chosen(first).loc[:, differing]
    told.insert(0, "dataset", _data_labels(first))
    told.insert(1, "model", _model_labels(asked))
    told = told.join(unequal_tuning(asked)).join(tuning_told(first))
    ok = runs.loc[runs["status"] == "ok"]
    parent_of = _paired(ok, parents(_described(asked)), evidence or Evidence())
    measured, change = _measured(runs), differences(ok, parent_of)
    if evidence is None:
        return _joined(told, measured, change, _statuses(runs))
    more = known(ok, measured, parent_of, evidence, target_accuracy=target_accuracy)
    lines = _joined(told, measured, more, change, _statuses(runs))
    return lines.loc[:, in_order([str(name) for name in lines.columns])]


def _paired(
    ok: pd.DataFrame, parent_of: Mapping[int, int], evidence: Evidence
) -> dict[int, int]:  # fmt: skip
    """The parents that were not asked otherwise than their variants, as far as is known."""
    ids = ok[["cell", "run_id"]].groupby("cell")["run_id"]
    asked = {cell: evidence.asked(some) for cell, some in ids}
    return {
        child: parent for child, parent in parent_of.items()
        if alike(asked.get(child, set()), asked.get(parent, set()))
    }  # fmt: skip


def _first(runs: pd.DataFrame) -> pd.DataFrame:
    """The first row of each cell, with the data that any of its runs came to read."""
    data = runs.groupby("cell")["data_fingerprint"].first()  # counted rows have no two
    return runs.drop_duplicates("cell").set_index("cell").assign(data_fingerprint=data)


def _groups(runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    asked = [column_named(name, runs.columns, what="by") for name in by]
    names = list(dict.fromkeys(asked))
    group = runs.groupby(names, dropna=False, sort=False).ngroup()
    runs = runs.assign(cell=group)
    told = runs.drop_duplicates("cell").set_index("cell").loc[:, names]
    # what the lines are grouped by is not measured as well
    rest = [
        part.drop(columns=names, errors="ignore") for part in (_measured(runs), _statuses(runs))
    ]
    return _joined(told, *rest)


def _labels(cells: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    name, variant, params = (cells[column].fillna("") for column in columns)
    found = labels(zip(name, variant, params, strict=True))
    return pd.Series(found, index=cells.index, dtype="string")


def _data_labels(cells: pd.DataFrame) -> pd.Series:
    """As `_labels`, with the fingerprint where there are lines on other data of that name."""
    found = versions(_labels(cells, DATASET), _none(cells["data_fingerprint"]))
    return pd.Series(found, index=cells.index, dtype="string")


def _none(texts: Iterable[Any]) -> list[str | None]:
    return [text if isinstance(text, str) else None for text in texts]


def _model_labels(asked: pd.DataFrame) -> pd.Series:
    """As `_labels`, with what tuning chose of the model's parameters in brackets."""
    bare = _labels(asked, MODEL)
    chosen = [chosen_parameters(text) for text in asked["tune"]]
    found = [with_parameters(text, more) for text, more in zip(bare, chosen, strict=True)]
    return pd.Series(found, index=asked.index, dtype="string")


def _described(cells: pd.DataFrame) -> list[Cell]:
    setting = cells.groupby([*DATASET, *RECIPE, "recipe_tuning"], **EACH).ngroup()
    texts = cells[["model", "variant", "parent", "model_params", "variant_params"]].fillna("")
    return [
        Cell(
            key=key, setting=where, data=data, model=model, variant=variant, parent=parent,
            params=parameters(params), changes=frozenset(parameters(changes)),
        )
        for key, where, data, (model, variant, parent, params, changes) in zip(
            cells.index, setting, _none(cells["data_fingerprint"]),
            texts.itertuples(index=False, name=None), strict=True,
        )
    ]  # fmt: skip


def _measured(runs: pd.DataFrame) -> pd.DataFrame:
    """The measures of each cell's `ok` runs, by cell, in the order of the columns."""
    # a program that came from the cache was not compiled
    cached = (runs["compile_cache"] == "hit").fillna(False)
    compiled = runs["compile_s"].mask(cached)
    shared = ~runs["timing_comparable"].fillna(True).astype(bool)
    told = runs.assign(compile_s=compiled, shared=shared.astype("Int64"))
    ok = told.loc[runs["status"] == "ok"].groupby("cell")
    measures: dict[str, Any] = {name: pd.NamedAgg(*how) for name, how in MEASURES.items()}
    lines = ok.agg(**measures).reindex(runs["cell"].unique())
    sizes = runs.groupby("cell")["param_count"]
    lines["n"] = ok.size().reindex(lines.index, fill_value=0).astype("Int64")
    lines["param_count"] = sizes.first().where(sizes.nunique() == 1)
    place = ORDER.index("param_count")
    metrics = _metrics(ok, runs).reindex(lines.index)
    return pd.concat([lines[ORDER[:place]], metrics, lines[ORDER[place:]]], axis=1)


def _metrics(ok: Any, runs: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread of each metric beside loss and accuracy, by cell."""
    known = [n for n in runs.columns if n.startswith("test_") and n not in NAMES]
    named = [name for name in known if bool(runs[name].notna().any())]
    found: dict[str, Any] = {}
    for name in named:
        bare = name.removeprefix("test_")
        bare = name if bare in TAKEN else bare
        found |= {bare: ok[name].mean(), f"{bare}_sd": ok[name].std()}
    return pd.DataFrame(found)


def _statuses(runs: pd.DataFrame) -> pd.DataFrame:
    narrow = runs.loc[
        :, ["cell", "status", "error_message"]
    ]  # rows are wide, and cut cell by cell
    told = {cell: _status(pd.DataFrame(some)) for cell, some in narrow.groupby("cell")}
    return pd.DataFrame({"status": pd.Series(told, dtype="string")})


def _status(runs: pd.DataFrame) -> str:
    """All of one status: that, and why if it is not ok; else how many of each."""
    counts = runs["status"].value_counts()
    if len(counts) > 1:
        return " ".join(f"{counts[status]} {status}" for status in STATUSES if status in counts)
    status = str(runs["status"].iloc[-1])
    why = runs["error_message"].dropna()
    return status if status == "ok" or why.empty else f"{status}: {why.iloc[-1]}"


def _joined(told: pd.DataFrame, *parts: pd.DataFrame) -> pd.DataFrame:
    """The lines in order, without columns that would say nothing."""
    lines = pd.concat([told, *(part.reindex(told.index) for part in parts)], axis=1)
    if "vs_parent" in lines and bool(lines["vs_parent"].isna().all()):
        lines = lines.drop(columns=[n for n in lines if str(n).startswith("vs_parent")])
    # regression has no accuracy
    judged = "accuracy" in lines and bool(lines["loss"].notna().any())
    if judged and bool(lines["accuracy"].isna().all()):
        lines = lines.drop(columns=["accuracy", "accuracy_sd"])
    silent = [n for n in RARE if n in lines and not bool((lines[n].fillna(0) > 0).any())]
    silent += [n for n in OPTIONAL if n in lines and bool(lines[n].isna().all())]
    lines = lines.drop(columns=silent)
    if "status" not in told and bool((lines["status"] == "ok").all()):
        lines = lines.drop(columns="status")
    return lines.reset_index(drop=True)


def _sorted(lines: pd.DataFrame, sort: str) -> pd.DataFrame:
    name, _, direction = sort.partition(":")
    if direction not in ("", "asc", "desc"):
        raise UsageError(f"sort {sort!r}: expected column, column:asc or column:desc")
    column = column_named(REVERSED.get(name, name), lines.columns, what="sort")
    return lines.sort_values(
        column, ascending=direction != "desc", kind="stable", ignore_index=True
    )
