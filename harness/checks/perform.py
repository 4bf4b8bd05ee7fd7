"""Checks an entry in a process of its own, and goes on behind a check that kills it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness import logs
from harness.checks import names
from harness.checks.check import Outcome
from harness.checks.targets import Target
from harness.children import ask
from harness.errors import HarnessError, pip_line
from harness.registry import missing_requirements

# seconds that a check may take
PATIENCE_S = 600.0
MODULE = "harness.checks.child"


def question(
    target: Target, checks: Sequence[str] | None, failed: Collection[str] = ()
) -> dict[str, Any]:
    """What the child is asked; no checks: the data set's fingerprint."""
    return {
        "kind": target.kind,
        "choice": asdict(target.choice),
        "dataset": None if target.dataset is None else asdict(target.dataset),
        "checks": checks,
        "failed": list(failed),
        "tasks": {name: asdict(source) for name, source in target.tasks.items()},
    }


def perform(
    target: Target, only: Sequence[str], *, told: Callable[[Outcome], None]
) -> list[Outcome]:
    """Performs the checks of an entry.

    What cannot be loaded at all is one outcome, that of the first check.

    Args:
      only: the names of those that are wanted; all if empty.
      told: hears each outcome as soon as it is known, in their order.
    """
    every = names.OF[target.kind]
    waiting = [name for name in every if name in only or not only]
    found: list[Outcome] = []

    def hear(outcome: Outcome) -> None:
        found.append(outcome)
        waiting.remove(outcome.check)
        told(outcome)

    missing = missing_requirements(target.entry)
    if missing and waiting:
        words = f"needs {', '.join(missing)}; {pip_line(missing)}"
        hear(Outcome(waiting[0], "unavailable", words=words))
        return found
    while waiting:
        failed = [one.check for one in found if one.status in ("fail", "unavailable")]
        said, died = _performed(question(target, waiting, failed), hear)
        if said.done:
            break
        # within a check that one alone is lost, before the first of them all are
        words = f"{died}; expected it to go on; " + (
            "see what the check does" if said.ready else "nothing was checked"
        )
        hear(Outcome(waiting[0], "fail", words=words))
        if not said.ready:
            break
    return found


@dataclass
class _Signs:
    """How far a child came."""

    ready: bool = False
    done: bool = False


def _performed(asked: Any, hear: Callable[[Outcome], None]) -> tuple[_Signs, str]:
    """How far a child came with what it was asked, and how it ended."""
    signs = _Signs()

    def heard(line: str) -> None:
        values = json.loads(line)
        if "check" in values:
            hear(Outcome(**values))
        else:
            signs.ready |= "ready" in values
            signs.done |= "done" in values

    return signs, _said(asked, heard)[1]


def fingerprint_elsewhere(asked: Mapping[str, Any]) -> str:
    """The fingerprint of a data set as a fresh process finds it."""
    lines, died = _said({**asked, "checks": None}, lambda line: None)
    if not lines:
        raise HarnessError(f"{died}; expected it to load the data set as this one does")
    return json.loads(lines[0])


def _said(asked: Mapping[str, Any], hear: Callable[[str], None]) -> tuple[tuple[str, ...], str]:
    """What the child said, which is also heard line by line, and how it ended."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with logs.kept(log) as stderr:
            answer = ask(
                MODULE, json.dumps(asked), patience_s=PATIENCE_S, stderr=stderr, hear=hear
            )
        said = logs.last_line(log)
    if answer.code is None:
        return answer.lines, f"it was still busy after {PATIENCE_S:g} s and was stopped"
    return answer.lines, f"the process died (exit {answer.code}) {said}".strip()
