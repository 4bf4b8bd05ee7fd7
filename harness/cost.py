"""What a compiled program costs, read from the program itself.

Nothing here is timed. The hash is of the optimized program with everything taken out
that does not change what is computed: names, source locations and the module's name.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import jax.stages

METADATA = re.compile(r",? metadata=\{[^{}]*\}")
NAME = re.compile(r"%[\w.\-]+")
PARAMETER = re.compile(r"([(,] ?)[\w.\-]+: ")
TABLES = ("FileNames", "FunctionNames", "FileLocations", "StackFrames")


def program_cost(compiled: jax.stages.Compiled) -> dict[str, Any]:
    """flops_per_step, bytes_per_step, temp_bytes and hlo_hash of a chunk's program.

    XLA counts the body of a loop once, so a chunk's cost is one step's. What the platform
    does not tell is None.
    """
    analysis = compiled.cost_analysis() or {}
    memory = compiled.memory_analysis()
    return {
        "flops_per_step": analysis.get("flops"),
        "bytes_per_step": analysis.get("bytes accessed"),
        "temp_bytes": memory.temp_size_in_bytes if memory else None,
        "hlo_hash": hashlib.sha256(canonical(compiled.as_text() or "").encode()).hexdigest()[
            :16
        ],
    }


def canonical(hlo: str) -> str:
    """An HLO module's text without what names and places leave in it.

    >>> canonical('ENTRY %main.2 (x.1: f32[4]) -> f32[] {')
    'ENTRY %0 (f32[4]) -> f32[] {'
    """
    names: dict[str, str] = {}
    lines: list[str] = []
    in_table = False
    for line in hlo.splitlines():
        if line.startswith("HloModule") or line in TABLES:
            in_table = line in TABLES
            continue
        in_table = in_table and bool(line.strip())
        if in_table or not line.strip():
            continue
        line = METADATA.sub("", line)
        if line.endswith("{"):  # the heading of a computation names its parameters
            line = PARAMETER.sub(r"\1", line)
        lines.append(NAME.sub(lambda m: names.setdefault(m[0], f"%{len(names)}"), line))
    return "\n".join(lines)
