"""From outcomes to one word and one exit code. "Slow" and "broken" never share a code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from statistics import fmean, median

import numpy as np

from harness.gate.blocks import Pair, what_disturbed
from harness.gate.compare import slower
from harness.gate.deterministic import CellOutcome
from harness.gate.statistics import PROFILES, Decision, Estimate, decide, estimate, looks_for

# the calibration kernels of both sides may differ by so much, as a share
CALIBRATION = 0.01
# more than this share of quadruples disturbed: nothing was measured
DROPPED = 0.25
# more than this share after so many rounds: more of them are no use
HOPELESS, ROUNDS = 0.5, 3
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
    if outcome.base.error:
        words = outcome.findings[0].words
        return CellVerdict(cell, Verdict.INVALID, words, outcome)
    failed = [f.words for f in outcome.findings if f.level == "fail"]
    failed = [words for words in failed if words not in wanted]
    if failed:
        more = f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
        return CellVerdict(cell, Verdict.CHANGED, "; ".join(failed[:SHOWN]) + more, outcome)
    if outcome.unchanged:
        words = "same programs, same code, same packages"
    else:
        changes = [f"{words} is wanted: {reason}" for words, reason in wanted.items()]
        words = "; ".join(changes or ["nothing is worse", outcome.mechanism])
    return CellVerdict(cell, Verdict.PASS, words, outcome)


def values_of(pairs: Sequence[Sequence[Pair]]) -> np.ndarray:
    """Log-ratios float64 [pairs, cells] of pairs that are usable."""
    return np.array([[pair.value() for pair in one] for one in pairs], dtype=np.float64)


def usable(pairs: Sequence[Sequence[Pair]]) -> list[Sequence[Pair]]:
    """The pairs that have a value in every cell: those not disturbed throughout."""
    return [one for one in pairs if all(pair.value() is not None for pair in one)]


def with_clock(
    outcomes: Sequence[CellOutcome], pairs: Sequence[Sequence[Pair]], *, profile: str,
    seed: int, steps: Mapping[str, int], wanted: Mapping[str, str],
) -> list[CellVerdict]:  # fmt: skip
    """What the pairs say of the cells that were timed, at the last look that is due.

    Args:
      steps: training steps in an epoch, by cell.
      wanted: cells of which somebody wants what may make them slower, with the reason.
    """
    kept = usable(pairs)
    values = values_of(kept)
    decisions = decide(values, profile=PROFILES[profile], seed=seed)
    looks = looks_for(len(outcomes))
    look = ([look for look in looks if look.pairs <= len(kept)] or looks[:1])[-1]
    found = []
    for i, (outcome, decision) in enumerate(zip(outcomes, decisions, strict=True)):
        about = estimate(values[:, i], margin=PROFILES[profile].margin, alpha=look.alpha)
        ms = _step_ms([one[i] for one in kept], steps=steps[outcome.base.cell])
        told, reason = _said(decision, about, profile, outcome.mechanism)
        cell = outcome.base.cell
        if told is Verdict.SLOWER:
            slow = slower(outcome.base, outcome.head, words=reason)
            outcome = replace(outcome, findings=[*outcome.findings, slow])
        if told is Verdict.SLOWER and cell in wanted:
            told, reason = Verdict.PASS, f"{reason}; wanted: {wanted[cell]}"
        found.append(CellVerdict(cell, told, reason, outcome, about, len(kept), *ms))
    return found


def _step_ms(pairs: Sequence[Pair], *, steps: int) -> tuple[float, float]:
    """The median time of a step on the base and on the head."""
    base, head = (
        float(np.median([1e3 * pair.epoch_s(side) / steps for pair in pairs]))
        for side in ("base", "head")
    )
    return base, head


def _said(
    decision: Decision, about: Estimate, profile: str, mechanism: str
) -> tuple[Verdict, str]:
    change = f"{about.ratio - 1:+.1%} ({about.low - 1:+.1%} to {about.high - 1:+.1%})"
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


def hopeless(pairs: Sequence[Sequence[Pair]]) -> bool:
    """Whether so much was disturbed that no more rounds need be measured."""
    shares = [pair.dropped() for one in pairs for pair in one]
    return len(pairs) >= ROUNDS and fmean(shares) > HOPELESS


def broken(
    pairs: Sequence[Sequence[Pair]], controls: Sequence[Sequence[Pair]], *, seed: int
) -> str:
    """Why the measurement itself cannot be believed; empty if it can.

    Args:
      controls: for each round the pair of equal sides and the pair with a known +10 %.
    """
    measured = [pair for one in (*pairs, *controls) for pair in one]
    dropped = fmean(pair.dropped() for pair in measured)
    if dropped > DROPPED:
        blocks = [block for pair in measured for block in pair.blocks]
        return f"{dropped:.0%} of the measurements were disturbed: {what_disturbed(blocks)}"
    for kernel in ("compute", "memory"):
        ratios = [median(pair.calibration[kernel]) for one in pairs for pair in one]
        mean = fmean(ratios)
        error = float(np.std(ratios, ddof=1)) / math.sqrt(len(ratios)) if ratios[1:] else 0.0
        if abs(mean) - 2 * error > CALIBRATION:
            return (
                f"equal {kernel} kernels differed by {math.expm1(mean):+.1%} between the sides"
            )
    values = values_of(usable(controls))
    if not len(values):
        return "every control was disturbed by something else on the machine"
    # each for itself: they are no cells of the family
    same, known = (
        decide(values[:, [i]], profile=PROFILES["strict"], seed=seed)[0] for i in (0, 1)
    )
    if same is Decision.SLOWER:
        return "a cell beside itself was found to be slower"
    if known is not Decision.SLOWER and len(values) >= looks_for(1)[0].pairs:
        return "a known slowdown of 10 % was not found"
    return ""


def overall(cells: Sequence[CellVerdict]) -> Verdict:
    """The gate's: the gravest of its cells'."""
    order = (
        Verdict.INVALID, Verdict.CHANGED, Verdict.SLOWER, Verdict.INCONCLUSIVE, Verdict.PASS,
    )  # fmt: skip
    found = {cell.verdict for cell in cells}
    return next(verdict for verdict in order if verdict in found or verdict is Verdict.PASS)
