"""Tier 0: what both sides compile to, compared without a clock."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.children import timer
from harness.errors import UsageError, counted
from harness.gate import probe
from harness.gate.compare import Finding, cannot_have_slowed, compare, is_new, mechanism
from harness.gate.side import Side
from harness.gate.signals import CellSignals, cell_signals

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
      broken: why the base says nothing; empty if it does.
    """

    base: CellSignals
    head: CellSignals
    findings: Sequence[Finding]
    unchanged: bool
    mechanism: str
    broken: str = ""

    @property
    def is_new(self) -> bool:
        return is_new(self.base, self.head)


def look(
    base: Side, head: Side, question: Question, *, note: Callable[[str], None]
) -> list[CellOutcome]:
    """Compiles every cell on both sides, twice on the base, and compares.

    A model that serves a data set on neither side, or is new and does not, has no cell there.

    Raises:
      UsageError: both sides refuse what they are asked, or no cell is left.
    """
    note(f"compiling {counted(len(question.cells), 'cell')}: the base twice, the head once")
    asked = _Asked(question, note)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            # the base's second process finds in the index what the first one put there
            one, new, again = pool.map(asked.ask, (base, head, base))
        except BaseException:
            asked.end()  # an interrupt comes to this thread alone
            raise
    told = list(zip(one, again, new, strict=True))
    for base_cell, _, head_cell in told:
        if base_cell.refused and head_cell.refused:
            raise UsageError(f"{head_cell.cell}: {head_cell.refused}")
    unserved = {h.cell: h.unserved for b, _, h in told if _no_cell(b, h)}
    for cell, why in unserved.items():
        note(f"{cell} is left out: the model {why}")
    if len(unserved) == len(question.cells):
        raise UsageError(f"no cell to compare; {', '.join(unserved)}: see the notes")
    return [outcome(*cell) for cell in told if cell[2].cell not in unserved]


def _no_cell(base: CellSignals, head: CellSignals) -> bool:
    return bool(head.unserved) and bool(base.unserved or base.absent)


def outcome(base: CellSignals, again: CellSignals, head: CellSignals) -> CellOutcome:
    """What three compilations of a cell come to."""
    new = is_new(base, head)
    return CellOutcome(
        base=base, head=head, findings=compare(base, again, head),
        unchanged=new or cannot_have_slowed(base, head), mechanism=mechanism(base, head),
        broken="" if new else base.error or again.error,
    )  # fmt: skip


@dataclass
class _Asked:
    """The processes that are asked, and how many answers have come."""

    question: Question
    note: Callable[[str], None]
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    answers: int = 0
    ended: bool = False

    def ask(self, side: Side) -> list[CellSignals]:
        """What the probe says of each cell; cells behind its death have an error."""
        cells = [{"dataset": d, "model": m} for d, m in self.question.cells]
        asked = {
            "cells": cells,
            "plugins": list(self.question.plugins(side)),
            "recipe": dict(self.question.recipe),
            **side.question(),
        }
        said, reason = self._said(side, json.dumps(asked))
        missing = cells[len(said) :]
        return [
            cell_signals(answer)
            for answer in [*said, *({"cell": cell, "error": reason} for cell in missing)]
        ]

    def _said(self, side: Side, asked: str) -> tuple[list[dict[str, Any]], str]:
        """What the process answered, and why that may not be all."""
        patience_s = PATIENCE_S * max(1, len(self.question.cells))
        late = threading.Event()
        with tempfile.TemporaryFile("w+", errors="replace") as errors:
            # -P: beside the probe lie files with names of the standard library
            process = subprocess.Popen(
                [side.python, "-P", str(PROBE)], text=True, cwd=side.folder, stderr=errors,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=side.environment(),
            )  # fmt: skip
            self.processes.append(process)
            if self.ended:
                process.kill()

            def give_up() -> None:
                late.set()
                process.kill()

            with timer(patience_s, give_up), process:
                answers = list(self._heard(process, asked))
            errors.seek(0)
            last = ([line.strip() for line in errors if line.strip()] or [""])[-1]
        if late.is_set():
            return answers, f"it was still compiling after {patience_s:g} s"
        died = f"the process that compiles died (exit {process.returncode})"
        return answers, f"{died} {last}".strip()

    def _heard(self, process: subprocess.Popen[str], asked: str) -> Iterator[dict[str, Any]]:
        assert process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):  # that it died is said by what is missing
            process.stdin.write(asked)
            process.stdin.close()
        for line in process.stdout:
            if line.endswith("}\n"):
                yield json.loads(line)
                self.answers += 1
                self.note(f"compiled {self.answers} of {3 * len(self.question.cells)}")

    def end(self) -> None:
        self.ended = True
        for process in self.processes:
            process.kill()
