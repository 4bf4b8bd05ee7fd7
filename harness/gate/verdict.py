"""From outcomes to one word and one exit code. "Slow" and "broken" never share a code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from harness.gate.acknowledged import Allowance
from harness.gate.blocks import Pair
from harness.gate.compare import slower
from harness.gate.deterministic import CellOutcome
from harness.gate.statistics import PROFILES, Decision, Estimate, decide, estimate, looks_for

SHOWN = 3  # failures that a cell's one sentence names


class Verdict(Enum):
    """The outcome of a gate; the value is the exit code."""

    PASS = 0
    SLOWER = 10
    CHANGED = 11
    INCONCLUSIVE = 12
    INVALID = 20


@dataclass(frozen=True)
class CellVerdict:
    """One cell of a report.

    Attributes:
      estimate: of head over base; None where it was not timed.
      base_ms, head_ms: median times of a step, evaluations included.
      reason: one sentence.
    """

    cell: str
    verdict: Verdict
    reason: str
    outcome: CellOutcome
    estimate: Estimate | None = None
    pairs: int = 0
    base_ms: float | None = None
    head_ms: float | None = None


def without_clock(outcome: CellOutcome, wanted: Mapping[str, str]) -> CellVerdict:
    """What Tier 0 alone says of a cell.

    Args:
      wanted: the failures that somebody wants, by their words, with the reason of each.
    """
    cell = outcome.base.cell
    if outcome.broken:
        words = f"{outcome.findings[0].words}; give a base that can be compiled"
        return CellVerdict(cell, Verdict.INVALID, words, outcome)
    if outcome.is_new:
        return CellVerdict(cell, Verdict.PASS, "new: nothing to compare with", outcome)
    failed = [f.words for f in outcome.findings if f.level == "fail"]
    failed = [words for words in failed if words not in wanted]
    if failed:
        return CellVerdict(cell, Verdict.CHANGED, _first(failed), outcome)
    if outcome.unchanged:
        words = "same programs, same code, same packages"
    else:
        words = "; ".join([*_wanted(wanted), outcome.mechanism or "nothing else changed"])
        words += "; only timing can tell more" if outcome.mechanism else ""
    return CellVerdict(cell, Verdict.PASS, words, outcome)


def _wanted(wanted: Mapping[str, str]) -> list[str]:
    """The changes that somebody wants, by their reasons."""
    if not wanted:
        return ["the programs are no worse"]
    found: dict[str, list[str]] = {}
    for words, reason in wanted.items():
        found.setdefault(reason, []).append(words)
    return [f"{_first(changes)}: wanted ({reason})" for reason, changes in found.items()]


def _first(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return "; ".join(texts[:SHOWN]) + more


def values_of(pairs: Sequence[Sequence[Pair]]) -> np.ndarray:
    """Log-ratios float64 [pairs, cells] of pairs that are usable."""
    return np.array([[pair.value() for pair in one] for one in pairs], dtype=np.float64)


def usable(pairs: Sequence[Sequence[Pair]]) -> list[Sequence[Pair]]:
    """The pairs that have a value in every cell: those not disturbed throughout."""
    return [one for one in pairs if all(pair.value() is not None for pair in one)]


def with_clock(
    outcomes: Sequence[CellOutcome], pairs: Sequence[Sequence[Pair]], *, profile: str,
    seed: int, wanted: Mapping[str, Allowance],
) -> list[CellVerdict]:  # fmt: skip
    """What the pairs say of the cells that were timed, at the last look that is due.

    Args:
      pairs: at least one round of them that is usable.
      wanted: by cell, how much slower somebody lets it be.
    """
    kept = usable(pairs)
    values = values_of(kept)
    decisions = decide(values, profile=PROFILES[profile], seed=seed)
    looks = looks_for(len(outcomes))
    look = ([look for look in looks if look.pairs <= len(kept)] or looks[:1])[-1]
    found = []
    for i, (outcome, decision) in enumerate(zip(outcomes, decisions, strict=True)):
        about = estimate(values[:, i], margin=PROFILES[profile].margin, alpha=look.alpha)
        told, reason = _said(decision, about, profile, outcome.mechanism)
        if told is Verdict.SLOWER:
            slow = slower(outcome.base, outcome.head, words=reason)
            outcome = replace(outcome, findings=[*outcome.findings, slow])
            told, reason = _allowed(about, reason, wanted.get(outcome.base.cell))
        ms = {side: float(np.median([one[i].step_ms(side) for one in kept]))
              for side in ("base", "head")}  # fmt: skip
        found.append(
            CellVerdict(outcome.base.cell, told, reason, outcome, about, len(kept),
                        base_ms=ms["base"], head_ms=ms["head"])
        )  # fmt: skip
    return found


def _allowed(about: Estimate, reason: str, wanted: Allowance | None) -> tuple[Verdict, str]:
    """A slowdown, seen by what somebody wants."""
    if wanted is None:
        return Verdict.SLOWER, reason
    if about.low <= wanted.ratio:
        return Verdict.PASS, f"{reason}; wanted: {wanted.reason}"
    allowed = f"the work that is wanted ({wanted.reason}) grew by {wanted.ratio - 1:.1%} only"
    return Verdict.SLOWER, f"{reason}; {allowed}"


def _said(
    decision: Decision, about: Estimate, profile: str, mechanism: str
) -> tuple[Verdict, str]:
    between = f"{about.low - 1:+.1%} to {about.high - 1:+.1%}"
    no_interval = "too few pairs for an interval"
    change = f"{about.ratio - 1:+.1%} ({between if math.isfinite(about.high) else no_interval})"
    tolerated = PROFILES[profile].tolerated
    if decision is Decision.SLOWER and mechanism:
        return Verdict.SLOWER, f"slower by {change}: {mechanism}"
    if decision is Decision.SLOWER:
        return (
            Verdict.INCONCLUSIVE,
            f"slower by {change}, but nothing changed that could be why",
        )
    if decision is Decision.PASS:
        return Verdict.PASS, f"{change}; a slowdown of {tolerated:.0%} is ruled out"
    return (
        Verdict.INCONCLUSIVE,
        f"{change}; of such noise only a slowdown of {about.visible:.1%} or more shows",
    )


def overall(cells: Sequence[CellVerdict]) -> Verdict:
    """The gate's: the gravest of its cells'."""
    order = (
        Verdict.INVALID, Verdict.CHANGED, Verdict.SLOWER, Verdict.INCONCLUSIVE, Verdict.PASS,
    )  # fmt: skip
    found = {cell.verdict for cell in cells}
    return next(verdict for verdict in order if verdict in found or verdict is Verdict.PASS)
