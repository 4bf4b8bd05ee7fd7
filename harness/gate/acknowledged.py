"""Changes that are wanted: a committed file of findings with a reason each.

An acknowledgement holds for exactly the values it names: when the program moves on, it is
asked for again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import UsageError
from harness.gate.compare import Finding
from harness.paths import write_atomically

NAME = "gate-acknowledged.json"
# what nobody can want: a head that does not compile
NEVER = ("head",)
# numbers of a program that its time may grow with
WORK = ("flops", "transcendentals", "bytes")


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


def write(path: Path, findings: Iterable[Finding], *, reason: str) -> list[Finding]:
    """Adds the failures among the findings to a file; returns those that were added.

    Raises:
      UsageError: the file cannot be written.
    """
    known = read(path)
    new = [
        f for f in findings
        if f.level == "fail" and f.signal not in NEVER and not any(a.covers(f) for a in known)
    ]  # fmt: skip
    if new:
        told = [Acknowledgement(f.cell, f.program, f.signal, f.base, f.head, reason)
                for f in new]  # fmt: skip
        listed = [asdict(a) for a in (*known, *told)]
        try:
            write_atomically(path, (json.dumps(listed, indent=1) + "\n").encode())
        except OSError as error:
            raise UsageError(f"{path} cannot be written ({error.strerror})") from None
    return new


def reason_for(finding: Finding, known: Sequence[Acknowledgement]) -> str:
    """Why a change is wanted, empty if nobody said so."""
    if finding.signal in NEVER:
        return ""
    return next((a.reason for a in known if a.covers(finding)), "")


class Allowance(NamedTuple):
    """How much slower a cell may be, as a ratio, and why somebody wants what slows it."""

    ratio: float
    reason: str


def allowance(
    findings: Iterable[Finding], slow: Finding, known: Sequence[Acknowledgement]
) -> Allowance | None:
    """What the acknowledged findings of a cell allow its time to grow by.

    Args:
      findings: of its programs. Wanted work allows as much as the work grew.
      slow: the slowdown itself, of exactly this code: it allows any.
    """
    timed = reason_for(slow, known)
    if timed:
        return Allowance(math.inf, timed)
    wanted = [(f, reason_for(f, known)) for f in findings if f.signal in WORK]
    wanted = [(f, reason) for f, reason in wanted if reason]
    if not wanted:
        return None
    grown = max(_number(f.head) / max(1.0, _number(f.base)) for f, _ in wanted)
    return Allowance(grown, "; ".join(dict.fromkeys(reason for _, reason in wanted)))


def _number(text: str) -> float:
    return float(text.replace(",", ""))
