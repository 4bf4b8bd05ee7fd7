"""Regressions of the programs, one kind at a time, in every built-in model at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.gate_sides import INDENT, KINDS, STEP, Kind, environment, make_repository

SMALL = ("--deterministic", "--batch-size", "32", "--limit", "512")
GRADIENT = (
    "    loss, rest, grads = _gradient(split, state, mesh.split(batch), accumulate, mesh)\n"
)


def in_the_step(words: str, after: str) -> Kind:
    return Kind(words, ("changed",), file="harness/program.py", before=GRADIENT,
                after=GRADIENT + after)  # fmt: skip


def around_the_step(words: str, after: str) -> Kind:
    return Kind(words, ("changed",), before=STEP, after=f"{STEP}{INDENT}{after}\n")


# the signal that is to move, by name; a placebo has none
SIGNALS: dict[str, tuple[str, Kind]] = {
    "comment": ("", KINDS["comment"]),
    "text": ("", KINDS["text"]),
    "flops": ("flops", in_the_step(
        "a matrix product more",
        "    wide = loss * jnp.arange(65536.0).reshape(256, 256)  # [256, 256]\n"
        "    loss = loss + 1e-30 * (wide @ wide).mean()\n",
    )),
    "memory": ("temp_bytes", in_the_step(
        "sixteen megabytes are sorted",
        "    many = loss * jnp.arange(4.0 * 2**20)  # [4 * 2 ** 20]\n"
        "    loss = loss + 1e-30 * jnp.sort(many)[0]\n",
    )),
    "float64": ("f64", in_the_step(
        "the loss goes through float64",
        "    with jax.enable_x64(True):\n"
        "        loss = jnp.sqrt(loss.astype(jnp.float64) ** 2).astype(jnp.float32)\n",
    )),
    "callback": ("outside", in_the_step(
        "a callback into Python", "    jax.debug.callback(lambda value: None, loss)\n"
    )),
    "donation": ("donated", KINDS["donation"]),
    "recompile": ("recompiles", around_the_step(
        "a new program every step", "jax.jit(lambda value: value + 1)(losses)"
    )),
    "transfer": ("host-to-device", around_the_step(
        "an implicit transfer every step", "jnp.sin(np.float32(block.steps))"
    )),
}  # fmt: skip


def run_programs(name: str, folder: Path) -> dict[str, Any]:
    """One gate without a clock over all built-in models, and in which of them it was found."""
    signal, kind = SIGNALS[name]
    report = folder / "gate.json"
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "harness", "gate", "--base", "HEAD", *SMALL, "-o", str(report),
         "--store", f"sqlite:///{folder}/rows.db"],
        cwd=make_repository(folder / "harness", kind), capture_output=True, text=True,
        env=environment(),
    )  # fmt: skip
    assert report.exists(), done.stderr
    seconds = time.monotonic() - start
    cells = json.loads(report.read_text())["cells"]
    return {
        "program": name,
        "cells": len(cells),
        "found": sum(told(cell, signal) for cell in cells),
        "failed": sum(cell["verdict"] == "changed" for cell in cells),
        "cell_s": seconds / len(cells),
        "missed": [cell["cell"] for cell in cells if not told(cell, signal)],
    }


def told(cell: dict[str, Any], signal: str) -> bool:
    """Whether a finding that fails or warns has this signal; of a placebo, whether any has."""
    levels = [f for f in cell["findings"] if f["level"] in ("fail", "warn")]
    return any(f["signal"] == signal or not signal for f in levels)


def table(records: list[dict[str, Any]]) -> str:
    lines = ["| change of the program | signal | cells | found in | failed | seconds a cell |\n"
             "|---|---|---:|---:|---:|---:|"]  # fmt: skip
    for record in records:
        signal, kind = SIGNALS[record["program"]]
        lines.append(
            f"| {kind.words} | {signal or 'none'} | {record['cells']} | {record['found']} "
            f"| {record['failed']} | {record['cell_s']:.1f} |"
        )
    return "\n".join(lines) + "\n"
