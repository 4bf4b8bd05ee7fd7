"""Accuracies and differences of accuracies, with what is known of them.

A few made-up examples are added before errors are estimated, as Agresti & Coull (1998) do for
a share and Bonett & Price (2012) for a difference of two: with them an accuracy near 0 or
1, or two models that differ in hardly an example, do not look certain. The estimates
themselves are not touched.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness.comparison.variance import errors_of

ALPHA = 0.05
Scores = NDArray[np.bool_]  # [s, n]: was the run of seed s right on test example n?

SEEDS_AND_EXAMPLES = "seeds and examples"
EXAMPLES = "examples"
SEEDS = "seeds"


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean with its 95 % interval.

    Attributes:
      over: what another measurement would draw anew: "seeds and examples", "examples" (one
        seed: the interval is about this trained model), "seeds" (no answers are stored), or
        "" (nothing is known, and both ends are NaN).
    """

    estimate: float
    low: float
    high: float
    over: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference of two accuracies, its 95 % interval, and the p-value of "no difference".

    Attributes:
      seeds: common seeds; with one, the p-value is McNemar's exact one, and all three
        are about these two trained models.
    """

    estimate: float
    low: float
    high: float
    p: float
    seeds: int


def mean_interval(right: Scores) -> Interval:
    """The accuracy of a model over seeds and test examples, from bool [s, n]."""
    low, high = intervals_of(right[None])
    return Interval(
        estimate=float(right.mean()),
        low=float(low[0]),
        high=float(high[0]),
        over=SEEDS_AND_EXAMPLES if len(right) > 1 else EXAMPLES,
    )


def intervals_of(right: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of the intervals of many tables at once, from bool [..., s, n]."""
    padded = _with_examples(right, (False, False, True, True))
    middle, error = padded.mean(axis=(-2, -1)), errors_of(padded).bound(ALPHA)
    return np.maximum(middle - error, 0.0), np.minimum(middle + error, 1.0)


def seeds_interval(
    values: NDArray[np.float64], *, within: tuple[float, float] = (-np.inf, np.inf)
) -> Interval:  # fmt: skip
    """The mean over seeds alone, from float [s]: Student's interval.

    Args:
      within: the least and the largest value that there can be; no end lies beyond.
    """
    values = values[~np.isnan(values)]
    mean = float(values.mean()) if len(values) else float("nan")
    if len(values) < 2:
        return Interval(estimate=mean, low=float("nan"), high=float("nan"), over="")
    quantile = -special.stdtrit(len(values) - 1, ALPHA / 2)  # as stats.t.isf, and faster
    error = float(quantile * values.std(ddof=1) / np.sqrt(len(values)))
    least, most = within
    low, high = max(mean - error, least), min(mean + error, most)
    return Interval(estimate=mean, low=low, high=high, over=SEEDS)


def difference(first: Scores, second: Scores) -> Difference:
    """Accuracy of the first minus the second, paired over seeds and test examples.

    Args:
      first: bool [s, n].
      second: bool [s, n]; the same seeds and examples in the same order.
    """
    scores = (first.astype(np.int8) - second.astype(np.int8))[None]
    low, high, p = differences_of(scores)
    return Difference(
        estimate=float(scores.mean()),
        low=float(low[0]),
        high=float(high[0]),
        p=float(p[0]),
        seeds=len(first),
    )


def differences_of(
    scores: NDArray[np.int8],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Ends and p-values of many differences at once, from int8 [..., s, n] in -1, 0, 1."""
    padded = _with_examples(scores, (-1, 1))
    middle, errors = padded.mean(axis=(-2, -1)), errors_of(padded)
    bound = errors.bound(ALPHA)
    one_seed = scores.shape[-2] == 1
    p = mcnemar(scores[..., 0, :]) if one_seed else errors.p_value(middle)
    return np.maximum(middle - bound, -1.0), np.minimum(middle + bound, 1.0), p


def mcnemar(scores: NDArray[np.int8]) -> NDArray[np.float64]:
    """Exact p-values that one trained model is as often alone right as the other.

    Args:
      scores: int8 [..., n]: 1 where only the first is right, -1 where only the second is.
    """
    first, second = (scores == 1).sum(axis=-1), (scores == -1).sum(axis=-1)
    # two-sided and symmetric, so twice the smaller tail is what scipy's binomtest gives
    smaller, both = np.minimum(first, second), first + second
    # the binomial's distribution function; to import scipy.stats takes longer than a table
    tail = special.betainc(both - smaller, smaller + 1, 0.5)
    return np.minimum(2 * tail, 1.0)


def _with_examples(scores: NDArray, values: tuple[int, ...]) -> NDArray:
    """The scores with examples behind them that score the same for every seed."""
    shape = (*scores.shape[:-1], len(values))
    more = np.broadcast_to(np.array(values, dtype=scores.dtype), shape)
    return np.concatenate([scores, more], axis=-1)
