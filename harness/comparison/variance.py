"""How far a mean over seeds and test examples may be from the true one.

Every seed sees the same test examples, so the scores of a model are a table of seeds x
examples: score = mean + effect of the seed + effect of the example + rest, the last three
random. Another training would have other seeds, another test set other examples; the error of
the mean has a share of each. The mean squares of an analysis of variance (Searle, Casella &
McCulloch 1992) tell the shares apart.

The share of the seeds comes from few numbers, one a seed, that of the examples from many. A
bound takes each times the t quantile of its own degrees of freedom (Cochran 1964), so that
two or three seeds which agree by chance do not pass for certainty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
# halvings of the logarithm of a p-value; its relative error is then below 1e-9
HALVINGS = 40
LEAST = 1e-100  # smaller p-values are not told apart


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Squared standard errors of a mean, by where they come from; arrays of one shape.

    Attributes:
      seeds: of the choice of seeds, with what is left by chance; 0 for one seed.
      examples: of the choice of test examples, beyond what is left by chance.
      fixed: of the choice of test examples if no other seed was possible.
      seeds_freedom: degrees of freedom of `seeds`.
      fixed_freedom: degrees of freedom of `examples` and `fixed`.
    """

    seeds: Floats
    examples: Floats
    fixed: Floats
    seeds_freedom: int
    fixed_freedom: int

    def bound(self, alpha: Floats | float) -> Floats:
        """The error that the mean exceeds with probability `alpha`, either way.

        Never smaller than if the seeds were the only ones there are.
        """
        few = _quantile(alpha, self.seeds_freedom)
        many = _quantile(alpha, self.fixed_freedom)
        both = few**2 * self.seeds + many**2 * self.examples
        return np.sqrt(np.maximum(both, many**2 * self.fixed))

    def p_value(self, error: Floats) -> Floats:
        """The largest `alpha` whose bound `error` does not exceed: a two-sided test."""
        size = np.abs(np.asarray(error, dtype=float))
        low, high = np.full(size.shape, np.log(LEAST)), np.zeros(size.shape)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            beyond = size >= self.bound(np.exp(middle))
            low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
        return np.where(size == 0, 1.0, np.exp(high))


def errors_of(scores: NDArray[np.number | np.bool_]) -> Errors:
    """The errors of the mean of `scores` [..., s, n], for each table of seeds x examples."""
    seeds, examples = scores.shape[-2:]
    total = scores.sum(axis=-2, dtype=np.int64 if scores.dtype.kind in "iub" else np.float64)
    by_example = total / seeds  # [..., n]
    by_seed = scores.mean(axis=-1, dtype=np.float64)  # [..., s]
    mean = by_example.mean(axis=-1)
    among_seeds = examples * _squares(by_seed, mean)
    among_examples = seeds * _squares(by_example, mean)
    square = np.square(scores, dtype=np.float64).sum(axis=(-2, -1))
    rest = square - seeds * examples * mean**2 - among_seeds - among_examples
    size = seeds * examples
    many = max(examples - 1, 1)
    of_examples = among_examples / many
    few = max(seeds - 1, 1)
    of_rest = np.maximum(rest, 0.0) / (few * many)
    several = float(seeds > 1)
    return Errors(
        seeds=several * among_seeds / few / size,
        examples=np.maximum(of_examples - several * of_rest, 0.0) / size,
        fixed=of_examples / size,
        seeds_freedom=few,
        fixed_freedom=many,
    )


def _squares(values: Floats, mean: Floats) -> Floats:
    """Sum of squared deviations along the last axis."""
    return np.square(values - mean[..., None]).sum(axis=-1)


def _quantile(alpha: Floats | float, freedom: int) -> Floats:
    return np.abs(special.stdtrit(freedom, np.asarray(alpha) / 2))  # alpha is at most 1
