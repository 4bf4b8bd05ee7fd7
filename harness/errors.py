"""What can go wrong, told in one line each.

A message says what was given, what was expected and what to do. The command line prints
it without a traceback: a traceback is kept for faults of the harness itself. The class
decides two things: the exit code of a command, and the status of a run's row.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class HarnessError(Exception):
    """A fault that the user can mend."""

    exit_code = 2


class UsageError(HarnessError):
    """The words of a command, a suite file or a call are off."""


class UnknownName(UsageError):
    """A name that nothing is registered under."""


class PluginError(HarnessError):
    """A plugin could not be loaded, or broke the contract while it registered."""


class PluginFailed(HarnessError):
    """A run's plugin could not be loaded.

    Attributes:
      error_type: of what the plugin raised.
    """

    def __init__(self, message: str, *, error_type: str) -> None:
        super().__init__(message)
        self.error_type = error_type


class DataError(HarnessError):
    """A file of data is absent, foreign, truncated or has the wrong checksum."""


class StoreError(HarnessError):
    """The database of rows cannot be opened, read or written."""


class NoStore(StoreError):
    """There is no store yet where one was to be read."""


class AlreadyStored(StoreError):
    """The run has a row in the store; the first one stays."""


class RowsKept(StoreError):
    """A plan was performed, and the store did not take all of its rows.

    Attributes:
      rows: every row of the plan.
    """

    def __init__(self, message: str, rows: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.rows = rows


class Unsupported(Exception):
    """Raised by a model's constructor that cannot serve a data set: the run is skipped."""


class RefusedValue(Unsupported):
    """A model refuses a value that tuning tries: the trial is skipped."""


class Unavailable(HarnessError):
    """What an entry requires is not here: a package, a file, another version of the harness."""


class UnsupportedHarness(Unavailable):
    """A plugin is made for other versions of the harness."""


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


def counted(number: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "run"), counted(2, "run")
    ('1 run', '2 runs')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# of modules that built-in plugins import: the extra that brings them
EXTRAS = {
    "datasets.load": "'model-zoo-harness[hf]'",
    "tensorboardX": "'model-zoo-harness[tensorboard]'",
    "tokenizers": "'model-zoo-harness[bpe]'",
}


def pip_line(names: Iterable[str]) -> str:
    """What installs the packages that hold these modules.

    >>> pip_line(["tensorboardX"]), pip_line(["a", "b"])
    ("pip install 'model-zoo-harness[tensorboard]'", 'pip install a b')
    """
    wanted = dict.fromkeys(EXTRAS.get(name, name) for name in names)
    return f"pip install {' '.join(wanted)}"


# characters of an exception whose lines are put into one
LONGEST = 500


def first_line(error: BaseException) -> str:
    """An exception in one line: its first line of text, or else its type's name.

    Where that line only begins a traceback, as that of a callback within a compiled
    program, the traceback's last line stands in its place; one that announces a list is
    followed by the list.
    """
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    before, begun, _ = lines[0].partition("Traceback (most recent call last):")
    if begun:
        return f"{before}{lines[-1].strip()}"
    if lines[0].rstrip("; ").endswith(":"):  # a list of what to do follows
        return " ".join(" ".join(lines).split())[:LONGEST]
    return lines[0]
