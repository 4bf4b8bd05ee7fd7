"""What each side compiles to, asked once: for tests of what a gate makes of the answers.

The base and the head are asked each for itself, by real probes; what is not asked again is
the base a second time, and a side that a test leaves as it was.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from pathlib import Path

import pytest

from harness.gate import deterministic
from harness.gate.deterministic import Question
from harness.gate.side import Side
from harness.gate.signals import CellSignals


def tree_digest(folder: Path) -> str:
    """A hash of all Python files below a folder, which decide what it compiles to."""
    told = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        told.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return told.hexdigest()


class Answers:
    """The answers of real probes, kept by what was asked of which sources."""

    def __init__(self) -> None:
        self.known: dict[object, list[CellSignals]] = {}
        self.lock = threading.Lock()

    def replay(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lets a side that is asked the same of the same tree give the same answers."""
        real = deterministic._Asked.ask

        @functools.wraps(real)
        def ask(asked: deterministic._Asked, side: Side) -> list[CellSignals]:
            if side.folder is None:  # an environment, which has no tree to know it by
                return real(asked, side)
            key = (side.name, tree_digest(side.folder), _words(asked.question))
            with self.lock:  # the second who asks the same waits for the first
                if key not in self.known:
                    self.known[key] = real(asked, side)
                return self.known[key]

        monkeypatch.setattr(deterministic._Asked, "ask", ask)


def _words(question: Question) -> tuple[object, ...]:
    return (*question.cells, *sorted(question.recipe.items()))
