"""What the store says of planned runs: stored, missing or stale, and why.

A run is stored if an `ok` row has its key and was measured on the data and the kind of
device that are here now: these two are the parts of the key that only a process of its own
can tell. A failure is never taken for a result, but for a trial that diverged or was skipped:
it would again, and is never chosen. Where another version of the same cell is stored, the run
is stale, and the parts of the key that differ say why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from harness.choices import Choice
from harness.errors import StoreError
from harness.fingerprints import Now, now_of
from harness.plan import Run
from harness.recipe import Recipe
from harness.rows import Row
from harness.standing import name_of_cell, name_of_entries, name_of_run, name_of_whole
from harness.store import Store

# worker start, imports and loading plugins, in seconds
START_S = 3.0


@dataclass(frozen=True)
class State:
    """What stands for a planned run.

    Attributes:
      row: the stored row, where there is one: of word "stored" it is the result, of
        "missing" a run that was not ok, of "stale" one that another key made.
      reasons: why it is not stored.
      estimate_s: seconds that performing it takes, as the store has it; None for unknown.
      now: what it would be measured on; None where no result made it worth a look, or
        where the data set cannot be loaded.
    """

    word: Literal["stored", "missing", "stale"]
    row: Row | None = None
    reasons: tuple[str, ...] = ()
    estimate_s: float | None = None
    now: Now | None = None


def states(runs: Sequence[Run], store: Store, *, save: bool = False) -> list[State]:
    """What the store says of each run; see `Lookup`."""
    return Lookup(store, save=save).states(runs)


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """Looks runs up in a store, and each data set once.

    Attributes:
      save: whether parameters are wanted, so that a row without them stands for no run.
      now_of: says what data sets are now, where the runs would be performed; None is here.
      now: what the data sets are now that were looked at, by `_data_key`.
    """

    store: Store = field(kw_only=False)
    save: bool = False
    now_of: Callable[[list[Choice]], list[Now | None]] | None = None
    now: dict[str, Now | None] = field(default_factory=dict)

    def states(self, runs: Sequence[Run]) -> list[State]:
        """What the store says of each run."""
        by_key: dict[str, list[Row]] = {}
        for row in self.store.of_keys(dict.fromkeys(run.run_key for run in runs)):
            by_key.setdefault(row["run_key"], []).append(row)
        self._look(runs, by_key)
        kin = _kin(runs, self.store, by_key)
        lost = {planned["run_key"]: planned["planned_at"] for planned in self.store.lost()}
        found = []
        for run in runs:
            here = self.now.get(_data_key(run))
            save = self.save and run.kind == "run"  # of a trial nothing is kept
            state = _state(run, by_key.get(run.run_key, []), kin, here, lost, save)
            found.append(replace(state, now=here))
        return found

    def _look(self, runs: Sequence[Run], by_key: Mapping[str, Sequence[Row]]) -> None:
        """Asks a child process for the data sets of runs with a row that may stand."""
        datasets = {
            _data_key(run): run.dataset
            for run in runs
            if any(_is_result(row) for row in by_key.get(run.run_key, ()))
            and _data_key(run) not in self.now
        }
        look = self.now_of or now_of
        self.now.update(zip(datasets, look(list(datasets.values())), strict=True))


def _is_result(row: Row) -> bool:
    again = row["kind"] == "trial" and row["status"] in ("diverged", "skipped")
    return row["status"] == "ok" or again


def _data_key(run: Run) -> str:
    return json.dumps(run.dataset.identity, sort_keys=True)


@dataclass(frozen=True)
class _Kin:
    """The newest stored rows that tell something of runs, by their run_id.

    Attributes:
      same: of the same cell and seed, for runs without rows of their own.
      alike: of the cell, or of the same entries: what a run takes can be told from it.
      steps: how many steps some of the rows trained, by the run_id of the row.
    """

    same: Mapping[str, Row]
    alike: Mapping[str, Row]
    steps: Mapping[str, int]


def _kin(runs: Sequence[Run], store: Store, by_key: Mapping[str, Sequence[Row]]) -> _Kin:
    same, alike = {}, {}
    for run in runs:
        row = run.to_row()
        # of a whole data set rather for a whole one
        whole = [name_of_whole(row)] if row["limit"] is None else []
        alike[run.run_id] = [name_of_cell(row), *whole, name_of_entries(row)]
        # of a run with rows of its own it is they that tell what became of it
        same[run.run_id] = [] if run.run_key in by_key else [name_of_run(row)]
    rows = store.newest(
        [name for by_run in (same, alike) for n in by_run.values() for name in n]
    )
    like = _first(alike, rows)
    counted = {
        row["run_id"]
        for run in runs
        if (row := like.get(run.run_id)) and not _sees_as_much(row, run.recipe)
    }
    losses: Mapping[str, Any] = {}
    with suppress(StoreError):  # damaged: then there is no estimate
        losses = store.arrays("train_loss", sorted(counted))
    steps = {run_id: len(array) for run_id, array in losses.items()}
    return _Kin(_first(same, rows), like, steps)


def _first(names: Mapping[str, Sequence[str]], rows: Mapping[str, Row]) -> dict[str, Row]:
    """For each run the row of the first of its names that has one."""
    found = {
        run_id: next((n for n in some if n in rows), None) for run_id, some in names.items()
    }
    return {run_id: rows[name] for run_id, name in found.items() if name is not None}


def _state(
    run: Run,
    own: Sequence[Row],
    kin: _Kin,
    now: Now | None,
    lost: Mapping[str, str],
    save: bool,
) -> State:
    estimate = _estimate(run, kin)
    ok = [row for row in own if _is_result(row)]
    for row in reversed(ok):
        if now is not None and not _lacking(row, now, save):
            return State("stored", row, (), estimate)
    if ok:
        why = _lacking(ok[-1], now, save) if now else ["its data set cannot be loaded now"]
        return State("stale", ok[-1], tuple(why), estimate)
    if own:
        row = own[-1]
        why = f"{row['status']}: {row['error_type']}: {row['error_message']}"
        return State("missing", row, (why,), estimate)
    same = kin.same.get(run.run_id)
    if same is not None:
        return State("stale", same, tuple(_differences(same, run)), estimate)
    if run.run_key in lost:
        return State("missing", None, (f"planned {lost[run.run_key]}, left no row",), estimate)
    return State("missing", None, ("never run",), estimate)


def _lacking(row: Row, now: Now, save: bool) -> list[str]:
    """Why a row does not stand for its run: what has moved, what was not kept."""
    kept = not save or row["saved_bytes"] is not None
    return _moved(row, now) + ([] if kept else ["its parameters are not kept"])


def _moved(row: Row, now: Now) -> list[str]:
    """How what a row was measured on differs from what is here."""
    found = []
    if row["data_fingerprint"] != now.fingerprint:
        found.append(f"data {row['data_fingerprint']} -> {now.fingerprint}")
    if row["device_kind"] not in (None, now.device_kind):
        found.append(f"device {row['device_kind']} -> {now.device_kind}")
    return found


def _differences(row: Row, run: Run) -> list[str]:
    """The parts of the key that made another run of the same cell."""
    before = dict(_flat(json.loads(row["key_parts"] or "{}")))
    after = dict(_flat(run.key_parts))
    if not before:
        return ["stored by an older harness, which kept no parts of its key"]
    return [
        f"{name} {_short(before.get(name))} -> {_short(after.get(name))}"
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]


def _flat(parts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in parts.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _short(value: Any) -> str:
    text = str(value)
    # a hash says nothing beyond its beginning
    return text[:8] if len(text) == 64 else text or '""'


def _estimate(run: Run, kin: _Kin) -> float | None:
    """Seconds, from the newest `ok` row of the cell, or of the same entries by examples.

    Of a program that trains several seeds each run is told its share.
    """
    row = kin.alike.get(run.run_id)
    scale = None if row is None else _scale(row, run.recipe, kin.steps.get(row["run_id"]))
    if row is None or scale is None:
        return None
    once = (row["data_s"] or 0) + (row["compile_s"] or 0)
    seconds = once + (row["train_s"] + (row["eval_s"] or 0)) * scale
    return START_S / (len(run.together) or 1) + seconds / (row["vmap_seeds"] or 1)


def _sees_as_much(row: Row, recipe: Recipe) -> bool:
    """Whether an epoch of a run is certain to have as many examples as a row's."""
    return (recipe.limit, recipe.validation) == (row["limit"], row["validation"] or 0)


def _scale(row: Row, recipe: Recipe, steps: int | None) -> float | None:
    """How many times as many examples as a row a run trains on; None where nobody can tell.

    Args:
      steps: that the row trained.
    """
    epochs = recipe.epochs / row["epochs"]
    if _sees_as_much(row, recipe):
        return epochs
    if not steps:
        return None
    share = 1 - (row["validation"] or 0)  # what was not held out
    trained = steps * row["batch_size"] / row["epochs"]
    seen = trained / share
    # a last batch that is not full is left out
    is_whole = row["limit"] is None or seen + row["batch_size"] / share < row["limit"]
    if not is_whole and recipe.limit is None:  # how many there are beyond is not known
        return None
    examples = seen if recipe.limit is None else recipe.limit
    examples = min(examples, seen) if is_whole else examples
    return epochs * examples * (1 - recipe.validation) / trained
