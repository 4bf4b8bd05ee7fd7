"""Where a table comes from: machines, versions, and the commands that give it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.recipe import Recipe
from harness.report.lines import Line, printable
from harness.rows import Row
from harness.table.labels import parameters, selection

PLACE = {
    "host": "host", "cpu_model": "processor", "device_kind": "device",
    "device_count": "devices", "mesh": "mesh", "executor": "executor",
    "allocator": "allocator", "python_version": "Python", "jax_version": "JAX",
    "jaxlib_version": "jaxlib", "flax_version": "Flax", "optax_version": "Optax",
    "grain_version": "Grain", "numpy_version": "NumPy", "harness_version": "harness",
    "commit": "commit", "dirty": "uncommitted changes", "model_plugin": "model plugins",
    "dataset_plugin": "data-set plugins",
}  # fmt: skip
MODEL_KEY = "model."
# default parameters by kind and name of their entries
Declared = Mapping[tuple[str, str], Mapping[str, Any]]


def places(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """What the rows say of their machine and versions; all of them where they differ."""
    listed = list(rows)
    told = []
    for column, word in PLACE.items():
        values = dict.fromkeys(row[column] for row in listed if row[column] not in (None, ""))
        if values:
            told.append((word, ", ".join(printable(_plain(value)) for value in values)))
    days = sorted({(row["started_at"] or "")[:10] for row in listed} - {""})
    if days:
        told.append(("days", days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"))
    return told


def _plain(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def table_commands(
    store: str, conditions: Sequence[str], runs: Sequence[str], target: float | None
) -> list[str]:
    """The commands that make the table and this page again from the store.

    Args:
      store: its URL, without a password.
    """
    shared = ["--store", store, *(word for c in conditions for word in ("--where", c))]
    shared += [] if target is None else ["--target-accuracy", f"{target:g}"]
    commands = [["harness", "report", "-o", "report.html", *runs, *shared]]
    if not runs:
        commands.append(["harness", "table", *shared])
    return [shlex.join(words) for words in commands]


def run_commands(lines: Iterable[Line], *, declared: Declared | None = None) -> list[str]:
    """The commands that train the lines' runs anew, each with the plugin files it needs.

    Args:
      declared: by kind and name, the default parameters of the data sets and models that are
        known here. What is at its default is not said; of others all is.
    """
    usual = declared or {}
    models: dict[tuple[str, ...], list[str]] = {}
    for line in lines:
        if not line.rows:
            continue
        row = line.rows[0]
        seeds = tuple(sorted({r["seed"] for r in line.rows if r["seed"] is not None}))
        data = _data(row, usual)
        for words in _seeds(seeds):
            key = ("-d", data, *_plugins(row), *_recipe(row), *words)
            models.setdefault(key, []).append(_model(row, usual))
    merged: dict[tuple[str, ...], list[str]] = {}
    for (_, data, *rest), chosen in models.items():
        words = tuple(word for model in dict.fromkeys(chosen) for word in ("-m", model))
        merged.setdefault((*words, *rest), []).append(data)
    return [
        shlex.join(["harness", "run", *(w for d in data for w in ("-d", d)), *words])
        for words, data in merged.items()
    ]


def _selection(row: Row, kind: str, params: dict[str, Any]) -> str:
    variant = row["dataset_variant"] if kind == "dataset" else row["variant"]
    return printable(selection(row[kind], variant or "", params))


def _data(row: Row, declared: Declared) -> str:
    """The data set with its parameters, but for those at their defaults."""
    usual = declared.get(("dataset", row["dataset"]), {})
    # a variant changes some of the defaults: beside it all is said
    usual = {} if row["dataset_variant"] else usual
    return _selection(row, "dataset", _differing(parameters(row["dataset_params"]), usual))


def _model(row: Row, declared: Declared) -> str:
    """The model with its parameters, but for defaults and what variant or tuning has set."""
    set_ = set(parameters(row["variant_params"])) if row["variant"] else set()
    set_ |= {key.removeprefix(MODEL_KEY) for key in _space(row) if key.startswith(MODEL_KEY)}
    params = {k: v for k, v in parameters(row["model_params"]).items() if k not in set_}
    usual = declared.get(("model", row["model"]), {})
    return _selection(row, "model", _differing(params, usual))


def _differing(params: dict[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in params.items() if k not in usual or usual[k] != v}


def _plugins(row: Row) -> list[str]:
    """The plugin files that the run was made with, by their names: no row knows their paths."""
    parts: dict[str, Any] = json.loads(row["key_parts"] or "{}")
    used = [parts.get(kind) or {} for kind in ("dataset", "model", "optimizer")]
    used += (parts.get("metrics") or {}).values()
    sources = [one.get("source") or {} for one in used]
    files = [source["name"] for source in sources if source.get("origin") == "file"]
    return [word for name in dict.fromkeys(files)
            for word in ("--plugin", printable(f"{name}.py"))]  # fmt: skip


def _space(row: Row) -> dict[str, str]:
    return json.loads(row["tune"])["space"] if row["tune"] else {}


def _recipe(row: Row) -> list[str]:
    """The flags of what is not at its default."""
    words: list[str] = []
    space = _space(row)
    for name, default in vars(Recipe()).items():
        value = row["selection" if name == "select" else name]
        if value is not None and value != default and name not in space:
            words += [f"--{name.replace('_', '-')}", str(value)]
    for key, values in space.items():
        words += ["--tune", f"{key}={values}"]
    if space:
        words += ["--budget", str(json.loads(row["tune"])["budget"])]
    return words


def _seeds(seeds: tuple[int, ...]) -> list[list[str]]:
    if seeds == (0,):
        return [[]]
    if seeds == tuple(range(len(seeds))):
        return [["--seeds", str(len(seeds))]]
    return [["--seed", str(seed)] for seed in seeds]
