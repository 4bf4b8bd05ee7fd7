"""The study of the gate: its changes still apply, and its page says what its records say."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import gate_study
from benchmarks.gate_more import slowed
from benchmarks.gate_programs import SIGNALS, told
from benchmarks.gate_sides import KINDS, Kind, make_repository
from harness.gate import trees
from harness.gate.pairs import Pairing
from harness.gate.side import Side
from harness.gate.ways import InTurn

PLACE = {"cpu_model": "EPYC", "device_kind": "cpu", "jax_version": "1", "cores": 2}


def round_of(way: str, seed: int, noise: float = 0.01) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    values = [np.log1p(more / 100) + noise * draw.standard_normal() for more in gate_study.MORE]
    return {"way": way, "values": values, "dropped": [0.0] * len(values), "place": PLACE}


def gate_of(kind: str, verdict: str, ratio: float | None = None) -> dict[str, Any]:
    return {"kind": kind, "verdict": verdict, "ratio": ratio, "pairs": 10 if ratio else 0,
            "minutes": 2.0, "place": PLACE}  # fmt: skip


@pytest.mark.parametrize(
    "kind", [*KINDS.values(), *(kind for _, kind in SIGNALS.values())], ids=lambda k: k.words
)
def test_a_change_applies_and_is_the_only_one(tmp_path: Path, kind: Kind):
    repository = make_repository(tmp_path / "copy", kind)
    with trees.from_git(repository, "HEAD", None, note=print) as (base, head):
        assert base.folder is not None and head.folder is not None
        differ = [
            str(path.relative_to(head.folder))
            for path in head.folder.rglob("*.py")
            if path.read_text() != (base.folder / path.relative_to(head.folder)).read_text()
        ]
        assert differ == ([kind.file] if kind.before != kind.after else [])
        compile((head.folder / kind.file).read_text(), kind.file, "exec")


def test_more_work_is_that_of_the_cells_and_not_of_the_controls(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(Pairing, "pair", lambda self, cells: (dict(self.extra), self.multiple))
    side = Side("base", "here", "python", ())
    for extra, more in (({}, {"a": 5}), ({"known": 10}, {"known": 10})):
        pairing = slowed(5)(side, side, {}, random.Random(0), InTurn(), extra=extra)
        assert pairing.pair(["a"]) == (more, 100)


def test_the_page_tells_in_how_many_cells_a_regression_was_found():
    record = {
        "program": "flops", "cells": 9, "found": 8, "failed": 8, "cell_s": 4.0, "place": PLACE,
    }  # fmt: skip
    assert "| a matrix product more | flops | 9 | 8 | 8 | 4.0 |" in gate_study.page([record])


def test_a_regression_is_found_by_its_own_signal_and_a_placebo_by_none():
    note, warn = ({"signal": "f64", "level": level} for level in ("note", "warn"))
    assert told({"findings": [warn]}, "f64") and not told({"findings": [note]}, "f64")
    assert not told({"findings": [warn]}, "flops")
    assert told({"findings": [warn]}, "") and not told({"findings": [note]}, "")


def test_the_page_tells_spread_shares_and_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gate_study, "RESAMPLED", 50)
    records = [round_of(way, seed) for way in ("one", "both") for seed in range(24)]
    records += [gate_of("comment", "pass", 1.001), gate_of("comment", "inconclusive", 1.01)]
    records += [gate_of("donation", "changed")]
    text = gate_study.page(records)
    assert text.index("One side at a time") < text.index("Both at once")
    assert "| 10 % | 24 |" in text and "| 100.0% | 0.0% | 0.0% |" in text
    assert (
        "| a comment | PASS | 2 | PASS 1, INCONCLUSIVE 1 | 1.001 to 1.010 | 10 | 2.0 |" in text
    )
    assert "| the state is not donated | CHANGED | 1 | CHANGED 1 | - | 0 | 2.0 |" in text
    assert "0 of 2, at 95 % confidence under 78%" in text
    assert text.endswith("EPYC, device cpu, jax 1, 2 cores")
