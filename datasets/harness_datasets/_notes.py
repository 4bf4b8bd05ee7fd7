"""What there is to tell of the rows of a table: those left out, and very long ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import harness
from harness.errors import counted
from harness_datasets._rows import Part, Row

NAMED = 3  # rows of a part of those that are counted
MANY_LINES = 50  # of one row; beyond them a quotation mark may be missing


class Note(NamedTuple):
    """A line about a part, without its name: files of one content are prepared once.

    Attributes:
      part: its place among all parts; None for a line about none.
    """

    before: str
    part: int | None = None
    after: str = ""

    def line(self, names: Sequence[str]) -> str:
        if self.part is None:
            return self.before
        return f"{self.before} {names[self.part]} {self.after}"


@dataclass
class _Named:
    """Rows that are counted, of which the first are named."""

    count: int = 0
    lines: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, lines: int, words: str) -> None:
        self.count += 1
        self.lines += lines
        if len(self.named) < NAMED:
            self.named.append(words)

    def words(self) -> str:
        more = self.count - len(self.named)
        return ", ".join(self.named) + (f", and {more:,} more" if more else "")


class Told:
    """What there is to tell of a part."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._left_out, self._long = _Named(), _Named()

    def leave_out(self, row: Row, fault: str) -> None:
        self._left_out.add(row.lines, f"{self._part.unit} {row.place} {fault}")

    def use(self, row: Row) -> None:
        if row.lines > MANY_LINES:
            words = f"{self._part.unit} {row.place} ({row.lines:,} lines)"
            self._long.add(row.lines, words)

    def nothing_used(self) -> harness.DataError:
        return harness.DataError(
            f"{self._part.name} has no usable row: {self._left_out.words() or 'it has none'}"
            "; expected a text and a label in each"
        )

    def notes(self, place: int) -> Iterator[Note]:
        """Lines about the part, whose place among all is given."""
        if (out := self._left_out).count:
            lines = f", {out.lines:,} lines" if out.lines > out.count else ""
            after = f"left out{lines}: {out.words()}"
            yield Note(f"{counted(out.count, 'row')} of", place, after)
        if (long := self._long).count:
            after = f"with more than {MANY_LINES} lines: {long.words()}"
            after += "; is a quotation mark missing?"
            yield Note(f"{counted(long.count, 'row')} of", place, after)
