"""Base against head without a clock: which signals moved, and what that means.

The base is compiled twice. A signal that its two compilations do not agree on says nothing
about the head and is left out, with a note.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.gate.signals import CellSignals, ProgramSignals

Level = Literal["fail", "warn", "note"]
SHOWN = 6  # kinds of operation that are named


@dataclass(frozen=True)
class Finding:
    """One signal of one program that is not what it was.

    Attributes:
      program: "train" or "eval", or empty for what concerns the whole cell.
      base, head: the values as text, which an acknowledgement repeats.
      words: one sentence.
    """

    cell: str
    program: str
    signal: str
    base: str
    head: str
    level: Level
    words: str


@dataclass(frozen=True)
class Rule:
    """When a number of a program is worse."""

    words: str
    worse: Callable[[float, float], bool]


def _more_than(share: float, *, beyond: float = 0.0) -> Callable[[float, float], bool]:
    return lambda base, head: head - base > max(share * base, beyond)


# what a reader can act on stands first
RULES: dict[str, Rule] = {
    "outside": Rule("callbacks and transfers", lambda base, head: head > base),
    "donated": Rule("donated buffers", lambda base, head: head < base),
    "flops": Rule("FLOPs of a step", _more_than(0.005)),
    "transcendentals": Rule("transcendentals of a step", _more_than(0.005)),
    "bytes": Rule("bytes read and written in a step", _more_than(0.01)),
    "temp_bytes": Rule("temporary bytes", _more_than(0.02, beyond=64e3)),
    "argument_bytes": Rule("argument bytes", _more_than(0.02, beyond=64e3)),
    "output_bytes": Rule("output bytes", _more_than(0.02, beyond=64e3)),
}


def compare(base: CellSignals, again: CellSignals, head: CellSignals) -> list[Finding]:
    """All that moved from base to head.

    Args:
      again: the base, compiled another time.
    """
    return list(_findings(base, again, head))


def _findings(base: CellSignals, again: CellSignals, head: CellSignals) -> Iterator[Finding]:
    if is_new(base, head):
        yield Finding(base.cell, "", "new", "", "", "note", "new: nothing to compare with")
        return
    if base.error or again.error:
        yield Finding(base.cell, "", "base", base.error or again.error, "", "note",
                      f"the base cannot be compiled: {base.error or again.error}")  # fmt: skip
        return
    if head.error:
        yield Finding(base.cell, "", "head", "compiles", head.error, "fail",
                      f"the head cannot be compiled: {head.error}")  # fmt: skip
        return
    yield from _recompiles(base, again, head)
    yield from _transfers(base, again, head)
    for name, program in base.programs.items():
        yield from _program(base.cell, name, program, again.programs[name], head.programs[name])


def is_new(base: CellSignals, head: CellSignals) -> bool:
    """Whether the base has no such data set or model, and the head has."""
    return base.absent and not head.error


def _program(
    cell: str, name: str, base: ProgramSignals, again: ProgramSignals, head: ProgramSignals
) -> Iterator[Finding]:
    # also of equal programs: what is donated stands in no instruction
    for signal, rule in RULES.items():
        yield from _number(cell, name, signal, rule, base, again, head)
    if base.hlo_hash != again.hlo_hash:
        words = f"{name}: two compilations of the base differ; not compared"
        yield Finding(cell, name, "hlo_hash", base.hlo_hash, again.hlo_hash, "note", words)
    elif base.hlo_hash != head.hlo_hash:
        changed = changes(base.operations, head.operations)
        words = f"{name}: {changed or 'the same kinds of operation, in other shapes'}"
        yield Finding(cell, name, "hlo_hash", base.hlo_hash, head.hlo_hash, "note", words)
    before, after = _doubles(base.operations), _doubles(head.operations)
    if after > before:
        words = f"{name}: {after - before} more operations in float64"
        yield Finding(cell, name, "f64", str(before), str(after), "warn", words)


def _number(
    cell: str, name: str, signal: str, rule: Rule, *sides: ProgramSignals
) -> Iterator[Finding]:
    before, between, after = (side.numbers.get(signal) for side in sides)
    if before is None or after is None:
        return
    if before != between:
        words = f"{name}: {rule.words} of the base differ by compilation; not compared"
        yield Finding(cell, name, signal, _text(before), _text(between), "note", words)
    elif before != after:
        worse = rule.worse(before, after)
        change = f"{_text(before)} to {_text(after)}{_share(before, after)}"
        words = f"{name}: {rule.words} {change}"
        level: Level = "fail" if worse else "note"
        yield Finding(cell, name, signal, _text(before), _text(after), level, words)


def _recompiles(base: CellSignals, again: CellSignals, head: CellSignals) -> Iterator[Finding]:
    counts = base.recompiles, again.recompiles, head.recompiles
    if None not in counts:
        words = "compilations after warm-up"
        yield from _count(base.cell, "recompiles", words, counts, why=head.recompiled)


def _transfers(base: CellSignals, again: CellSignals, head: CellSignals) -> Iterator[Finding]:
    told = [side.transfers for side in (base, again, head)]
    if None in told:
        return
    counts = [count or {} for count in told]
    for way in sorted({*counts[0], *counts[2]}):
        words = f"implicit {way} transfers in the same steps"
        yield from _count(base.cell, way, words, [count.get(way, 0) for count in counts])


def _count(
    cell: str, signal: str, words: str, counts: Sequence[int | None], *, why: str = ""
) -> Iterator[Finding]:
    """A count of the base, the base again and the head, of which more is worse."""
    before, between, after = (count or 0 for count in counts)
    if before != between:
        told = f"{words} of the base differ by run; not compared"
        yield Finding(cell, "", signal, str(before), str(between), "note", told)
    elif before != after:
        more = after > before
        told = f"{words} {before} to {after}" + (f" ({why})" if more and why else "")
        level: Level = "fail" if more else "note"
        yield Finding(cell, "", signal, str(before), str(after), level, told)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _share(base: float, head: float) -> str:
    return f" ({(head - base) / base:+.1%})" if base else ""


def _doubles(operations: Mapping[str, int]) -> int:
    return sum(count for kind, count in operations.items() if kind.endswith(" f64"))


def changes(base: Mapping[str, int], head: Mapping[str, int]) -> str:
    """Which kinds of operation came, went or changed their number, the largest first.

    >>> changes({"dot f32": 3, "copy f32": 1}, {"dot f32": 3, "dot f64": 2})
    'dot f64 +2, copy f32 -1'
    """
    moved = {k: head.get(k, 0) - base.get(k, 0) for k in {*base, *head}}
    listed = sorted(((abs(n), k, n) for k, n in moved.items() if n), reverse=True)
    shown = [f"{kind} {number:+d}" for _, kind, number in listed[:SHOWN]]
    rest = len(listed) - len(shown)
    return ", ".join(shown) + (f" and {rest} more kinds" if rest > 0 else "")


def cannot_have_slowed(base: CellSignals, head: CellSignals) -> bool:
    """Whether timing a cell is no use: equal programs, equal code around them.

    Equal are the programs' hashes, every imported file of the two trees and every installed
    package.
    """
    same = {name: p.hlo_hash for name, p in base.programs.items()} == {
        name: p.hlo_hash for name, p in head.programs.items()
    }
    return (
        same
        and not base.error
        and not head.error
        and base.sources == head.sources
        and base.packages == head.packages
    )


def mechanism(base: CellSignals, head: CellSignals) -> str:
    """What could have made a cell slower, in words; empty if nothing changed."""
    if base.error or head.error:
        return ""
    parts = []
    for name, program in base.programs.items():
        other = head.programs.get(name)
        if other is not None and other.hlo_hash != program.hlo_hash:
            parts.append(f"its {name} program changed")
    files = _differing(base.sources or {}, head.sources or {})
    if files:
        parts.append(f"host code changed ({', '.join(files[:3])}{' ...' if files[3:] else ''})")
    packages = _differing(base.packages or {}, head.packages or {})
    if packages:
        parts.append(f"dependencies changed ({', '.join(packages[:3])})")
    return "; ".join(parts)


def _differing(base: Mapping[str, str], head: Mapping[str, str]) -> list[str]:
    return sorted(name for name in {*base, *head} if base.get(name) != head.get(name))


def slower(base: CellSignals, head: CellSignals, *, words: str) -> Finding:
    """A timed slowdown as a finding, so that it can be acknowledged.

    Its values are digests of the files that each side imported and of the packages that
    differ, not of times: somebody who wants exactly this code wants its speed.
    """
    packages = _differing(base.packages or {}, head.packages or {})
    before, after = (
        _digest(
            {
                "sources": side.sources,
                "packages": [(side.packages or {}).get(n) for n in packages],
            }
        )
        for side in (base, head)
    )
    return Finding(base.cell, "", "step_time", before, after, "fail", words)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
