"""Tier 1: rounds of fresh pairs until the answer is known or the budget is spent.

A round is a pair of both sides on every cell that Tier 0 left open, and a pair of the base
beside itself, whose second half does a tenth more: the controls. The pairs are looked at after
as many rounds as `statistics.looks_for` says.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import counted
from harness.gate import acknowledged, controls, verdict
from harness.gate.blocks import Pair, what_disturbed
from harness.gate.deterministic import CellOutcome, Question
from harness.gate.pairs import Pairing, scout
from harness.gate.report import Report, Settings, everywhere
from harness.gate.side import Side
from harness.gate.statistics import Look, looks_for
from harness.gate.verdict import CellVerdict, Verdict
from harness.gate.ways import Way
from harness.gate.workers import Broken

# the controls: a cell's base beside itself, and beside itself with a tenth more work
ITSELF, KNOWN = "beside itself", "known slowdown"


@dataclass
class Rounds:
    """Pairs until the answer is known or the budget is spent."""

    base: Side
    head: Side
    question: Question
    outcomes: Sequence[CellOutcome]
    settings: Settings
    note: Callable[[str], None]
    start: float
    wanted: Mapping[str, acknowledged.Allowance]
    way: Way
    pairs: list[list[Pair]] = field(default_factory=list)
    controls: list[list[Pair]] = field(default_factory=list)
    steps: dict[str, int] = field(default_factory=dict)
    timing_from: float = 0.0

    @property
    def looks(self) -> tuple[Look, ...]:
        return looks_for(len(self.outcomes))

    def decide(self, report: Report) -> Report:
        cells = [outcome.base.cell for outcome in self.outcomes]
        try:
            found = scout(self.base, self._questions(cells)["base"])
            self.steps = dict(zip(cells, found, strict=True))
            self.timing_from = time.monotonic()
            while not self._known() and self._time_left() and not self._hopeless():
                self._one_more(cells)
        except Broken as error:
            return self._invalid(report, str(error))
        why = self._unclear()
        if not self.pairs:
            return self._all(report, Verdict.INCONCLUSIVE, why)
        broken = controls.broken(self.pairs, self.controls, seed=self.settings.seed)
        if broken:
            return self._invalid(report, broken)
        report = self._timed(report)
        return self._all(report, Verdict.INCONCLUSIVE, why) if why else report

    def _timed(self, report: Report) -> Report:
        """The report with what the pairs say so far."""
        told = {"pairs": self.pairs, "controls": self.controls}
        if not verdict.usable(self.pairs):
            return replace(report, **told)
        timed = {cell.cell: cell for cell in self._verdicts()}
        cells = [timed.get(cell.cell, cell) for cell in report.cells]
        return replace(report, cells=cells, verdict=verdict.overall(cells), **told)

    def _unclear(self) -> str:
        """Why the pairs say nothing though nothing is broken; empty if they do."""
        if not self.pairs:
            return "the budget was spent before a pair was measured; give more with --budget"
        if controls.found_known(self.controls, seed=self.settings.seed):
            return ""
        rounds = counted(len(self.controls), "round")
        return f"not even a known slowdown of 10 % shows in {rounds}; give more with --budget"

    def _invalid(self, report: Report, reason: str) -> Report:
        """What was measured is shown, and not believed."""
        return self._all(self._timed(report), Verdict.INVALID, reason)

    def _all(self, report: Report, found: Verdict, reason: str) -> Report:
        return everywhere(report, found, reason, [o.base.cell for o in self.outcomes])

    def _one_more(self, cells: Sequence[str]) -> None:
        """A pair of both sides, and one of the base beside itself for the controls."""
        draw = random.Random(f"{self.settings.seed} {len(self.pairs)}")
        both = Pairing(
            self.base, self.head, self._questions(cells), draw, self.way,
            sources=self._compiled(),
        )  # fmt: skip
        self.pairs.append(both.pair(cells))
        twin = replace(self.base, name="head")
        again = Pairing(
            self.base, twin, self._questions([cells[0]] * 2, head=twin), draw,
            self.way, extra={KNOWN: 10},
        )  # fmt: skip
        self.controls.append(again.pair([ITSELF, KNOWN]))
        lost = [one for one in (self.pairs[-1], self.controls[-1]) if not verdict.usable([one])]
        if lost:
            blocks = [block for one in lost for pair in one for block in pair.blocks]
            self.note(f"a pair does not count: {what_disturbed(blocks)}")
        self.note(self._progress())

    def _compiled(self) -> dict[str, dict[str, str]]:
        """The files that each side had imported when its cells were compiled."""
        found: dict[str, dict[str, str]] = {"base": {}, "head": {}}
        for outcome in self.outcomes:
            found["base"] |= outcome.base.sources or {}
            found["head"] |= outcome.head.sources or {}
        return found

    def _progress(self) -> str:
        """How far it is, and how long it takes to the next look at the pairs."""
        count, looks = self._count(), [look.pairs for look in self.looks]
        text = f"pair {count} of at most {looks[-1]}"
        ahead = [pairs for pairs in looks if pairs > count]
        if not ahead or not count:
            return text
        budget_s = self.settings.budget_s - (time.monotonic() - self.start)
        left = [min(self._each_s() * (pairs - count), budget_s) / 60
                for pairs in (ahead[0], looks[-1])]  # fmt: skip
        return f"{text}; next look in {left[0]:.1f} min, the last in {left[1]:.1f} min"

    def _each_s(self) -> float:
        """Seconds that a pair has taken so far."""
        return (time.monotonic() - self.timing_from) / max(1, len(self.pairs))

    def _questions(
        self, cells: Sequence[str], head: Side | None = None
    ) -> dict[str, Mapping[str, Any]]:
        """What the workers of both sides are asked to train."""
        selections = {f"{d} x {m}": (d, m) for d, m in self.question.cells}
        asked = [
            {"dataset": selections[cell][0], "model": selections[cell][1],
             "steps": self.steps.get(cell, 1)}
            for cell in cells
        ]  # fmt: skip
        return {
            side.name: {
                "cells": asked,
                "plugins": list(self.question.plugins(side)),
                "recipe": dict(self.question.recipe),
            }
            for side in (self.base, head or self.head)
        }

    def _verdicts(self) -> list[CellVerdict]:
        return verdict.with_clock(
            self.outcomes, self.pairs, profile=self.settings.profile,
            seed=self.settings.seed, wanted=self.wanted,
        )  # fmt: skip

    def _known(self) -> bool:
        """Whether a look is due, and the controls and the cells have an answer."""
        count = self._count()
        if count == self.looks[-1].pairs:
            return True
        if count not in [look.pairs for look in self.looks]:
            return False
        if not controls.found_known(self.controls, seed=self.settings.seed):
            return False
        found = [cell.verdict for cell in self._verdicts()]
        # one that is slower decides, whatever the others come to
        return Verdict.SLOWER in found or Verdict.INCONCLUSIVE not in found

    def _count(self) -> int:
        """Rounds in which everything could be measured."""
        return min(len(verdict.usable(self.pairs)), len(verdict.usable(self.controls)))

    def _hopeless(self) -> bool:
        return controls.hopeless(self.pairs) or controls.hopeless(self.controls)

    def _time_left(self) -> bool:
        """Whether one more pair like those so far ends within the budget."""
        each = self._each_s() if self.pairs else 0.0
        return time.monotonic() - self.start + each <= self.settings.budget_s
