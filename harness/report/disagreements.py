"""The test examples on which lines disagree, for a reader to look at.

A line says of an example what most of its seeds say. For every pair of lines the example on
which the two differ most comes first; what is left is filled up with those that split all
lines most. Which lines a reader compares is chosen in the page.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.report.answers import Answers
from harness.report.lines import printable_lines

EXAMPLES = 40
LETTERS = 600
# the texts of test examples by their positions
Texts = Callable[[Sequence[int]], Mapping[int, str]]


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one line says of an example: a class, how many seeds say it, and how surely."""

    model: str
    place: int
    answer: int
    seeds: int
    of: int
    probability: float | None


@dataclass(frozen=True, kw_only=True)
class Example:
    """One example.

    Attributes:
      index: in the test set.
      text: decoded and cut.
      actual: its class.
      said: a line each, in the order of the lines.
    """

    index: int
    text: str
    actual: int
    said: tuple[Said, ...]


def disagreements(answers: Sequence[Answers], texts: Texts) -> list[Example]:
    """Examples of one data set, in the order of the test set.

    Args:
      answers: of lines with the same test set.
      texts: decodes; called once.
    """
    chosen = choose([one.votes for one in answers], [_sureness(one) for one in answers])
    if not chosen:
        return []
    decoded = texts(chosen)
    return [
        _example(answers, index, printable_lines(shortened(decoded.get(index, ""))))
        for index in chosen
    ]


def choose(votes: Sequence[np.ndarray], sure: Sequence[np.ndarray]) -> list[int]:
    """Up to `EXAMPLES` positions, in order.

    Args:
      votes: int [n] a line, what it says of each example.
      sure: float [n] a line, how surely, 0 to 1.
    """
    chosen: list[int] = []
    pairs = list(itertools.combinations(range(len(votes)), 2))
    for first, second in pairs:
        if len(chosen) < EXAMPLES // 2:
            most = (votes[first] != votes[second]) * (sure[first] + sure[second])
            chosen += _best(most, 1, chosen)
    if pairs:
        total = np.zeros(len(votes[0]))
        for first, second in pairs:
            total += (votes[first] != votes[second]) * (1 + (sure[first] + sure[second]) / 4)
        chosen += _best(total, EXAMPLES - len(chosen), chosen)
    return sorted(chosen)


def _best(score: np.ndarray, count: int, taken: Sequence[int]) -> list[int]:
    """The positions of the largest scores above 0 that are not taken."""
    open_ = score.copy()
    open_[list(taken)] = 0
    order = np.argsort(-open_, kind="stable")[:count]
    return [int(index) for index in order if open_[index] > 0]


def _sureness(answers: Answers) -> np.ndarray:
    """Float [n]: the share of seeds that say it, times their mean probability."""
    agreed = answers.predicted == answers.votes  # [s, n]
    sure = agreed if answers.probability is None else agreed * answers.probability
    return sure.mean(axis=0)


def _example(answers: Sequence[Answers], index: int, text: str) -> Example:
    said = []
    for one in answers:
        vote = int(one.votes[index])
        agreed = one.predicted[:, index] == vote
        sure = None if one.probability is None else float(one.probability[agreed, index].mean())
        said.append(
            Said(model=one.line.model, place=one.line.place, answer=vote,
                 seeds=int(agreed.sum()), of=len(agreed), probability=sure)
        )  # fmt: skip
    actual = int(answers[0].label[index])
    return Example(index=index, text=text, actual=actual, said=tuple(said))


def shortened(text: str) -> str:
    """At most `LETTERS` letters, cut between words where that is possible."""
    if len(text) <= LETTERS:
        return text
    cut = text[:LETTERS]
    return f"{cut.rsplit(maxsplit=1)[0] if ' ' in cut else cut} …"


def pair_counts(first: Answers, second: Answers) -> dict[str, int]:
    """On how many examples both lines are right, one of them, or none."""
    a, b = (one.votes == first.label for one in (first, second))
    return {"both": int((a & b).sum()), "first": int((a & ~b).sum()),
            "second": int((~a & b).sum()), "none": int((~a & ~b).sum())}  # fmt: skip
