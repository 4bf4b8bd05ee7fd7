"""Random expressions of MIN, MAX, MED and SM over digits, and what they come to.

Many grow at once, one depth after the other, so that every step is one of NumPy's: a level
holds the nodes of one depth of all expressions, from left to right. Values and sizes are
found from the deepest level up, the places of the tokens from the top down. Node i of a
level that is an operator has its arguments side by side in the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

PAD, FIRST_DIGIT, FIRST_OPERATOR, CLOSE = 0, 1, 11, 15
OPERATORS = ("[MIN", "[MAX", "[MED", "[SM")
# the word of each token
WORDS = ("", *"0123456789", *OPERATORS, "]")
# the share of arguments that are expressions and no digits
NESTED = 0.25


@dataclass(frozen=True)
class Limits:
    """Tokens of an expression, levels of a tree with its digits, arguments of an operator."""

    min_length: int
    max_length: int
    max_depth: int
    max_args: int


class Level(NamedTuple):
    """The nodes of one depth, m of them: int64 [m] each.

    Attributes:
      owner: the expression that the node belongs to.
      arguments: how many it has; 0 for a digit.
      symbol: the digit, or the operator's place in `OPERATORS`.
    """

    owner: np.ndarray
    arguments: np.ndarray
    symbol: np.ndarray


def draw(
    random: np.random.RandomState, n: int, limits: Limits
) -> tuple[np.ndarray, np.ndarray]:
    """Of n random expressions those whose length is within the limits.

    Returns:
      Tokens int32 [m, max_length], padded in front, and values int32 [m], with m <= n.
    """
    levels = grow(random, n, limits)
    values, sizes = evaluate(levels)
    fits = (sizes[0] >= limits.min_length) & (sizes[0] <= limits.max_length)  # [n]
    return write(levels, sizes, limits.max_length)[fits], values[fits].astype(np.int32)


def grow(random: np.random.RandomState, n: int, limits: Limits) -> list[Level]:
    """The levels of n expressions, each an operator at its top.

    One that is too long already grows no more operators: it will be dropped.
    """
    levels: list[Level] = []
    owner, tokens = np.arange(n), np.ones(n, np.int64)
    for depth in range(1, limits.max_depth + 1):
        m = len(owner)
        inner = random.random_sample(m) < (NESTED if depth > 1 else 1)
        inner &= (tokens[owner] <= limits.max_length) & (depth < limits.max_depth)
        arguments = np.where(inner, random.randint(2, limits.max_args + 1, m), 0)
        operators, digits = random.randint(0, len(OPERATORS), m), random.randint(0, 10, m)
        levels.append(Level(owner, arguments, np.where(inner, operators, digits)))
        # an operator has a closing bracket too
        tokens += np.bincount(owner, inner + arguments, minlength=n).astype(np.int64)
        owner = np.repeat(owner, arguments)
        if not len(owner):
            break
    return levels


def evaluate(levels: list[Level]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The value of each expression, int64 [n], and of each level the tokens below its nodes.

    A node's own tokens count: 1 for a digit, and 2 for an operator and its bracket.
    """
    values = size = np.zeros(0, np.int64)  # of the level below
    sizes: list[np.ndarray] = []
    for level in reversed(levels):
        inner = level.arguments > 0
        below, size_below = values, size
        values, size = level.symbol.copy(), np.ones(len(level.symbol), np.int64)
        if inner.any():
            counts = level.arguments[inner]
            values[inner] = apply(level.symbol[inner], below, counts)
            size[inner] = 2 + np.add.reduceat(size_below, _starts(counts))
        sizes.insert(0, size)
    return values, sizes


def apply(operators: np.ndarray, arguments: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """What each operator makes of its arguments.

    The median of an even number of digits is the mean of the two in the middle, rounded down.

    >>> apply(np.array([2, 3]), np.array([9, 2, 4, 4, 8, 7]), np.array([4, 2]))
    array([4, 5])

    Args:
      operators: int64 [m], places in `OPERATORS`.
      arguments: int64 [total], digits, those of the first operator first.
      counts: int64 [m], how many each operator has.

    Returns:
      int64 [m], digits.
    """
    starts = _starts(counts)
    of = np.repeat(np.arange(len(counts)), counts)  # [total]
    ordered = np.sort(10 * of + arguments) % 10  # within each operator
    middle = ordered[starts + (counts - 1) // 2] + ordered[starts + counts // 2]
    results = np.stack([
        ordered[starts], ordered[starts + counts - 1], middle // 2,
        np.add.reduceat(arguments, starts) % 10,
    ])  # fmt: skip
    return results[operators, np.arange(len(counts))]  # [4, m] -> [m]


def write(levels: list[Level], sizes: list[np.ndarray], length: int) -> np.ndarray:
    """Tokens int32 [n, length], padded in front; padding alone where there are more."""
    fits = sizes[0] <= length  # [n]
    tokens = np.full((len(fits), length), PAD, np.int32)
    start = length - sizes[0]  # of each node's tokens
    for depth, (level, size) in enumerate(zip(levels, sizes, strict=True)):
        inner, kept = level.arguments > 0, fits[level.owner]
        first = np.where(inner, FIRST_OPERATOR, FIRST_DIGIT) + level.symbol
        tokens[level.owner[kept], start[kept]] = first[kept]
        closed = inner & kept
        tokens[level.owner[closed], (start + size - 1)[closed]] = CLOSE
        if inner.any():
            counts = level.arguments[inner]
            before = _starts(sizes[depth + 1])  # tokens to the left of a node in its level
            origin = start[inner] + 1 - before[_starts(counts)]
            start = np.repeat(origin, counts) + before
    return tokens


def _starts(counts: np.ndarray) -> np.ndarray:
    """Where each of several groups begins that stand one behind the other."""
    return np.cumsum(counts) - counts
