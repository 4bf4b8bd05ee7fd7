"""A whole gate, with pairs made by hand in place of processes that are timed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from gate_pairs import make_pair, outcome

from harness.gate import deterministic, perform, rounds
from harness.gate.acknowledged import Acknowledgement
from harness.gate.blocks import Pair
from harness.gate.deterministic import CellOutcome, Question
from harness.gate.report import Report, Settings
from harness.gate.side import Side

BASE, HEAD = (Side(name, name, "python", ()) for name in ("base", "head"))
QUESTION = Question([("digits", "mlp")], lambda side: [], {})
MLP = "digits x mlp"
Change = Callable[[int], float]
Gate = Callable[..., Report]


class Times:
    """Stands for the processes: log-ratios as told, a tenth more for the known slowdown."""

    def __init__(
        self, change: Change, *, itself: float = 0.0, known: float = 0.1, others: float = 0.0
    ) -> None:
        self.change, self.itself, self.known, self.others = change, itself, known, others
        self.draw = np.random.default_rng(0)
        self.rounds = 0

    def pairing(self, *args: Any, **kwargs: Any) -> Times:
        return self

    def pair(self, cells: Sequence[str]) -> list[Pair]:
        if cells[0] != rounds.ITSELF:
            self.rounds += 1
        changes = {rounds.ITSELF: self.itself, rounds.KNOWN: self.known}
        return [
            make_pair(
                math.log1p(changes.get(cell, self.change(self.rounds)))
                + 0.005 * self.draw.standard_normal(),
                cell=cell,
                others=self.others,
            )  # fmt: skip
            for cell in cells
        ]


def replace_known(times: Times, known: Sequence[float]) -> Times:
    """The known slowdown comes out as told, round by round."""
    plain = times.pair

    def pair(cells: Sequence[str]) -> list[Pair]:
        found = plain(cells)
        if cells[0] == rounds.ITSELF:
            found[1] = make_pair(known[times.rounds - 1], cell=rounds.KNOWN)
        return found

    times.pair = pair  # type: ignore[method-assign]
    return times


def gate_by_hand(monkeypatch: pytest.MonkeyPatch) -> Gate:
    def run(
        change: Change | Times = lambda number: 0.0,
        *,
        told: CellOutcome | None = None,
        wanted: Sequence[Acknowledgement] = (),
        notes: list[str] | None = None,
        **settings: Any,
    ) -> Report:
        times = change if isinstance(change, Times) else Times(change)
        monkeypatch.setattr(deterministic, "look", lambda *a, **k: [told or outcome()])
        monkeypatch.setattr(rounds, "Pairing", times.pairing)
        monkeypatch.setattr(rounds, "scout", lambda side, question: [4])
        return perform.gate(
            BASE, HEAD, QUESTION, settings=Settings(**settings), wanted=wanted,
            note=(notes if notes is not None else []).append,
        )  # fmt: skip

    return run
