"""What every gate measures beside its question, so that a broken measurement shows.

In each round a pair of equal sides goes through one cell twice: as it is, and with a tenth
more work on one side. The first must not be found slower (or faster), the second must.
Calibration kernels, the same lines on both sides, must take the same time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median

import numpy as np

from harness.gate.blocks import Pair, what_disturbed
from harness.gate.statistics import LOOKS, PROFILES, Decision, decide
from harness.gate.verdict import usable, values_of

# the calibration kernels of both sides may differ by so much, as a share
CALIBRATION = 0.01
# more than this share of a cell's quadruples disturbed: it was not measured
DROPPED = 0.25
# more than this share after so many rounds: more of them are no use
HOPELESS, ROUNDS = 0.5, 3
QUIETER = "run it where nothing else computes"
Rounds = Sequence[Sequence[Pair]]


def broken(pairs: Rounds, controls: Rounds, *, seed: int) -> str:
    """Why the measurement itself cannot be believed; empty if it can.

    Args:
      controls: for each round the pair of equal sides and the pair with a known +10 %.
    """
    return (
        _disturbed(pairs)
        or _disturbed(controls)
        or _miscalibrated(pairs)
        or _misjudged(controls, seed=seed)
    )


def _disturbed(rounds: Rounds) -> str:
    for pairs in zip(*rounds, strict=True):  # a cell each
        share = fmean(pair.dropped() for pair in pairs)
        if share > DROPPED:
            why = what_disturbed([block for pair in pairs for block in pair.blocks])
            told = f"{share:.0%} of the measurements of {pairs[0].cell} were disturbed"
            return f"{told}: {why}; {QUIETER}"
    if rounds and not usable(rounds):
        why = what_disturbed([block for one in rounds for pair in one for block in pair.blocks])
        return f"in every round some cell was disturbed: {why}; {QUIETER}"
    return ""


def _miscalibrated(pairs: Rounds) -> str:
    for kernel in ("compute", "memory"):
        ratios = [median(pair.calibration[kernel]) for one in pairs for pair in one]
        mean = fmean(ratios)
        error = float(np.std(ratios, ddof=1)) / math.sqrt(len(ratios)) if ratios[1:] else 0.0
        if abs(mean) - 2 * error > CALIBRATION:
            change = f"{math.expm1(mean):+.1%}"
            return f"equal {kernel} kernels differed by {change} between the sides"
    return ""


def _misjudged(controls: Rounds, *, seed: int) -> str:
    values = values_of(usable(controls))
    if not len(values):
        return "no control was measured"
    for sign, words in ((1, "slower"), (-1, "faster")):
        if _judged(sign * values[:, [0]], seed=seed) is Decision.SLOWER:
            return f"a cell beside itself was found to be {words}"
    if len(values) >= LOOKS[-1].pairs and not found_known(controls, seed=seed):
        return f"a known slowdown of 10 % was not found: the noise hides it; {QUIETER}"
    return ""


def found_known(controls: Rounds, *, seed: int) -> bool:
    """Whether the control with a tenth more work was found slower, so far."""
    values = values_of(usable(controls))
    return bool(len(values)) and _judged(values[:, [1]], seed=seed) is Decision.SLOWER


def _judged(values: np.ndarray, *, seed: int) -> Decision:
    # each for itself: they are no cells of the family
    return decide(values, profile=PROFILES["strict"], seed=seed)[0]


def hopeless(rounds: Rounds) -> bool:
    """Whether a cell was disturbed so much that no more rounds need be measured."""
    shares = [fmean(pair.dropped() for pair in pairs) for pairs in zip(*rounds, strict=True)]
    return len(rounds) >= ROUNDS and max(shares) > HOPELESS
