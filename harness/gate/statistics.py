"""Exact inference on paired log-ratios: is the candidate slower than a margin allows?

The unit is a fresh pair of processes; its value is one log-ratio, candidate over base.
Which of a pair's processes ran which program was drawn at random, so under "no slower
than the margin" each value's sign around the margin is as likely as the other, whatever
the noise looks like. That makes the signed-rank test (Wilcoxon 1945) exact. Over several
cells the signs of a whole pair are flipped together (Westfall & Young 1993, max-T), which
keeps whatever correlation the cells have. Data are looked at three times, and each look
spends a share of the error (a union bound, which needs no assumption on their dependence).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
from scipy import stats


class Look(NamedTuple):
    """After so many pairs a slowdown is called if its p-value is at most `alpha`."""

    pairs: int
    alpha: float


# together 0.01; at 10 pairs of one cell the smallest p-value there is is 2 ** -10
LOOKS = (Look(10, 0.001), Look(16, 0.003), Look(24, 0.006))
# below this estimate a slowdown is not called, however sure it is
LEAST_EFFECT = 0.015
CONFIDENCE = 0.95
# up to so many pairs all ways to flip signs are counted, beyond it some are drawn
ENUMERATED, DRAWN = 16, 20_000


@dataclass(frozen=True)
class Profile:
    """What counts as slower.

    Attributes:
      margin: a slowdown up to this is nobody's concern; the test is against it.
      tolerated: testing stops with a pass once a slowdown of this size is ruled out.
    """

    margin: float
    tolerated: float


PROFILES = {"default": Profile(0.01, 0.05), "strict": Profile(0.0, 0.03)}


class Decision(Enum):
    """What the pairs so far say of one cell."""

    SLOWER = "slower"
    PASS = "pass"
    GO_ON = "go on"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Estimate:
    """A slowdown as a ratio, 1 is none, with its interval at `CONFIDENCE`.

    Attributes:
      visible: the smallest slowdown, as a share, that so many pairs of such noise show
        with a probability of 0.9.
    """

    ratio: float
    low: float
    high: float
    visible: float


def looks_for(cells: int) -> tuple[Look, ...]:
    """When a family of so many cells is looked at.

    Strangers among the cells leave it no p-value below cells / 2 ** pairs, so the first
    look waits until that could reach its share of the error.

    >>> [look.pairs for look in looks_for(1)], [look.pairs for look in looks_for(3)]
    ([10, 16, 24], [12, 16, 24])
    """
    first = max(LOOKS[0].pairs, math.ceil(math.log2(cells / LOOKS[0].alpha)))
    later = [look for look in LOOKS[1:] if look.pairs > first]
    return (Look(first, LOOKS[0].alpha), *later)


def p_values(values: np.ndarray, *, margin: float, seed: int) -> np.ndarray:
    """One-sided p-values float64 [cells] for "slower than the margin", for the family.

    Args:
      values: log-ratios float64 [pairs, cells], candidate over base.
      margin: as a share, 0.01 is one per cent.
      seed: draws the flips where there are too many to count.
    """
    ranks = _signed_ranks(values - math.log1p(margin))  # [pairs, cells]
    observed = ranks.sum(axis=0)  # [cells]
    flips = _flips(len(values), seed=seed)  # [flips, pairs]
    largest = (flips @ ranks).max(axis=1)  # [flips, cells] -> [flips]
    # half a rank is below every difference that two sums can have
    reached = (largest[:, None] >= observed[None] - 0.25).sum(axis=0)  # [cells]
    drawn = len(values) > ENUMERATED
    return (reached + drawn) / (len(flips) + drawn)


def _signed_ranks(shifted: np.ndarray) -> np.ndarray:
    """Ranks of the absolute values [pairs, cells] with their signs; a zero counts nothing."""
    return np.sign(shifted) * stats.rankdata(np.abs(shifted), axis=0)


def _flips(pairs: int, *, seed: int) -> np.ndarray:
    """Rows of signs float64 [flips, pairs]: all of them, or a sample."""
    if pairs <= ENUMERATED:
        bits = np.arange(2**pairs)[:, None] >> np.arange(pairs) & 1  # [2 ** pairs, pairs]
        return 1.0 - 2.0 * bits
    return np.random.default_rng(seed).choice([-1.0, 1.0], (DRAWN, pairs))


def estimate(values: np.ndarray, *, margin: float, alpha: float) -> Estimate:
    """Hodges & Lehmann's (1963) estimate of one cell with its exact interval.

    Args:
      values: log-ratios float64 [pairs].
      margin, alpha: of the test whose smallest visible effect is wanted.
    """
    walsh = _walsh(values)
    low, high = _interval(walsh, len(values))
    return Estimate(
        ratio=float(np.exp(np.median(walsh))),
        low=float(np.exp(low)),
        high=float(np.exp(high)),
        visible=_visible(values, margin=margin, alpha=alpha),
    )


def _walsh(values: np.ndarray) -> np.ndarray:
    """The means of all pairs of values, each with itself too, in order: [n (n + 1) / 2]."""
    first, second = np.triu_indices(len(values))
    return np.sort((values[first] + values[second]) / 2)


def _interval(walsh: np.ndarray, size: int) -> tuple[float, float]:
    """Bounds from the exact distribution of the signed-rank sum; infinite for few pairs."""
    below = np.cumsum(rank_sum_distribution(size))
    # the largest k for which the k-th lowest and highest means still cover enough
    k = int(np.searchsorted(below, (1 - CONFIDENCE) / 2, side="right"))
    if k == 0:
        return -math.inf, math.inf
    return float(walsh[k - 1]), float(walsh[-k])


def rank_sum_distribution(size: int) -> np.ndarray:
    """Probabilities [size (size + 1) / 2 + 1] of the sum of the ranks that are positive."""
    weights = np.ones(1)
    for rank in range(1, size + 1):
        longer = np.zeros(len(weights) + rank)
        longer[: len(weights)] += weights
        longer[rank:] += weights
        weights = longer / 2
    return weights


def _visible(values: np.ndarray, *, margin: float, alpha: float, power: float = 0.9) -> float:
    """As a t-test's; signed ranks need 1 / 0.955 of its pairs."""
    if len(values) < 2:
        return math.inf
    reach = stats.t.ppf(1 - alpha, len(values) - 1) + stats.t.ppf(power, len(values) - 1)
    spread = float(np.std(values, ddof=1)) / math.sqrt(0.955 * len(values))
    return math.expm1(math.log1p(margin) + float(reach) * spread)


def decide(values: np.ndarray, *, profile: Profile, seed: int) -> list[Decision]:
    """What a look at the pairs says of each cell; call it when a look is due.

    Args:
      values: log-ratios float64 [pairs, cells] so far.
      seed: of the test; one for the whole run.
    """
    looks = looks_for(values.shape[1])
    found = [look for look in looks if look.pairs <= len(values)]
    if not found:
        return [Decision.GO_ON] * values.shape[1]
    look, is_last = found[-1], found[-1] == looks[-1]
    tested = p_values(values[: look.pairs], margin=profile.margin, seed=seed)
    decisions = []
    for cell, p in enumerate(tested):
        about = estimate(values[: look.pairs, cell], margin=profile.margin, alpha=look.alpha)
        if p <= look.alpha and about.ratio - 1 >= LEAST_EFFECT:
            decisions.append(Decision.SLOWER)
        elif about.high < 1 + profile.tolerated:
            decisions.append(Decision.PASS)
        else:
            decisions.append(Decision.INCONCLUSIVE if is_last else Decision.GO_ON)
    return decisions
