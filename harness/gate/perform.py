"""One gate from question to report: Tier 0, then Tier 1 for what Tier 0 leaves open."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from harness import machine
from harness.gate import acknowledged, deterministic, verdict
from harness.gate.acknowledged import Acknowledgement
from harness.gate.compare import slower
from harness.gate.deterministic import CellOutcome, Question
from harness.gate.report import Report, Settings, everywhere
from harness.gate.rounds import Rounds
from harness.gate.side import Side
from harness.gate.verdict import Verdict
from harness.gate.ways import InTurn, fitting

UNSEEN = (
    "no file of this repository was imported, so nothing of it was compared; name your models "
    "with --model, and plugin files with --plugin"
)


def gate(
    base: Side, head: Side, question: Question, *, settings: Settings,
    wanted: Sequence[Acknowledgement], note: Callable[[str], None],
) -> Report:  # fmt: skip
    """Compares two sides.

    Args:
      wanted: changes that somebody has acknowledged.
      note: told in one line what goes on.
    """
    start = time.monotonic()
    outcomes = deterministic.look(base, head, question, note=note)
    seen = any(o.base.sources or o.head.sources for o in outcomes)
    accepted = {o.base.cell: _acknowledged(o, wanted) for o in outcomes}
    cells = [verdict.without_clock(o, accepted[o.base.cell]) for o in outcomes]
    devices = {o.head.device_kind or o.base.device_kind for o in outcomes} - {""}
    place = {**machine.place(), "device_kind": ", ".join(sorted(devices)) or "unknown"}
    report = Report(
        verdict.overall(cells), cells, base.revision, head.revision,
        profile=settings.profile, seed=settings.seed, place=place,
    )  # fmt: skip
    if not seen and report.verdict is Verdict.PASS:
        report = everywhere(report, Verdict.INVALID, UNSEEN, [c.cell for c in cells])
    to_time = [o for o in outcomes if not o.unchanged]
    if settings.deterministic or report.verdict is not Verdict.PASS or not to_time:
        return replace(report, seconds=time.monotonic() - start)
    found = {o.base.cell: _allowance(o, wanted) for o in to_time}
    allowed = {cell: allowance for cell, allowance in found.items() if allowance}
    way = InTurn() if settings.in_turn else fitting(devices)
    rounds = Rounds(base, head, question, to_time, settings, note, start, allowed, way)
    report = rounds.decide(replace(report, way=way.words))
    return replace(report, seconds=time.monotonic() - start)


def _acknowledged(outcome: CellOutcome, wanted: Sequence[Acknowledgement]) -> dict[str, str]:
    """Those failures that somebody wants, by their words, with the reasons."""
    failed = [f for f in outcome.findings if f.level == "fail"]
    reasons = {f.words: acknowledged.reason_for(f, wanted) for f in failed}
    return {words: reason for words, reason in reasons.items() if reason}


def _allowance(
    outcome: CellOutcome, wanted: Sequence[Acknowledgement]
) -> acknowledged.Allowance | None:
    slow = slower(outcome.base, outcome.head, words="")
    return acknowledged.allowance(outcome.findings, slow, wanted)
