"""What can go wrong, told in one line each.

A message says what was given, what was expected and what to do. The command line prints
it without a traceback: a traceback is kept for faults of the harness itself. The class
decides two things: the exit code of a command, and the status of a run's row.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HarnessError(Exception):
    """A fault that the user can mend."""

    exit_code = 2


class UsageError(HarnessError):
    """The words of a command, a suite file or a call are off."""


class UnknownName(UsageError):
    """A name that nothing is registered under."""


class PluginError(HarnessError):
    """A plugin could not be loaded, or broke the contract while it registered."""


class DataError(HarnessError):
    """A file of data is absent, foreign, truncated or has the wrong checksum."""


class StoreError(HarnessError):
    """The database of rows cannot be opened, read or written."""


class Unsupported(Exception):
    """Raised by a model's constructor that cannot serve a data set: the run is skipped."""


class Unavailable(HarnessError):
    """A package that an entry requires is not installed."""


class Diverged(HarnessError):
    """The training loss is no longer a finite number."""


class ContractError(HarnessError):
    """A model or a data set returned something other than its contract says."""


def did_you_mean(name: str, known: Iterable[str], *, what: str) -> str:
    """Says which `what` are known, the nearest first.

    >>> did_you_mean("transfomer", ["mean_pool", "transformer"], what="models")
    "did you mean 'transformer'? known models: mean_pool, transformer"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    guess = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"{guess}known {what}: {', '.join(names) or 'none'}"


def first_line(error: BaseException) -> str:
    """An exception in one line: its first line of text, or else its type's name."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
