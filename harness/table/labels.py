"""Entries as a table names them: selections, no longer than it takes to tell them apart.

A row holds all resolved parameters of its data set and model. A label shows, in the
selection grammar, those that vary among the rows of the same entry and variant.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from harness.grammar import parse_value
from harness.rows import COLUMNS, Row

DATASET = ["dataset", "dataset_variant", "dataset_params"]
MODEL = ["model", "variant", "model_params"]
# two columns of the place that the user chooses, too
RECIPE = (
    *(c.name for c in COLUMNS if c.group == "recipe" and c.name != "tune"), "device_count",
    "process_count",
)  # fmt: skip
SHORT = 8  # letters of a fingerprint, where they tell all of a data set apart
MARKS = set('[],=:"')


def labels(entries: Iterable[tuple[str, str | None, str | None]]) -> list[str]:
    """One label for each entry.

    Args:
      entries: name, variant and parameters (a JSON object) of each row's entry.

    >>> labels([("mlp", "", '{"width": 8}'), ("mlp", "", '{"width": 16}'), ("rnn", "", "{}")])
    ['mlp[width=8]', 'mlp[width=16]', 'rnn']
    """
    listed = [(name, variant or "", parameters(text)) for name, variant, text in entries]
    seen: dict[tuple[str, str], dict[str, dict[str, Any]]] = defaultdict(dict)
    for name, variant, params in listed:
        seen[name, variant][json.dumps(params)] = params
    varying = {kind: _varying(several.values()) for kind, several in seen.items()}
    return [
        selection(name, variant, {k: params[k] for k in varying[name, variant] if k in params})
        for name, variant, params in listed
    ]


def versions(names: Iterable[str], fingerprints: Iterable[str | None]) -> list[str]:
    """The names of data sets, with their fingerprints where one name stands for several.

    Args:
      fingerprints: of the data that each name stands for; one that is not known, because no
        run came to read the data, is taken for the first that is.

    >>> versions(["a", "a", "b"], ["0123456789", "abcdef0123", None])
    ['a (data 01234567)', 'a (data abcdef01)', 'b']
    """
    listed = list(zip(names, fingerprints, strict=True))
    known: dict[str, dict[str, None]] = defaultdict(dict)
    for name, found in listed:
        known[name] |= {found: None} if found else {}
    return [
        f"{name} (data {_short(found or next(iter(known[name])), known[name])})"
        if len(known[name]) > 1
        else name
        for name, found in listed
    ]


def _short(fingerprint: str, others: Collection[str]) -> str:
    """As much of a fingerprint as tells it from all others: a plugin may begin them alike."""
    length = SHORT
    while len({one[:length] for one in others}) < len(others):
        length += 1
    return fingerprint[:length]


def settings(rows: Sequence[Row]) -> list[str]:
    """What tells the rows' recipes apart, such as `learning_rate=0.001`; often nothing."""
    differing = [name for name in RECIPE if len({row[name] for row in rows}) > 1]
    return [",".join(f"{name}={_write(row[name])}" for name in differing) for row in rows]


def parameters(text: str | None) -> dict[str, Any]:
    """The parameters of a row's entry; a row without any has an empty object."""
    return json.loads(text) if text else {}


def selection(name: str, variant: str, params: Mapping[str, Any]) -> str:
    """Writes what `harness.grammar.parse` reads."""
    inside = ",".join(f"{key}={_write(value)}" for key, value in params.items())
    return name + (f":{variant}" if variant else "") + (f"[{inside}]" if inside else "")


def with_parameters(label: str, more: Mapping[str, Any]) -> str:
    """A selection with more parameters in its brackets.

    >>> with_parameters("mlp[width=8]", {"dropout": 0.1})
    'mlp[width=8,dropout=0.1]'
    """
    if not more:
        return label
    inside = ",".join(f"{key}={_write(value)}" for key, value in more.items())
    return f"{label[:-1]},{inside}]" if label.endswith("]") else f"{label}[{inside}]"


def _varying(several: Collection[dict[str, Any]]) -> list[str]:
    """The keys whose value is not the same everywhere, in the order of their names."""
    keys = sorted({key for params in several for key in params})
    return [
        key
        for key in keys
        # as text, because 1 and True are equal; "absent" unquoted is no JSON value
        if len({json.dumps(p[key]) if key in p else "absent" for p in several}) > 1
    ]


def _write(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return repr(value)
    if parse_value(value) == value and value and not MARKS & set(value) and not _spaced(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _spaced(text: str) -> bool:
    return any(letter.isspace() for letter in text)
