"""Successive halving: which trials come next, given the rows of those before.

All trials are trained for a few epochs, the better half of them for twice as many, and so on,
until the last ones have had all epochs of the recipe. A *rung* is one such round. With 8
trials and 4 epochs the rungs are 8 trials of 1 epoch, 4 of 2 and 2 of 4. Nothing is performed
here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.rows import Row


@dataclass(frozen=True)
class Rung:
    """So many trials, each of so many epochs."""

    trials: int
    epochs: int


def schedule(budget: int, epochs: int) -> tuple[Rung, ...]:
    """The rungs of successive halving; the last one has two or more trials of all epochs.

    >>> [(rung.trials, rung.epochs) for rung in schedule(8, 4)]
    [(8, 1), (4, 2), (2, 4)]
    >>> [(rung.trials, rung.epochs) for rung in schedule(8, 1)]
    [(8, 1)]
    """
    halvings = 0
    while epochs >> (halvings + 1) and budget >> (halvings + 1) >= 2:
        halvings += 1
    return tuple(Rung(budget >> i, epochs >> (halvings - i)) for i in range(halvings + 1))


@dataclass(frozen=True)
class Trials:
    """These trials of a rung are needed next."""

    rung: int
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Chosen:
    """This trial gives the runs their values; None and no row where nothing is tuned."""

    number: int | None
    row: Row | None


@dataclass(frozen=True)
class Hopeless:
    """No trial was ok: the runs have no values, and this is why."""

    row: Row
    message: str


def next_step(
    rungs: Sequence[Rung], rows: Mapping[tuple[int, int], Row]
) -> Trials | Chosen | Hopeless:
    """What a cell needs next.

    Args:
      rungs: empty where nothing is tuned.
      rows: of its trials so far, by the numbers of rung and trial.
    """
    if not rungs:
        return Chosen(None, None)
    first = rows.get((0, 0))
    if first is not None and is_pointless(first):
        return Hopeless(first, f"its first trial: {first['error_message']}")
    numbers = tuple(range(rungs[0].trials))
    best: Chosen | None = None
    for rung, one in enumerate(rungs):
        numbers = numbers[: one.trials]
        missing = tuple(n for n in numbers if (rung, n) not in rows)
        if missing:
            return Trials(rung, missing)
        numbers = ranked({n: rows[rung, n] for n in numbers})
        if not numbers:  # all of the last epochs diverged: what was best before them counts
            break
        best = Chosen(numbers[0], rows[rung, numbers[0]])
    if best is not None:
        return best
    failed = rows[0, 0]
    return Hopeless(
        failed,
        f"none of {rungs[0].trials} trials was ok; the first: {failed['error_message']}",
    )


def is_pointless(row: Row) -> bool:
    """Whether a trial's end has nothing to do with its values, so that others end alike."""
    unable = row["status"] in ("skipped", "unavailable")
    return unable or (row["status"] == "failed" and row["phase"] in ("load", "data"))


def ranked(rows: Mapping[int, Row]) -> tuple[int, ...]:
    """The trials that are ok, the best first.

    The highest accuracy on validation is best, or the smallest loss where the task has no
    accuracy; of equal ones that of the smaller loss, and then the first.
    """

    def order(number: int) -> tuple[float, float, int]:
        accuracy, loss = rows[number]["val_accuracy"], rows[number]["val_loss"]
        return (0.0 if accuracy is None else -accuracy, loss, number)

    ok = (n for n, row in rows.items() if row["status"] == "ok" and row["val_loss"] is not None)
    return tuple(sorted(ok, key=order))
