"""Sequences of brackets: does each one that opens close, and none close before it opened?

Both classes hold as many opening as closing brackets, so counting does not tell them apart.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from annotated_types import Ge

import harness

PAD, OPEN, CLOSE = 0, 1, 2
MARKS = " ()"
VERSION = 1  # of what is drawn below


def brackets(
    *,
    max_length: Annotated[int, Ge(16)] = 24,
    examples: Annotated[int, Ge(100)] = 2000,
    seed: int = 0,
) -> harness.Dataset:
    """Brackets that match or do not, padded in front; no two examples are equal.

    Both splits are `{"x": int32 [n, max_length], "y": int32 [n]}`; a fifth is the test split.

    Args:
      max_length: brackets of the longest sequence.
      examples: of both splits together, half of each class.
      seed: of everything that is drawn.

    Raises:
      UsageError: there are not so many different sequences of this length.
    """
    if examples // 2 > (there_are := how_many_match(max_length)):
        raise harness.UsageError(
            f"brackets[examples={examples},max_length={max_length}]: only {there_are} "
            f"sequences match; ask for at most {2 * there_are} examples, or longer ones"
        )
    draw = np.random.default_rng(seed)
    y = np.arange(examples, dtype=np.int32) % 2  # [n]
    x = np.full((examples, max_length), PAD, dtype=np.int32)  # [n, t]
    seen: set[bytes] = set()
    for row, matched in zip(x, y, strict=True):
        sequence = _new(draw, max_length, bool(matched), seen)
        row[max_length - len(sequence) :] = np.where(sequence > 0, OPEN, CLOSE)
    held_out = examples // 5
    spec = harness.DataSpec(
        kind="tokens",
        shape=(max_length,),
        vocab_size=len(MARKS),
        num_classes=2,
        class_names=("unmatched", "matched"),
        pad_id=PAD,
        fingerprint=f"brackets-{VERSION}-{max_length}-{examples}-{seed}",
    )
    return harness.Dataset(
        train={"x": x[held_out:], "y": y[held_out:]},
        test={"x": x[:held_out], "y": y[:held_out]},
        spec=spec,
        decode=lambda row: "".join(MARKS[id_] for id_ in row).strip(),
    )


def _new(
    draw: np.random.Generator, max_length: int, matched: bool, seen: set[bytes]
) -> np.ndarray:
    """A sequence of +1 (opens) and -1 (closes), int64 [t], that was not drawn before."""
    make = matching if matched else unmatching
    while True:
        sequence = make(draw, int(draw.choice(numbers_of_pairs(max_length))))
        if sequence.tobytes() not in seen:
            seen.add(sequence.tobytes())
            return sequence


def numbers_of_pairs(max_length: int) -> range:
    """Not much shorter than the longest: of short sequences there are few."""
    return range(max_length // 4, max_length // 2 + 1)


def how_many_match(max_length: int) -> int:
    """Different sequences that match, the Catalan numbers; of those that do not are more."""
    return sum(
        math.comb(2 * pairs, pairs) // (pairs + 1) for pairs in numbers_of_pairs(max_length)
    )


def matching(draw: np.random.Generator, pairs: int) -> np.ndarray:
    """A sequence of matching brackets, each with the same probability: int64 [2 * pairs].

    Of the rotations of `pairs + 1` ups and `pairs` downs exactly one stays above zero; without
    its first up it matches.
    """
    steps = draw.permutation(np.repeat([1, -1], [pairs + 1, pairs]))
    lowest = np.flatnonzero(np.cumsum(steps) == np.cumsum(steps).min())[-1]
    return np.roll(steps, -(lowest + 1))[1:]


def unmatching(draw: np.random.Generator, pairs: int) -> np.ndarray:
    """As many ups as downs in an order in which some bracket closes too early."""
    while True:
        steps = draw.permutation(np.repeat([1, -1], pairs))
        if np.cumsum(steps).min() < 0:
            return steps
