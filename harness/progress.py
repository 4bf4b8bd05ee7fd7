"""Tells whoever listens how far a long piece of work is.

A download does not know whether it runs at a terminal, in a worker process or in a
notebook, so it reports to the listener of its context: `report_to` sets one for numbers,
`notes_to` one for lines of text. Without a listener, progress is a bar where standard
error is a terminal and silence elsewhere, and a note is a line on standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# description, how much is done, how much there is (None: not known)
Reporter = Callable[[str, int, int | None], None]
# how much is done in all, how much there is
Tell = Callable[[int, int | None], None]

_reporter: ContextVar[Reporter | None] = ContextVar("harness_reporter", default=None)
_notes: ContextVar[Callable[[str], None] | None] = ContextVar("harness_notes", default=None)


@contextmanager
def report_to(reporter: Reporter | None) -> Iterator[None]:
    """Sends the progress of all work inside the block to `reporter`.

    Args:
      reporter: called with a description, the units done so far and their total, or None
        for the total where it is not known; None restores the bar.
    """
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)


@contextmanager
def notes_to(listener: Callable[[str], None] | None) -> Iterator[None]:
    """Sends the notes of all work inside the block to `listener`; None restores stderr."""
    token = _notes.set(listener)
    try:
        yield
    finally:
        _notes.reset(token)


def note(text: str) -> None:
    """Tells one line that the user should know but need not act on."""
    listener = _notes.get()
    if listener is not None:
        listener(text)
    elif sys.stderr is not None:
        print(text, file=sys.stderr)


@contextmanager
def task(description: str, *, unit: str = "B") -> Iterator[Tell]:
    """A piece of work that reports its progress.

    Args:
      description: what is being done, a few words.
      unit: what is counted, for the bar.

    Yields:
      `tell(done, total)`: `done` counts from the start of the work, and may fall where
      the work begins again; `total` is None where it is not known.
    """
    reporter = _reporter.get()
    if reporter is not None:
        yield lambda done, total: reporter(description, done, total)
    elif sys.stderr is not None and sys.stderr.isatty():
        with _bar(description, unit) as tell:
            yield tell
    else:
        yield lambda done, total: None


@contextmanager
def _bar(description: str, unit: str) -> Iterator[Tell]:
    from tqdm import tqdm  # here, because most processes never show a bar

    with tqdm(desc=description, unit=unit, unit_scale=True, unit_divisor=1024) as bar:

        def tell(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield tell
