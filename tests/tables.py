"""Tables of text and label as users have them, and what comes out of a data set made of one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

import harness
from harness.specs import Split
from harness_datasets._rows import Part, Row
from harness_datasets._tables import part

Pair = tuple[str, str]


def write_csv(path: Path, rows: Sequence[Pair], *, header: str = "text,label") -> Path:
    quoted = [f'"{text.replace(chr(34), chr(34) * 2)}",{label}' for text, label in rows]
    path.write_text("\n".join([header, *quoted]) + "\n", encoding="utf-8")
    return path


def write_json_lines(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows_of(path: Path, *, text: str = "text", label: str = "label") -> list[Row]:
    return list(part(path, text=text, label=label).rows())


def faults_of(path: Path) -> list[tuple[int, str]]:
    return [(row.place, row.fault) for row in rows_of(path) if row.fault]


def reviews(count: int) -> list[Pair]:
    """Different texts, of which one word says the label."""
    words = {"pos": "good", "neg": "bad"}
    labels = ["pos", "neg"] * ((count + 1) // 2)
    return [(f"a {words[y]} film, no {i}", y) for i, y in enumerate(labels[:count])]


def part_of(*rows: Row, name: str = "some.csv", unit: str = "line") -> Part:
    return Part(name, unit, lambda: iter(rows))


def part_of_pairs(pairs: Sequence[Pair]) -> Part:
    return part_of(*(Row(place, *pair) for place, pair in enumerate(pairs, start=2)))


def pairs_of(dataset: harness.Dataset, split: Split) -> list[Pair]:
    """Each example as it is read, with the name of its class."""
    assert dataset.decode is not None
    names = dataset.spec.class_names
    rows = [split[i] for i in range(len(split))] if not isinstance(split, Mapping) else [
        {"x": x, "y": y} for x, y in zip(split["x"], split["y"], strict=True)
    ]  # fmt: skip
    return [(dataset.decode(row["x"]), names[int(row["y"])]) for row in rows]


def same_splits(one: harness.Dataset, other: harness.Dataset) -> bool:
    pairs: list[tuple[Split, Split]] = [(one.train, other.train), (one.test, other.test)]
    return all(
        isinstance(a, Mapping) and isinstance(b, Mapping)
        and np.array_equal(a["x"], b["x"]) and np.array_equal(a["y"], b["y"])
        for a, b in pairs
    )  # fmt: skip


def no_call(*args: object, **more: object) -> Callable[..., object]:
    raise AssertionError("it was prepared again")
