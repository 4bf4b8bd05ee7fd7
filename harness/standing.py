"""Where a row stands among the others: the line of the table that it belongs to, its code.

One cell may be in a store many times. Which of its rows a line is made of is one rule, which
`harness.table.counted` states for a data frame of all rows. Here is the same rule on as
little of each row as it needs, so that the store keeps its outcome up to date as rows come
in, and a table reads the rows of its lines and no others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.rows import COLUMNS, TYPES, Row, plain, up_to_date

DATASET = ("dataset", "dataset_variant", "dataset_params")
MODEL = ("model", "variant", "model_params")
# two columns of the place that the user chooses, too
RECIPE = (
    *(c.name for c in COLUMNS if c.group == "recipe" and c.name != "tune"), "device_count",
    "process_count",
)  # fmt: skip
MODEL_KEY = "model."  # before a model's parameter in the names of a space
# rows of one cell that differ in these were not made by the same code and data
CODE = ("dataset_plugin", "data_fingerprint", "model_plugin",
        *(c.name for c in COLUMNS if c.name.endswith("_version")))  # fmt: skip
# what of `key_parts` is an entry with the source that it was registered by
ENTRIES = ("dataset", "model", "optimizer")
# what `harness.resume` takes for the same cell
KIN = ("dataset", "dataset_params", "model", "variant", "model_params", "optimizer",
       "learning_rate", "schedule", "batch_size", "eval_batch_size", "epochs", "validation",
       "selection", "limit", "precision", "accumulate", "vmap_seeds", "device_count",
       "process_count")  # fmt: skip
TRIAL = ""  # the cell of a trial, which makes no line


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What of a row decides where it stands.

    Attributes:
      cell: a digest, the same for rows that were asked for alike but for the seed; `TRIAL`
        for a trial.
      repeat: a digest of the run and the data that it read, the same for its repeats.
      ok: 1 for a result, else 0.
      made: what made it, by name: versions, and hashes of sources. What is not known is not
        there.
      choice: a digest of the values that tuning chose.
    """

    cell: str
    repeat: str
    seed: int | None
    ok: int
    made: Mapping[str, str]
    choice: str


@dataclass(frozen=True, slots=True)
class Line:
    """A row of one cell, as `counting` compares it with the others of its cell."""

    sequence: int
    seed: int | None
    ok: int
    made: Mapping[str, str]
    choice: str


def standing_of(row: Row) -> Standing:
    """Where a stored row stands; a row that holds what is no JSON stands somewhere too."""
    tune = _object(row["tune"]) if row["tune"] is not None else None
    key = row["run_id"] if row["run_key"] is None else row["run_key"]
    return Standing(
        cell=TRIAL if row["kind"] == "trial" else digest(*_asked(row, tune)),
        repeat=digest(key, row["data_fingerprint"]),
        seed=row["seed"],
        ok=int(row["status"] == "ok"),
        made=made_by(row),
        choice=digest(_part(tune, "chosen")),
    )


def made_by(row: Mapping[str, Any]) -> dict[str, str]:
    """What made a row, in the order in which it tells rows apart.

    A version is that of a whole distribution, which stays while its files are edited; the
    hashes do not.
    """
    found = {name: row[name] for name in CODE} | sources(row["key_parts"], row["task"])
    return {name: value for name, value in found.items() if isinstance(value, str)}


def sources(text: Any, task: Any) -> dict[str, Any]:
    """The hashes of sources in a row's `key_parts`; of tasks only that of the row's own."""
    parts = _object(text)
    if not isinstance(text, str):
        return {}
    found = {f"{kind} source": _source_hash(parts.get(kind)) for kind in ENTRIES}
    # an optimizer without a source is optax's, and no plugin's of that name
    found["optimizer source"] = found["optimizer source"] or "optax"
    found["task source"] = _part(parts, "tasks").get(task or "")
    found["harness code"] = _part(parts, "machine").get("harness_code")
    metrics = _part(parts, "metrics")
    found |= {f"metric {name} source": _source_hash(metrics[name]) for name in sorted(metrics)}
    return found


def _source_hash(entry: Any) -> Any:
    return _part(entry, "source").get("source_hash")


