"""What a cell's compiled programs say of its speed without a clock.

Pure functions from the facts that `probe.py` printed. Signals of one program compiled twice
on one machine are equal; what is not equal even then is left out of a comparison.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.cost import LEFT_OUT, OPERATION, canonical, canonical_lowered, ways_outside

ALIAS = re.compile(r"\{[\d, ]*\}: \(\d+, \{[\d, ]*\}, (?:may|must)-alias\)")
# names for the same numbers, as the gate's rules call them
COSTS = {"flops": "flops", "transcendentals": "transcendentals", "bytes accessed": "bytes"}
SIZES = {
    "temp_size_in_bytes": "temp_bytes",
    "argument_size_in_bytes": "argument_bytes",
    "output_size_in_bytes": "output_bytes",
}


@dataclass(frozen=True)
class ProgramSignals:
    """One compiled program.

    Attributes:
      numbers: by name: `flops`, `transcendentals`, `bytes` (of a step), `temp_bytes`,
        `argument_bytes`, `output_bytes`, `donated` (buffers), `outside` (callbacks and
        other ways out of the device).
      operations: how often each kind of operation on each dtype stands in the program, as
        in "dot f32".
    """

    hlo_hash: str
    numbers: Mapping[str, float]
    operations: Mapping[str, int]


@dataclass(frozen=True)
class CellSignals:
    """A cell on one side.

    Attributes:
      cell: "data set x model".
      programs: "train" and "eval".
      recompiles: programs compiled after warm-up in some fifty steps; None if not told.
      recompiled: which.
      transfers: implicit ones in the same steps, by direction as in "host-to-device".
      sources: files of the side that were imported, with the hash of each.
      packages: installed distributions with their versions.
      error: why there are no signals.
      absent: the side has no such data set or model.
      refused: what is wrong with the question itself, in the side's words.
      unserved: why the model does not serve the data set, in its words.
    """

    cell: str
    programs: Mapping[str, ProgramSignals]
    recompiles: int | None = None
    recompiled: str = ""
    transfers: Mapping[str, int] | None = None
    sources: Mapping[str, str] | None = None
    packages: Mapping[str, str] | None = None
    device_kind: str = ""
    error: str = ""
    absent: bool = False
    refused: str = ""
    unserved: str = ""


def cell_signals(answer: Mapping[str, Any]) -> CellSignals:
    """What one line of the probe's says."""
    cell = f"{answer['cell']['dataset']} x {answer['cell']['model']}"
    if "error" in answer:
        return CellSignals(
            cell, {}, error=answer["error"], absent=answer.get("absent", False),
            refused=answer.get("refused", ""), unserved=answer.get("unserved", ""),
        )  # fmt: skip
    return CellSignals(
        cell=cell,
        programs={name: program_signals(told) for name, told in answer["programs"].items()},
        recompiles=answer["recompiles"],
        recompiled=answer["recompiled"] or "",
        transfers=answer["transfers"],
        sources=answer["sources"],
        packages=answer["packages"],
        device_kind=answer["device_kind"],
    )


def program_signals(told: Mapping[str, Any]) -> ProgramSignals:
    text, lowered = told["optimized"], told["lowered"]
    numbers: dict[str, float] = {
        **{COSTS[name]: value for name, value in told["cost"].items()},
        **{SIZES[name]: value for name, value in told["memory"].items()},
        "donated": donated(text),
        "outside": sum(1 for _ in ways_outside(text)),
    }
    return ProgramSignals(program_hash(text, lowered), numbers, operations(text))


def program_hash(optimized: str, lowered: str) -> str:
    """As the column `hlo_hash`: equal for equal programs."""
    text = canonical(optimized)
    if LEFT_OUT in text:
        text += canonical_lowered(lowered)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def operations(optimized: str) -> dict[str, int]:
    """How often each kind of operation on each dtype occurs.

    >>> operations("  %a.1 = f32[4,2]{1,0} dot(%x, %y), lhs_contracting_dims={1}")
    {'dot f32': 1}
    """
    found: Counter[str] = Counter()
    for line in optimized.splitlines():
        match = OPERATION.match(line)
        if match and match["kind"] != "parameter":
            dtype = match["shape"].lstrip("(").partition("[")[0].rstrip(")")
            found[f"{match['kind']} {dtype}".strip()] += 1
    return dict(found)


def donated(optimized: str) -> int:
    """How many buffers come back in the place of arguments."""
    heading = optimized.partition("\n")[0]
    return len(ALIAS.findall(heading))
