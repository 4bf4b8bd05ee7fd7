"""Changes that are wanted: a committed file of findings with a reason each.

An acknowledgement holds for exactly the values it names: when the program moves on, it is
asked for again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.gate.compare import Finding
from harness.paths import write_atomically

NAME = "gate-acknowledged.json"


@dataclass(frozen=True)
class Acknowledgement:
    """One wanted change of one signal."""

    cell: str
    program: str
    signal: str
    base: str
    head: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        mine = (self.cell, self.program, self.signal, self.base, self.head)
        return mine == (
            finding.cell, finding.program, finding.signal, finding.base, finding.head,
        )  # fmt: skip


def read(path: Path) -> list[Acknowledgement]:
    """What a file acknowledges; an absent one nothing.

    Raises:
      UsageError: it is not such a file.
    """
    if not path.is_file():
        return []
    try:
        return [Acknowledgement(**_checked(value)) for value in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{path} cannot be read ({error}); expected a JSON array of objects with cell, "
            "program, signal, base, head and reason"
        ) from None


def _checked(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise ValueError("an entry is no object of texts")
    return value


def write(path: Path, findings: Iterable[Finding], *, reason: str) -> int:
    """Adds the failures among the findings to a file; returns how many."""
    known = read(path)
    new = [
        Acknowledgement(f.cell, f.program, f.signal, f.base, f.head, reason)
        for f in findings
        if f.level == "fail" and not any(a.covers(f) for a in known)
    ]
    if new:
        listed = [asdict(a) for a in (*known, *new)]
        write_atomically(path, (json.dumps(listed, indent=1) + "\n").encode())
    return len(new)


def reason_for(finding: Finding, known: Sequence[Acknowledgement]) -> str:
    """Why a change is wanted, empty if nobody said so."""
    return next((a.reason for a in known if a.covers(finding)), "")
