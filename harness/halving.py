"""Successive halving: which trials come next, given the rows of those before.

All trials are trained for a few epochs, the better half of them for twice as many, and so on,
until the last ones have had all epochs of the recipe. A *rung* is one such round. With 8
trials and 4 epochs the rungs are 8 trials of 1 epoch, 4 of 2 and 2 of 4. Nothing is performed
here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from harness.rows import Row
from harness.space import MODEL

# how a run ends that a model refuses, or for which a package is missing
REFUSED = ("skipped", "unavailable")


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
    rungs: Sequence[Rung], rows: Mapping[tuple[int, int], Row], *, keys: Collection[str] = ()
) -> Trials | Chosen | Hopeless:
    """What a cell needs next.

    Args:
      rungs: empty where nothing is tuned.
      rows: of its trials so far, by the numbers of rung and trial.
      keys: of what is tuned.
    """
    if not rungs:
        return Chosen(None, None)
    first = rows.get((0, 0))
    if first is not None and is_pointless(first, keys):
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
    return _hopeless([rows[0, number] for number in range(rungs[0].trials)])


def _hopeless(first: Sequence[Row]) -> Hopeless:
    """Says why no trial of the first rung was ok: rather a failure than a refused value."""
    number = next((n for n, row in enumerate(first) if row["status"] not in REFUSED), 0)
    which = f"trial {number}" if number else "the first"
    said = f"{which}: {first[number]['error_message']}"
    return Hopeless(first[number], f"none of {len(first)} trials was ok; {said}")


def is_pointless(row: Row, keys: Collection[str] = ()) -> bool:
    """Whether a trial's end has nothing to do with its values, so that others end alike.

    A model that refuses the data may take it with other values of its own parameters, and a
    package may be missing for one optimizer and not for another. Where these are tuned, an end
    decides for all only if it came before them: loading the plugins of model and data set is
    first, then come the data, with the optimizer's plugin, and at last the model.

    Args:
      keys: of what is tuned.
    """
    phase, refused = row["phase"], row["status"] in REFUSED
    if not refused and (row["status"] != "failed" or phase not in ("load", "data")):
        return False
    if phase == "load":
        return True
    of_model = phase != "data" and any(key.startswith(MODEL) for key in keys)
    return not (of_model or "optimizer" in keys)


def ranked(rows: Mapping[int, Row]) -> tuple[int, ...]:
    """The trials that are ok, the best first.

    The highest accuracy on validation is best, or the smallest loss where the task has no
    accuracy; of equal ones that of the smaller loss, and then the first.
    """

    ok = (n for n, row in rows.items() if row["status"] == "ok" and row["val_loss"] is not None)
    return tuple(sorted(ok, key=lambda number: order(number, rows[number])))


def order(number: int, row: Row) -> tuple[float, float, int]:
    """What trials are sorted by, the best first.

    Args:
      number: of the trial.
      row: of it; a missing loss is the worst.
    """
    accuracy, loss = row["val_accuracy"], row["val_loss"]
    return (0.0 if accuracy is None else -accuracy, inf if loss is None else loss, number)
