"""Where a table comes from: machines, versions, and the commands that give it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness import tuning
from harness.recipe import COLUMN_OF, Recipe
from harness.report.lines import Line, printable
from harness.report.spaces import Whole, whole_spaces
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
    store: str,
    *,
    conditions: Sequence[str] = (),
    runs: Sequence[str] = (),
    target: float | None = None,
    plugins: Sequence[str] = (),
    with_data: bool = True,
) -> list[str]:
    """The commands that make the table and this page again from the store.

    Args:
      store: its URL, without a password.
      plugins: files that the page's data sets need.
      with_data: whether the page shows examples, messages and logs.
    """
    shared = ["--store", store, *(word for c in conditions for word in ("--where", c))]
    shared += [] if target is None else ["--target-accuracy", f"{target:g}"]
    own = [word for file in plugins for word in ("--plugin", file)]
    own += [] if with_data else ["--no-examples"]
    commands = [["harness", "report", "-o", "report.html", *runs, *shared, *own]]
    if not runs:
        commands.append(["harness", "table", *shared])
    return [shlex.join(words) for words in commands]


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What a command says of one line.

    Attributes:
      words: its hyper-parameters, but for those that were tuned, and its metrics.
      tune: what its row says of tuning; None is untuned.
    """

    data: str
    model: str
    plugins: tuple[str, ...]
    words: tuple[str, ...]
    seeds: tuple[int, ...]
    tune: dict[str, Any] | None


# a doubt whether it makes the same trials, "" mostly, and what stands behind the models
_Command = tuple[str, tuple[str, ...]]


def run_commands(lines: Iterable[Line], *, declared: Declared | None = None) -> list[str]:
    """The commands that train the lines' runs anew, each with the plugin files it needs.

    Where no command can, or where a row leaves open which, a comment says so.

    Args:
      declared: by kind and name, the default parameters of the data sets and models that are
        known here. What is at its default is not said; of others all is.
    """
    usual, classes = declared or {}, list[str]()
    groups: dict[Any, list[_Part]] = {}
    for line in (line for line in lines if line.rows):
        part = _part(line, usual)
        if _is_class(line.rows[0]):
            classes.append(f"# from Python: {part.model} on {part.data}, a class that "
                           "harness.run was given")  # fmt: skip
            continue
        given = tuple(_given(part.tune)) if part.tune else ()
        groups.setdefault((part.data, part.words, part.seeds, given), []).append(part)
    models: dict[tuple[str, _Command], list[str]] = {}
    for part, command in (one for group in groups.values() for one in _with_spaces(group)):
        models.setdefault((part.data, command), []).append(part.model)
    return [*_merged(models), *dict.fromkeys(classes)]


def _part(line: Line, usual: Declared) -> _Part:
    row = line.rows[0]
    seeds = sorted({r["seed"] for r in line.rows if r["seed"] is not None})
    return _Part(
        data=_data(row, usual), model=_model(row, usual), plugins=tuple(_plugins(row)),
        words=(*_recipe(row), *_metrics(row)), seeds=tuple(seeds),
        tune=json.loads(row["tune"]) if _space(row) else None,
    )  # fmt: skip


def _with_spaces(parts: Sequence[_Part]) -> Iterator[tuple[_Part, _Command]]:
    """The commands of lines that differ in model, plugins and space alone."""
    tuned = [part for part in parts if part.tune]
    wholes = whole_spaces([part.tune for part in tuned if part.tune])
    found = {id(part): whole for part, whole in zip(tuned, wholes, strict=True)}
    for part in parts:
        whole, files = found.get(id(part)), part.plugins
        if whole is not None:  # one command: of a tuned key, another model may be the one
            alike = [other.plugins for other in tuned if found[id(other)] == whole]
            files = tuple(dict.fromkeys(file for some in alike for file in some))
        words = [word for file in files for word in ("--plugin", file)]
        words += [*part.words, *_tuning(part, whole)]
        for seeds in _seeds(part.seeds):
            yield part, ("" if whole is None else whole.doubt, (*words, *seeds))


def _tuning(part: _Part, whole: Whole | None) -> list[str]:
    if whole is None or part.tune is None:
        return []
    tuned = [word for k, v in whole.space.items() for word in ("--tune", f"{k}={v}")]
    return [*tuned, *_given(part.tune)]


def _given(tune: Mapping[str, Any]) -> list[str]:
    limit = ["--tune-limit", str(tune["limit"])] if "limit" in tune else []
    return ["--budget", str(tune["budget"]), *limit]


def _merged(models: Mapping[tuple[str, _Command], Sequence[str]]) -> list[str]:
    """Commands in which all models and data sets of the same words stand."""
    merged: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for (data, (doubt, words)), chosen in models.items():
        merged.setdefault((doubt, tuple(dict.fromkeys(chosen)), words), []).append(data)
    told = []
    for (doubt, chosen, words), data in merged.items():
        told += [f"# {', '.join(chosen)}: {doubt}"] if doubt else []
        named = [word for one in data for word in ("-d", one)]
        named += [word for one in chosen for word in ("-m", one)]
        told.append(shlex.join(["harness", "run", *named, *words]))
    return told


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
    tuned = {key.removeprefix(MODEL_KEY) for key in _space(row) if key.startswith(MODEL_KEY)}
    params = {k: v for k, v in parameters(row["model_params"]).items() if k not in tuned}
    usual = dict(declared.get(("model", row["model"]), {}))
    if row["variant"]:  # its values stand in place of the defaults, as long as none was given
        usual |= parameters(row["variant_params"])
    return _selection(row, "model", _differing(params, usual))


def _differing(params: dict[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in params.items() if k not in usual or usual[k] != v}


def _key_parts(row: Row) -> dict[str, Any]:
    return json.loads(row["key_parts"] or "{}")


def _is_class(row: Row) -> bool:
    """Whether the model is a class of a Python session, which no command can name."""
    source = (_key_parts(row).get("model") or {}).get("source") or {}
    return source.get("origin") == "session"


def _plugins(row: Row) -> list[str]:
    """The plugin files that the run was made with, by their names: no row knows their paths."""
    parts = _key_parts(row)
    used = [parts.get(kind) or {} for kind in ("dataset", "model", "optimizer")]
    used += (parts.get("metrics") or {}).values()
    sources = [one.get("source") or {} for one in used]
    files = [source["name"] for source in sources if source.get("origin") == "file"]
    return [printable(f"{name}.py") for name in dict.fromkeys(files)]


def _space(row: Row) -> dict[str, str]:
    return json.loads(row["tune"])["space"] if row["tune"] else {}


def _recipe(row: Row) -> list[str]:
    """The flags of what is neither tuned nor what it is without a flag."""
    words: list[str] = []
    space = _space(row)
    usual = vars(Recipe()) | dict(tuning.DEFAULTS if space else {})
    for name, default in usual.items():
        value = row[COLUMN_OF.get(name, name)]
        if value is not None and value != default and name not in space:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return [*words, *(["--vmap-seeds"] if (row["vmap_seeds"] or 1) > 1 else [])]


def _metrics(row: Row) -> list[str]:
    named = _key_parts(row).get("metrics") or {}
    return [word for label in named for word in ("--metric", printable(label))]


def _seeds(seeds: tuple[int, ...]) -> list[list[str]]:
    if seeds == (0,):
        return [[]]
    if seeds == tuple(range(len(seeds))):
        return [["--seeds", str(len(seeds))]]
    return [["--seed", str(seed)] for seed in seeds]
