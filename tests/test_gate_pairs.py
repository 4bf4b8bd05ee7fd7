"""A real pair of processes on one small cell: what it measures and how it breaks."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.gate.pairs import QUADRUPLES, Pairing, scout
from harness.gate.side import Side
from harness.gate.ways import InTurn, Way, fitting
from harness.gate.workers import Broken

BASE = Side("base", "here", sys.executable, ())
HEAD = replace(BASE, name="head")
CELL = "digits x mean_pool"


def question(model: str = "mean_pool", **recipe: Any) -> dict[str, Any]:
    cells = [{"dataset": "digits", "model": model, "steps": 1}]
    return {"cells": cells, "plugins": [], "recipe": {"batch_size": 32, **recipe}}


def pairing(told: dict[str, Any], *, way: Way | None = None, **changes: Any) -> Pairing:
    asked = {"base": told, "head": told}
    return Pairing(BASE, HEAD, asked, random.Random(0), way or InTurn(), **changes)


@pytest.mark.parametrize("way", [InTurn(), fitting({"cpu"})], ids=lambda way: way.words)
def test_a_pair_has_all_its_blocks_and_a_known_slowdown_is_exact(way: Way):
    (pair,) = pairing(question(), way=way, extra={CELL: 10}).pair([CELL])
    assert len(pair.blocks) == 4 * QUADRUPLES
    for quadruple in pair.quadruples():
        assert sorted(b.side for b in quadruple) == ["base", "base", "head", "head"]
    for block in pair.blocks:  # a tenth more work, exactly, and nothing else
        assert 10 * block.done == {"base": 10, "head": 11}[block.side] * block.epochs
        assert block.seconds > 0 and block.steps == 1
    assert all(len(ratios) == QUADRUPLES for ratios in pair.calibration.values())
    assert pair.step_ms("base") > 0


def test_a_scout_finds_epochs_that_fit_a_block():
    (steps,) = scout(BASE, question())
    assert 1 <= steps <= 8


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (question("nothing"), "worker failed: UnknownName: no model 'nothing'"),
        (question(batch_size=10**6), "worker failed"),
    ],
)
def test_a_cell_that_cannot_be_trained_breaks_the_measurement(told: dict[str, Any], why: str):
    with pytest.raises(Broken, match=why):
        pairing(told).pair([CELL])


def test_a_worker_that_runs_other_code_than_was_compiled_breaks_the_measurement(
    tmp_path: Path,
):
    """As it would with the two sides' trees in each other's place."""
    roots = (Path(harness.__file__).parent.parent,)
    told = {"base": question(), "head": question()}
    sides = replace(BASE, roots=roots), replace(HEAD, roots=roots)
    compiled = {"head": {"harness/engine.py": "0123456789abcdef"}}
    broken = Pairing(*sides, told, random.Random(0), InTurn(), sources=compiled)
    with pytest.raises(Broken, match="head's worker runs another harness/engine.py"):
        broken.pair([CELL])
