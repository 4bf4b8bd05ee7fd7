"""Tier 0: what both sides compile to, compared without a clock."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import counted
from harness.gate import probe
from harness.gate.compare import Finding, cannot_have_slowed, compare, mechanism
from harness.gate.signals import CellSignals, cell_signals
from harness.gate.trees import Side

PROBE = Path(probe.__file__)
# processes that compile at a time: nothing here is timed
AT_ONCE = 2
# seconds that a side may take for a cell
PATIENCE_S = 600.0


@dataclass(frozen=True)
class Question:
    """What each side is asked.

    Attributes:
      cells: (data set, model) selections, one thing each.
      plugins: files, as `trees.plugin_files` gives them for a side.
      recipe: hyper-parameters of `harness.recipe.Recipe` by name.
    """

    cells: Sequence[tuple[str, str]]
    plugins: Callable[[Side], Sequence[str]]
    recipe: Mapping[str, Any]


@dataclass(frozen=True)
class CellOutcome:
    """One cell without a clock.

    Attributes:
      unchanged: it cannot have become slower, so timing it is no use.
      mechanism: what could have made it slower, in words.
    """

    base: CellSignals
    head: CellSignals
    findings: Sequence[Finding]
    unchanged: bool
    mechanism: str


def look(
    base: Side, head: Side, question: Question, *, note: Callable[[str], None]
) -> list[CellOutcome]:
    """Compiles every cell on both sides, twice on the base, and compares."""
    note(f"compiling {counted(len(question.cells), 'cell')}: the base twice, the head once")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = list(pool.map(lambda side: ask(side, question), (base, base, head)))
    return [
        CellOutcome(
            base=one, head=other, findings=compare(one, again, other),
            unchanged=cannot_have_slowed(one, other), mechanism=mechanism(one, other),
        )
        for one, again, other in zip(*told, strict=True)
    ]  # fmt: skip


def ask(side: Side, question: Question) -> list[CellSignals]:
    """What the probe says of each cell on one side; cells behind its death have an error."""
    asked = {
        "cells": [{"dataset": d, "model": m} for d, m in question.cells],
        "plugins": list(question.plugins(side)),
        "recipe": dict(question.recipe),
        "roots": [str(root) for root in side.roots],
    }
    # -P: beside the probe lie files with names of the standard library
    patience_s = PATIENCE_S * max(1, len(question.cells))
    said, reason = _said([side.python, "-P", str(PROBE)], json.dumps(asked), side, patience_s)
    answers = [json.loads(line) for line in said.splitlines() if line.endswith("}")]
    missing = asked["cells"][len(answers) :]
    return [
        cell_signals(answer)
        for answer in [*answers, *({"cell": cell, "error": reason} for cell in missing)]
    ]


def _said(command: list[str], asked: str, side: Side, patience_s: float) -> tuple[str, str]:
    """What the process answered, and why that may not be all."""
    try:
        done = subprocess.run(
            command, input=asked, text=True, capture_output=True, timeout=patience_s,
            env=side.environment(), cwd=side.folder,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        said = late.stdout or b""
        text = said if isinstance(said, str) else said.decode(errors="replace")
        return text, f"it was still compiling after {patience_s:g} s"
    last = (done.stderr.strip().splitlines() or [""])[-1]
    return done.stdout, f"the process that compiles died (exit {done.returncode}) {last}"
