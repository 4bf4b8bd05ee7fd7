"""A report as files for programs: JSON, JUnit XML, every block in Parquet."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from harness.errors import UsageError
from harness.gate.render import WORDS, to_text
from harness.gate.report import Report
from harness.gate.signals import CellSignals
from harness.gate.verdict import CellVerdict, Verdict
from harness.paths import write_atomically

SCHEMA = 1
# what no XML may have; a compiler's message might
NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# what a verdict is in JUnit's words; a pass has none
JUNIT = {
    Verdict.SLOWER: "failure", Verdict.CHANGED: "failure", Verdict.INVALID: "error",
    Verdict.INCONCLUSIVE: "skipped",
}  # fmt: skip


def write(report: Report, path: Path) -> None:
    """Writes a report in the format that the file's name ends in.

    Raises:
      UsageError: the file cannot be written.
    """
    try:
        WRITERS[path.suffix](report, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror})") from None


def to_json(report: Report) -> dict[str, Any]:
    """The report as JSON values; `schema` counts changes that a reader has to know."""
    return {
        "schema": SCHEMA,
        "verdict": report.verdict.name.lower(),
        "exit_code": report.verdict.value,
        "reason": report.reason,
        "base": report.base,
        "head": report.head,
        "profile": report.profile,
        "seed": report.seed,
        "way": report.way,
        "seconds": report.seconds,
        "place": dict(report.place),
        "cells": [_cell(cell) for cell in report.cells],
    }


def _cell(cell: CellVerdict) -> dict[str, Any]:
    outcome = cell.outcome
    return {
        "cell": cell.cell,
        "verdict": cell.verdict.name.lower(),
        "reason": cell.reason,
        "base_ms": cell.base_ms,
        "head_ms": cell.head_ms,
        "pairs": cell.pairs,
        "estimate": None if cell.estimate is None else _finite(asdict(cell.estimate)),
        "unchanged": outcome.unchanged,
        "mechanism": outcome.mechanism,
        "findings": [asdict(finding) for finding in outcome.findings],
        "signals": {"base": _signals(outcome.base), "head": _signals(outcome.head)},
    }


def _signals(side: CellSignals) -> dict[str, Any]:
    return {n: {"hlo_hash": p.hlo_hash, **p.numbers} for n, p in side.programs.items()}


def stored(report: Report) -> list[dict[str, Any]]:
    """The report as lines of the store's table of gates, one a cell."""
    gate_id = uuid.uuid4().hex[:12]
    place = ("host", "cpu_model", "device_kind", "harness_version", "jax_version")
    return [
        {
            "gate_id": gate_id, "cell": cell.cell, "started_at": report.started_at,
            "base": report.base, "head": report.head, "profile": report.profile,
            "verdict": cell.verdict.name.lower(), "reason": cell.reason,
            "pairs": cell.pairs, "base_ms": cell.base_ms, "head_ms": cell.head_ms,
            **_ratio(cell), **{name: report.place.get(name) for name in place},
        }
        for cell in report.cells
    ]  # fmt: skip


def _ratio(cell: CellVerdict) -> dict[str, float | None]:
    names = {"ratio": "ratio", "low": "ratio_low", "high": "ratio_high", "visible": "visible"}
    if cell.estimate is None:
        return dict.fromkeys(names.values())
    return {names[name]: value for name, value in _finite(asdict(cell.estimate)).items()}


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    """JSON and the store know no infinity, which a bound of few pairs is."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _json(report: Report, path: Path) -> None:
    text = json.dumps(to_json(report), indent=1, allow_nan=False)
    write_atomically(path, (text + "\n").encode())


def _junit(report: Report, path: Path) -> None:
    """One test a cell: a slowdown is a failure, a broken measurement an error."""
    kinds = [JUNIT.get(cell.verdict) for cell in report.cells]
    suite = ElementTree.Element(
        "testsuite", name="harness gate", tests=str(len(kinds)),
        failures=str(kinds.count("failure")), errors=str(kinds.count("error")),
        skipped=str(kinds.count("skipped")), time=f"{report.seconds:.3f}",
    )  # fmt: skip
    for cell, kind in zip(report.cells, kinds, strict=True):
        test = ElementTree.SubElement(
            suite, "testcase", name=cell.cell, classname="harness.gate"
        )
        if kind:
            told = ElementTree.SubElement(test, kind, message=NO_XML.sub("?", cell.reason))
            told.set("type", WORDS[cell.verdict])
    content = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    write_atomically(path, content)


def blocks(report: Report) -> Iterator[dict[str, Any]]:
    """Every block of every pair, controls too, as flat records."""
    for kind, rounds in (("cell", report.pairs), ("control", report.controls)):
        for number, pairs in enumerate(rounds):
            for pair in pairs:
                for at, block in enumerate(pair.blocks):
                    yield {
                        "kind": kind, "cell": pair.cell, "pair": number, "block": at,
                        **asdict(block),
                    }  # fmt: skip


def check(path: Path) -> None:
    """Whether a report can be written there, before anything is measured.

    Raises:
      UsageError: no format has that ending, it is a folder, or a library is missing.
    """
    if path.suffix not in WRITERS:
        raise UsageError(f"{str(path)!r}: expected a file named *{', *'.join(WRITERS)}")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give the name of a file")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise UsageError("Parquet needs pyarrow; run pip install 'model-zoo-harness[parquet]'")


def _parquet(report: Report, path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.Table.from_pylist(list(blocks(report)))
    pyarrow.parquet.write_table(table, path)


def _markdown(report: Report, path: Path) -> None:
    write_atomically(path, (to_text(report, "markdown") + "\n").encode())


WRITERS = {".json": _json, ".xml": _junit, ".parquet": _parquet, ".md": _markdown}
