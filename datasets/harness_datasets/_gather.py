"""The first pass over rows of text and label: which can be used, and which are held out.

The usable texts go to a scratch file in their normalised form. What stays in memory is
twenty bytes a row. What is left out is told by `_notes`.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import harness
from harness.progress import task
from harness_datasets._notes import NAMED, Note, Told
from harness_datasets._rows import Part, Row

MOST_CLASSES = 10_000
TOLD_EVERY = 5_000  # rows between two words about the progress


class Labels:
    """Labels and their numbers in the order in which they come; given ones are all of them."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._numbers = {name: number for number, name in enumerate(names)}
        self._given = bool(names)

    @property
    def names(self) -> list[str]:
        return list(self._numbers)

    def number(self, name: str) -> int | None:
        """None for one that is not among those that were given.

        Raises:
          DataError: there are too many for labels of classes.
        """
        if self._given:
            return self._numbers.get(name)
        number = self._numbers.setdefault(name, len(self._numbers))
        if number >= MOST_CLASSES:
            raise harness.DataError(
                f"the column of labels has more than {MOST_CLASSES:,} different values; "
                "expected classes, so name another column with label=..."
            )
        return number


def in_order(name: str) -> tuple[float, str]:
    """Sorts names of classes: numbers by their value, all others behind them."""
    try:
        value = float(name)
    except ValueError:
        return math.inf, name
    return (math.inf if math.isnan(value) else value), name


@dataclass
class Gathered:
    """What is kept of the usable rows, and where their texts are.

    Attributes:
      path: the normalised texts in UTF-8, one behind the other.
      lengths: int64 [n], bytes of each.
      labels: int32 [n].
      keys: uint64 [n], hashes of the texts.
      notes: what was left out, and rows that are very long.
    """

    path: Path
    lengths: np.ndarray
    labels: np.ndarray
    keys: np.ndarray
    notes: list[Note]

    def all(self) -> np.ndarray:
        """Every row, as a mask [n]."""
        return np.ones(len(self.labels), dtype=bool)

    def texts(self, rows: np.ndarray) -> Iterator[str]:
        """The texts of a mask [n], in order."""
        with self.path.open("rb") as file:
            for length, wanted in zip(self.lengths, rows, strict=True):
                read = file.read(int(length))
                if wanted:
                    yield read.decode()


def gather(
    parts: Sequence[Part], path: Path, normalised: Callable[[str], str], labels: Labels, *,
    first: int = 0,
) -> Gathered:  # fmt: skip
    """Writes the usable texts of all parts to `path`.

    Args:
      first: the place of the first part, for notes.

    Raises:
      DataError: a part has none.
    """
    lengths, numbers, keys = array("q"), array("i"), array("Q")
    notes: list[Note] = []
    with path.open("wb") as file:
        for place, part in enumerate(parts, start=first):
            before, told = len(numbers), Told(part)
            for row in _watched(part):
                plain, number, fault = _usable(row, normalised, labels)
                if fault:
                    told.leave_out(row, fault)
                    continue
                told.use(row)
                lengths.append(file.write(plain))
                numbers.append(number)
                keys.append(int.from_bytes(hashlib.blake2b(plain, digest_size=8).digest()))
            if len(numbers) == before:
                raise told.nothing_used()
            notes += told.notes(place)
    return Gathered(
        path, np.array(lengths, np.int64), np.array(numbers, np.int32),
        np.array(keys, np.uint64), notes,
    )  # fmt: skip


def _watched(part: Part) -> Iterable[Row]:
    """The rows of a part, with a word about the progress from time to time."""
    with task(f"reading {part.name}", unit="rows") as tell:
        for number, row in enumerate(part.rows()):
            if number % TOLD_EVERY == 0:
                tell(number, None)
            yield row


def _usable(
    row: Row, normalised: Callable[[str], str], labels: Labels
) -> tuple[bytes, int, str]:
    """The normalised text and the label's number, or what is wrong with the row."""
    if row.fault:
        return b"", 0, row.fault
    try:
        _ = row.label.encode(), row.text.encode()
    except UnicodeEncodeError:  # half a pair of surrogates, or what bytes became
        return b"", 0, "is not valid UTF-8"
    plain = normalised(row.text).encode()
    if not plain:
        return b"", 0, "has no text" if not row.text.strip() else "has no word in its text"
    number = labels.number(row.label)
    if number is None:
        return b"", 0, f"has the label {row.label[:40]!r}, which training has not"
    return plain, number, ""


def hold_out(gathered: Gathered, *, share: float, seed: int) -> np.ndarray:
    """Which rows are held out for testing, as a mask [n]: of each class the same share.

    Rows of the same text stay together, so that no text is on both sides. A class has at
    least one row on either side if it has two different texts.

    Raises:
      DataError: no class has.
    """
    _, first, group, sizes = np.unique(
        gathered.keys, return_index=True, return_inverse=True, return_counts=True
    )  # of g different texts: [g], [n], [g]
    chosen = np.zeros(len(first), dtype=bool)
    random = np.random.RandomState(seed)
    labels = gathered.labels[first]  # [g]
    by_label = np.argsort(labels, kind="stable")
    for texts in np.split(by_label, np.flatnonzero(np.diff(labels[by_label])) + 1):
        if len(texts) > 1:
            chosen[_share(random.permutation(texts), sizes, share)] = True
    if not chosen.any():
        raise harness.DataError(
            "no class has two different texts, so that none can be held out for testing; add "
            "rows, or give a test split of its own"
        )
    return chosen[group]


def _share(texts: np.ndarray, sizes: np.ndarray, share: float) -> np.ndarray:
    """The first of some texts that make up a share of their rows: at least one, never all."""
    wanted = max(1, round(share * int(sizes[texts].sum())))
    small = texts[sizes[texts] <= wanted]
    if len(small) == 0:  # each is repeated more often than that
        return texts[[int(np.argmin(sizes[texts]))]]
    count = int(np.searchsorted(np.cumsum(sizes[small]), wanted, side="right"))
    return small[: min(max(1, count), len(texts) - 1)]


def untested(gathered: Gathered, held: np.ndarray, names: Sequence[str]) -> list[Note]:
    """A line about the classes that have no row among those that are held out."""
    absent = np.setdiff1d(gathered.labels[~held], gathered.labels[held])
    if len(absent) == 0:
        return []
    shown = ", ".join(repr(names[label]) for label in absent[:NAMED])
    more = f" and {len(absent) - NAMED:,} more" if len(absent) > NAMED else ""
    return [Note(f"no test row for {shown}{more}: one text only")]