def counting(lines: Sequence[Line]) -> list[int]:
    """Of the lines of one cell, the numbers of those that its line in the table is made of.

    These are the ones made by the newest code and choice, and of them the newest of each
    seed. Where a cell has results, only they say what its newest code is.

    Args:
      lines: in the order of the store, without repeats of one run.
    """
    some_ok, kept = any(line.ok for line in lines), list(lines)
    for name in in_order(name for line in lines for name in line.made):
        told = (li.made[name] for li in reversed(kept)
                if name in li.made and (li.ok or not some_ok))  # fmt: skip
        newest = next(told, None)
        if newest is not None:
            kept = [line for line in kept if line.made.get(name, newest) == newest]
    if not kept:
        return []
    choice = max(kept, key=lambda line: (line.ok, line.sequence)).choice
    best: dict[int | None, Line] = {}
    for line in kept:
        before = best.get(line.seed)
        if line.choice == choice and (before is None or line.ok >= before.ok):
            best[line.seed] = line
    return sorted(line.sequence for line in best.values())


def in_order(known: Iterable[str]) -> list[str]:
    """Names of what made rows, first what every row has, metrics last."""
    listed = set(known)
    first = (*CODE, *(f"{kind} source" for kind in ENTRIES), "task source", "harness code")
    return [name for name in first if name in listed] + sorted(listed - set(first))


def names_of(row: Mapping[str, Any]) -> list[str]:
    """Under which names a row is remembered, as long as it is the newest of that name."""
    if row["status"] != "ok" or not row["train_s"] or not row["epochs"]:
        return [name_of_run(row)]
    whole = [name_of_whole(row)] if row["limit"] is None else []
    return [name_of_run(row), name_of_cell(row), name_of_entries(row), *whole]


def name_of_run(row: Mapping[str, Any]) -> str:
    """The newest of one cell and seed, whatever became of it."""
    return digest("run", row["seed"], *_kin(row))


def name_of_cell(row: Mapping[str, Any]) -> str:
    """The newest of one cell that tells how long a run of it takes."""
    return digest("cell", *_kin(row))


def name_of_entries(row: Mapping[str, Any]) -> str:
    """The newest of a data set and a model that tells how long a run of them takes."""
    return digest("entries", row["dataset"], row["model"])


def name_of_whole(row: Mapping[str, Any]) -> str:
    """The newest of those that saw the whole data set."""
    return digest("whole", row["dataset"], row["model"])


def digest(*values: Any) -> str:
    """16 letters, the same for equal plain values."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def shape_of(made: Mapping[str, str]) -> str:
    """The same for rows of which the same is known."""
    return digest(*sorted(made))


def _kin(row: Mapping[str, Any]) -> list[Any]:
    # rows stored before there were trials have no kind, and nothing tuned
    tune = _object(row["tune"])
    asked = [tune.get(name) for name in ("space", "budget", "limit")]
    now = up_to_date(dict(row))
    return [row["kind"] or "run", asked, *(plain(now[name], TYPES[name]) for name in KIN)]


def _asked(row: Row, tune: dict[str, Any] | None) -> list[Any]:
    """What was asked for, without the values that tuning chose."""
    space = _part(tune, "space")
    now = up_to_date(row)
    values = {name: now[name] for name in (*DATASET, *MODEL, *RECIPE)}
    if tune and "runs_limit" in tune:  # trials saw less than was asked for
        values["limit"] = tune["runs_limit"]
    values |= {name: None for name in space if name in values}
    values["model_params"] = row["model_params"] or ""
    if space:
        params = _object(row["model_params"])
        fixed = {k: v for k, v in params.items() if MODEL_KEY + k not in space}
        values["model_params"] = json.dumps(fixed, sort_keys=True)
    budget = [tune[name] for name in ("budget", "limit") if name in tune] if tune else []
    # adding zero makes -0.0 the 0.0 that it is equal to
    told = [v + 0.0 if isinstance(v, float) else v for v in values.values()]
    return [*told, "" if tune is None else json.dumps([space, *budget], sort_keys=True)]


def _object(text: Any) -> dict[str, Any]:
    """A JSON object; empty for what is none."""
    try:
        found = json.loads(text or "{}")
    except (TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _part(whole: Any, name: str) -> dict[str, Any]:
    found = whole.get(name) if isinstance(whole, dict) else None
    return found if isinstance(found, dict) else {}
