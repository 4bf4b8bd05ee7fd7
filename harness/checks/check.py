"""What a conformance check is, and what comes of it."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from harness.errors import HarnessError, Unavailable, first_line

S = TypeVar("S")
Status = Literal["pass", "fail", "unavailable", "exempt"]


class Fault(HarnessError):
    """A check failed: what was given, what was expected, what to do."""

    def __init__(self, *, given: str, expected: str, do: str) -> None:
        super().__init__(f"{given}; expected {expected}; {do}")


class NotApplicable(Exception):
    """There is nothing for a check to look at, with the reason in words."""


@dataclass(frozen=True)
class Check(Generic[S]):
    """One named question to a plugin.

    Attributes:
      name: what `harness check` prints, and what `exempt` of `register` names.
      shows: what it shows, in a line.
      perform: returns a remark, which may be empty.
        Raises `Fault` for what the plugin should mend, `NotApplicable` where there is
        nothing to check; whatever else it raises is the plugin's too.
      needs: the checks that have to pass before: what fails there would fail here as well.
    """

    name: str
    shows: str
    perform: Callable[[S], str]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of a check.

    Attributes:
      seconds: how long it took.
      words: of a failure what was given, expected and to be done; of an exemption its
        reason; else a remark, which may be empty.
      traceback: of what the plugin raised, empty if it raised nothing unforeseen.
    """

    check: str
    status: Status
    seconds: float = 0.0
    words: str = ""
    traceback: str = ""


def outcome(
    check: Check[S], subject: S, *, exempt: Mapping[str, str], failed: Collection[str]
) -> Outcome:
    """Performs a check; nothing is raised but what must end the process.

    Args:
      exempt: checks that do not apply, with their reasons.
      failed: those that failed before.
    """
    if check.name in exempt:
        return Outcome(check.name, "exempt", words=exempt[check.name])
    missed = [name for name in check.needs if name in failed]
    if missed:
        return Outcome(check.name, "unavailable", words=f"needs {missed[0]} to pass")
    start = time.perf_counter()

    def ended(status: Status, words: str, trace: str = "") -> Outcome:
        return Outcome(check.name, status, time.perf_counter() - start, words, trace)

    try:
        return ended("pass", check.perform(subject))
    except NotApplicable as reason:
        return ended("exempt", str(reason))
    except Unavailable as error:
        return ended("unavailable", str(error))
    except HarnessError as error:
        return ended("fail", str(error))
    except (Exception, SystemExit) as error:
        words = f"{type(error).__name__}: {first_line(error)}; expected no exception; see -v"
        return ended("fail", words, traceback.format_exc())


def to_json(found: Outcome) -> dict[str, Any]:
    """Its attributes by name, all of them texts and numbers."""
    return dict(vars(found))
