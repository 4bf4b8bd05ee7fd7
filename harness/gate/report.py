"""What a gate is asked for, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness import machine
from harness.gate.blocks import Pair
from harness.gate.verdict import CellVerdict, Verdict


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a gate decides.

    Attributes:
      profile: a name in `statistics.PROFILES`.
      budget_s: seconds after which no further pair is begun.
      deterministic: Tier 0 alone.
      in_turn: one side at a time, also where both could be measured at once.
      seed: draws orders and the test's flips.
    """

    profile: str = "default"
    budget_s: float = 1200.0
    deterministic: bool = False
    in_turn: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Report:
    """What a gate found.

    Attributes:
      reason: why it is as it is where no cell says so.
      way: how pairs were measured; empty if none was.
      pairs, controls: every pair in order, a list of cells each.
    """

    verdict: Verdict
    cells: Sequence[CellVerdict]
    base: str
    head: str
    reason: str = ""
    seconds: float = 0.0
    started_at: str = field(default_factory=machine.utc)
    profile: str = "default"
    seed: int = 0
    way: str = ""
    pairs: Sequence[Sequence[Pair]] = ()
    controls: Sequence[Sequence[Pair]] = ()
    place: Mapping[str, Any] = field(default_factory=machine.place)


def everywhere(report: Report, found: Verdict, reason: str, cells: Sequence[str]) -> Report:
    """A report whose verdict holds for these cells, whatever they say themselves."""
    told = [
        replace(cell, verdict=found, reason=reason) if cell.cell in cells else cell
        for cell in report.cells
    ]
    return replace(report, verdict=found, reason=reason, cells=told)
