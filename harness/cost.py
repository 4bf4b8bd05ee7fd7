"""What a compiled program costs, read from the program itself.

Nothing here is timed. The hash is of the optimized program with everything taken out
that does not change what is computed: names, source locations and the module's name. That
text leaves out the values of long constants; where it does, the program as it was lowered,
which has them whole, is hashed with it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from harness.collectives import step_volume
from harness.program import Compiled

METADATA = re.compile(r",? metadata=\{[^{}]*\}")
NAME = re.compile(r"%[\w.\-]+")
PARAMETER = re.compile(r"([(,] ?)[\w.\-]+: ")
SYMBOL = re.compile(r"@[\w.$\-]+")
RESULT = re.compile(r'jax\.result_info = "[^"]*"')
# `%name = f32[128,32]{1,0} dot(...)`, or a tuple `(f32[], s32[])` in front of the operation
OPERATION = re.compile(
    r"^\s*(?:ROOT )?%[\w.\-]+ = (?P<shape>\(.*?\)|\S+) (?P<kind>[a-z][\w\-]*)\("
)
TARGET = re.compile(r'custom_call_target="([^"]*)"')
# how a program reaches out of the device
OUTSIDE = ("infeed", "outfeed", "send", "recv")
# the memory space of the host, in the layout of an accelerator's program
HOST_MEMORY = "S(5)"
LEFT_OUT = "{...}"  # what XLA prints for the values of a constant of more than ten
TABLES = ("FileNames", "FunctionNames", "FileLocations", "StackFrames")


def program_cost(program: Compiled, *, devices: int = 1) -> dict[str, Any]:
    """The columns of the group "size" that a chunk's program tells.

    XLA counts the body of a loop once, so a chunk's cost is one step's; and the program is
    that of each device, so FLOPs and bytes are taken as often as there are devices. What the
    platform does not tell is None.
    """
    analysis = program.call.cost_analysis() or {}
    memory = program.call.memory_analysis()
    volume = step_volume(program.call.as_text() or "", devices=devices)
    return {
        "flops_per_step": _times(analysis.get("flops"), devices),
        "bytes_per_step": _times(analysis.get("bytes accessed"), devices),
        "temp_bytes": memory.temp_size_in_bytes if memory else None,
        "comm_bytes_per_step": volume.sent if devices > 1 else 0.0,
        "hlo_hash": _hash(program),
    }


def _times(amount: float | None, devices: int) -> float | None:
    return None if amount is None else amount * devices


def in_parts(chunk: dict[str, Any], update: dict[str, Any], *, parts: int) -> dict[str, Any]:
    """The cost of a chunk whose steps take their batch through in parts.

    The parts of a step are a loop within the loop: XLA counts one of them, and the update.

    Args:
      chunk, update: `program_cost` of the chunk and of the update alone.
    """
    whole = dict(chunk)
    for name in ("flops_per_step", "bytes_per_step"):
        once, fixed = chunk[name], update[name]
        if once is not None and fixed is not None:
            whole[name] = (once - fixed) * parts + fixed
    return whole


def _hash(program: Compiled) -> str:
    text = canonical(program.call.as_text() or "")
    if LEFT_OUT in text:
        text += canonical_lowered(program.lowered.as_text())
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
        lines.append(_renumbered(NAME, "%", line, names))
    return "\n".join(lines)


def canonical_lowered(stablehlo: str) -> str:
    """A StableHLO module's text without its functions' and results' names.

    >>> canonical_lowered('func.func public @main(%arg0: tensor<4xf32>)')
    'func.func public @0(%arg0: tensor<4xf32>)'
    """
    return _renumbered(SYMBOL, "@", RESULT.sub("", stablehlo), {})


def _renumbered(name: re.Pattern[str], sign: str, text: str, seen: dict[str, str]) -> str:
    return name.sub(lambda m: seen.setdefault(m[0], f"{sign}{len(seen)}"), text)


def ways_outside(optimized: str) -> Iterator[str]:
    """Callbacks into Python and transfers in the middle of the program, by name."""
    for line in optimized.splitlines():
        match = OPERATION.match(line)
        if match and (match["kind"] in OUTSIDE or HOST_MEMORY in match["shape"]):
            yield match["kind"]
        elif match and match["kind"] == "custom-call":
            target = TARGET.search(line)
            if target and "callback" in target[1]:
                yield target[1]
