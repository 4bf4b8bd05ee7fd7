"""Random examples, each of them once: no test example can stand in train.

What draws them gives blocks of rows with labels; a row that was there before is dropped,
and where classes are balanced so is one whose class is full.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

import harness
from harness.progress import task

# of so many draws in a row at least so many must be new
PATIENCE, LEAST = 100_000, 10

# of so many random examples those that count: rows [m, t] and labels [m]
Draw = Callable[[int], tuple[np.ndarray, np.ndarray]]


def first_distinct(
    draw: Draw,
    n: int,
    *,
    at_once: int,
    balanced: int = 1,
    key: Callable[[np.ndarray], bytes] = np.ndarray.tobytes,
    name: str,
    advice: str,
) -> tuple[np.ndarray, np.ndarray]:
    """The first n different rows that `draw` gives.

    >>> blocks = iter([([[5], [6], [5]], [0, 0, 0]), ([[7], [5], [8]], [0, 0, 1])])
    >>> draw = lambda at_once: tuple(np.array(part) for part in next(blocks))
    >>> rows, labels = first_distinct(draw, 2, at_once=3, balanced=2, name="made", advice="")
    >>> rows.tolist(), labels.tolist()
    ([[5], [8]], [0, 1])

    Args:
      draw: gives the next random rows and labels.
      n: how many are wanted.
      at_once: how many `draw` is asked for at a time.
      balanced: the number of classes, of which each then has the same share of every part of
        the rows, as near as it goes; 1 takes labels as they come.
      key: rows of one class that have the same key are one row; all of it unless given.
      name: of the data set, for the progress.
      advice: what to do where there are too few different rows.

    Returns:
      Rows int32 [n, t] in the order in which they came, the balanced classes in turns, and
      their labels int32 [n].

    Raises:
      UsageError: hardly a row is new any more.
    """
    share = -(-n // balanced)  # of each class, rounded up
    kept: list[list[tuple[np.ndarray, int]]] = [[] for _ in range(balanced)]
    seen: set[tuple[int, bytes]] = set()
    found = drawn = before = 0
    with task(f"generating {name}", unit=" examples") as tell:
        while found < share * balanced:
            if drawn >= PATIENCE:
                if found - before < LEAST:
                    raise harness.UsageError(
                        f"{name} found {found:,} of {n:,} examples, and hardly a new one in "
                        f"the last {drawn:,} draws; {advice}"
                    )
                drawn, before = 0, found
            rows, labels = draw(at_once)
            drawn += at_once
            for row, label in zip(rows, labels.tolist(), strict=True):
                group = label % balanced
                mark = (group, hashlib.sha256(key(row)).digest())
                if len(kept[group]) < share and mark not in seen:
                    seen.add(mark)
                    kept[group].append((row, label))
            found = sum(map(len, kept))
            tell(found, share * balanced)
    turns = [one for turn in zip(*kept, strict=True) for one in turn][:n]
    return (
        np.stack([row for row, _ in turns]).astype(np.int32, copy=False),
        np.array([label for _, label in turns], np.int32),
    )
