"""All pairs of the lines of one data set: one family, so that no reader finds luck by looking.

A table invites comparisons of any two of its lines, whether it prints them or not. So
the p-values of all pairs are adjusted together (Holm 1979), and differences from a parent, from
the next line and the ranks are taken from this one family. Of the pairs of a data set that have
two or more common seeds, with probability 0.95 no difference that is called significant is
none. A pair with one common seed is a pair of trained models: what is significant there holds
for these two, and other seeds may turn it around. It is marked as such wherever it counts
(`Pair.over`), and makes no line the best.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from harness.comparison.intervals import (
    ALPHA,
    EXAMPLES,
    SEEDS_AND_EXAMPLES,
    differences_of,
)

# the runs of a line: by seed, which test examples [n] were right
Answers = Mapping[int, NDArray[np.bool_]]
AT_ONCE = 2_000_000  # scores of pairs that are held in memory together


class Labelled(dict[int, NDArray[np.bool_]]):
    """Answers that know, by a digest, what would have been right."""

    def __init__(self, answers: Answers, labels: str) -> None:
        super().__init__(answers)
        self.labels = labels


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two lines of a family: the accuracy of the first minus that of the second.

    Attributes:
      first, second: the lines' keys.
      estimate, low, high: the difference and its 95 % interval, not adjusted.
      p: of "no difference", of this pair alone.
      p_holm: the same, adjusted for all pairs of the family.
      seeds: common seeds; with one, this is about two trained models.
    """

    first: int
    second: int
    estimate: float
    low: float
    high: float
    p: float
    seeds: int
    p_holm: float = float("nan")

    @property
    def significant(self) -> bool:
        return self.p_holm <= ALPHA

    @property
    def over(self) -> str:
        """What interval and p are over, as of an `Interval`; "examples" with one seed."""
        return EXAMPLES if self.seeds == 1 else SEEDS_AND_EXAMPLES

    def turned(self) -> Pair:
        """The second minus the first."""
        return replace(
            self, first=self.second, second=self.first, estimate=-self.estimate,
            low=-self.high, high=-self.low,
        )  # fmt: skip


def family(lines: Mapping[int, Answers]) -> dict[tuple[int, int], Pair]:
    """Every ordered pair of lines with a common seed and the same test examples.

    Args:
      lines: the answers of each line of one data set, by its key.
    """
    alike: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for first, second in combinations(lines, 2):
        seeds = common(lines[first], lines[second])
        if seeds:
            examples = len(lines[first][seeds[0]])
            alike[len(seeds), examples].append((first, second))
    found: list[Pair] = []
    for (seeds, examples), keys in alike.items():
        many = max(1, AT_ONCE // (seeds * examples))
        for start in range(0, len(keys), many):
            found += _pairs(lines, keys[start : start + many])
    adjusted = holm(np.array([pair.p for pair in found]))
    told = [replace(pair, p_holm=float(p)) for pair, p in zip(found, adjusted, strict=True)]
    return {(p.first, p.second): p for pair in told for p in (pair, pair.turned())}


def common(first: Answers, second: Answers) -> list[int]:
    """Seeds of both, in order; none if the test examples are not the same."""
    if _labels(first) != _labels(second):
        return []
    seeds = sorted(first.keys() & second.keys())
    return seeds if all(len(first[s]) == len(second[s]) for s in seeds) else []


def _labels(answers: Answers) -> str:
    return answers.labels if isinstance(answers, Labelled) else ""


def _pairs(
    lines: Mapping[int, Answers], keys: Sequence[tuple[int, int]]
) -> Iterator[Pair]:  # fmt: skip
    scores = np.stack([_scores(lines[first], lines[second]) for first, second in keys])
    means = scores.mean(axis=(-2, -1))
    for i, (low, high, p) in enumerate(zip(*differences_of(scores), strict=True)):
        first, second = keys[i]
        yield Pair(
            first=first, second=second, estimate=float(means[i]), low=float(low),
            high=float(high), p=float(p), seeds=scores.shape[-2],
        )  # fmt: skip


def _scores(first: Answers, second: Answers) -> NDArray[np.int8]:
    """Where only the first is right 1, where only the second is -1: int8 [s, n]."""
    seeds = common(first, second)
    left, right = (np.stack([side[s] for s in seeds]) for side in (first, second))
    return left.astype(np.int8) - right.astype(np.int8)


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjusted p-values: at most 0.05 where Holm's procedure at 0.05 rejects.

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def betters(pairs: Mapping[tuple[int, int], Pair]) -> dict[int, list[Pair]]:
    """Of each line its pairs with the lines that are significantly better, if there are any."""
    found: dict[int, list[Pair]] = defaultdict(list)
    for pair in pairs.values():
        if _is_better(pair.turned()):
            found[pair.first].append(pair)
    return dict(found)


def ranks(
    accuracy: Mapping[int, float], pairs: Mapping[tuple[int, int], Pair]
) -> dict[int, int]:  # fmt: skip
    """1 and the number of lines that are significantly better, those without a rank included.

    Ranks are of lines any two of which were compared: a line without a pair with one that more
    lines were compared with has none, because nothing says how it stands to that one.
    A line of which little is known may have fewer such lines than a more accurate one of which
    more is known, and then the better rank. Nothing is done about that: one unstable line
    would otherwise take the ranks from all lines above it.
    """
    better = betters(pairs)
    placed = set(_compared(accuracy, pairs))
    return {key: 1 + len(better.get(key, ())) for key in accuracy if key in placed}


def ranks_over(pairs: Mapping[tuple[int, int], Pair]) -> dict[int, str]:
    """What the rank of each line is over, as `Pair.over`.

    "examples" where single seeds decide: a line that counts as better is so on one common
    seed, or the line has no pair with more.
    """
    better = betters(pairs)
    own: dict[int, list[Pair]] = defaultdict(list)
    for pair in pairs.values():
        own[pair.first].append(pair)
    found: dict[int, str] = {}
    for key, some in own.items():
        single = any(pair.over == EXAMPLES for pair in better.get(key, ()))
        single = single or all(pair.over == EXAMPLES for pair in some)
        found[key] = EXAMPLES if single else SEEDS_AND_EXAMPLES
    return found


def _compared(
    accuracy: Mapping[int, float], pairs: Mapping[tuple[int, int], Pair]
) -> list[int]:  # fmt: skip
    """Lines any two of which are a pair, beginning with those that are in most pairs."""
    partners = Counter(first for first, _ in pairs)
    found: list[int] = []
    for key in sorted(accuracy, key=lambda key: (-partners[key], -accuracy[key])):
        if partners[key] and all((key, other) in pairs for other in found):
            found.append(key)
    return found


def best(keys: Sequence[int], pairs: Mapping[tuple[int, int], Pair]) -> int | None:
    """The line that is significantly better than every other one, if there is one.

    On two or more common seeds each: one seed may be a lucky one.
    """
    for key in keys:
        others = [pairs.get((key, other)) for other in keys if other != key]
        if others and all(p and _is_better(p) and p.seeds > 1 for p in others):
            return key
    return None


def _is_better(pair: Pair) -> bool:
    """Whether the first line of a pair is significantly better than the second."""
    return pair.significant and pair.estimate > 0
