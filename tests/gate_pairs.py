"""Pairs and reports made by hand, for tests of what becomes of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.gate import verdict
from harness.gate.blocks import Block, Pair
from harness.gate.compare import compare, mechanism
from harness.gate.deterministic import CellOutcome
from harness.gate.pairs import QUADRUPLES
from harness.gate.report import Report, everywhere
from harness.gate.signals import CellSignals, ProgramSignals
from harness.gate.verdict import Verdict


def make_pair(
    log_ratio: float = 0.0, *, cell: str = "digits x mlp", steal: float = 0.0,
    idle_cpu: float = 0.0, others: float = 0.0, calibration: float = 0.0,
) -> Pair:  # fmt: skip
    """A pair whose value is `log_ratio`; a base epoch takes 10 ms."""
    blocks = []
    for _ in range(QUADRUPLES):
        for side in ("base", "head", "head", "base"):
            seconds = 0.1 * (math.exp(log_ratio) if side == "head" else 1.0)
            blocks.append(
                Block(
                    side=side,
                    seconds=seconds,
                    epochs=10,
                    done=10,
                    steps=2,
                    steal=steal,
                    idle_cpu=idle_cpu,
                    others=others,
                    switches=0,
                )  # fmt: skip
            )
    kernels = {name: [calibration] * QUADRUPLES for name in ("compute", "memory")}
    return Pair(cell, blocks, kernels)


def rounds_of(
    change: float, *, noise: float = 0.005, count: int = 10, seed: int = 0, **told: float
) -> list[list[Pair]]:
    """Rounds of one cell that is slower by a share, with normal noise."""
    draw = np.random.default_rng(seed)
    return [
        [make_pair(math.log1p(change) + noise * draw.standard_normal(), **told)]  # type: ignore[arg-type]
        for _ in range(count)
    ]


def controls_of(
    count: int = 10, *, itself: float = 0.0, known: float = 0.1
) -> list[list[Pair]]:
    pairs = zip(rounds_of(itself, count=count, seed=1), rounds_of(known, count=count, seed=2),
                strict=True)  # fmt: skip
    return [[*one, *two] for one, two in pairs]


def outcome(
    *, head_hash: str = "b", cell: str = "digits x mlp", **numbers: float
) -> CellOutcome:
    """A cell whose training program changed from hash "a" to another one."""
    known = {"flops": 1e6, "bytes": 1e6, "temp_bytes": 1e6, "donated": 1.0, "outside": 0.0}

    def side(hlo_hash: str, **changes: float) -> CellSignals:
        program = ProgramSignals(hlo_hash, {**known, **changes}, {"dot f32": 1})
        return CellSignals(
            cell,
            {"train": program, "eval": program},
            recompiles=0,
            sources={"zoo.py": "1"},
            packages={},
        )

    base, head = side("a"), side(head_hash, **numbers)
    return CellOutcome(
        base, head, compare(base, base, head), head_hash == "a", mechanism(base, head)
    )


def report_of(change: float = 0.1, *, reason: str = "") -> Report:
    pairs = rounds_of(change)
    cells = verdict.with_clock([outcome()], pairs, profile="default", seed=0, wanted={})
    told = Report(
        verdict.overall(cells), cells, "main (1234567890)", "working tree", "", 90.0,
        pairs=pairs, controls=controls_of(), place={"cpu_model": "EPYC"},
    )  # fmt: skip
    names = [cell.cell for cell in cells]
    return everywhere(told, Verdict.INVALID, reason, names) if reason else told


def names(pairs: Sequence[Sequence[Pair]]) -> list[list[str]]:
    return [[pair.cell for pair in one] for one in pairs]
