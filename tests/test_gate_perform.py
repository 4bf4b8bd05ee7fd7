"""A whole gate, with pairs made by hand in place of processes that are timed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from gate_pairs import make_pair, outcome

from harness.gate import controls, deterministic, perform, statistics
from harness.gate.acknowledged import Acknowledgement
from harness.gate.blocks import Pair
from harness.gate.deterministic import CellOutcome, Question
from harness.gate.perform import Report, Settings
from harness.gate.side import Side
from harness.gate.verdict import Verdict
from harness.gate.workers import Broken

BASE, HEAD = (Side(name, name, "python", ()) for name in ("base", "head"))
QUESTION = Question([("digits", "mlp")], lambda side: [], {})
MLP = "digits x mlp"
Change = Callable[[int], float]


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
        if cells[0] != perform.ITSELF:
            self.rounds += 1
        changes = {perform.ITSELF: self.itself, perform.KNOWN: self.known}
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
        if cells[0] == perform.ITSELF:
            found[1] = make_pair(known[times.rounds - 1], cell=perform.KNOWN)
        return found

    times.pair = pair  # type: ignore[method-assign]
    return times


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
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
        monkeypatch.setattr(perform, "Pairing", times.pairing)
        monkeypatch.setattr(perform, "scout", lambda side, question: [4])
        return perform.gate(
            BASE, HEAD, QUESTION, settings=Settings(**settings), wanted=wanted,
            note=(notes if notes is not None else []).append,
        )  # fmt: skip

    return run


def test_a_slower_head_fails_at_the_first_look(gate: Callable[..., Report]):
    report = gate(lambda number: 0.1)
    assert report.verdict is Verdict.SLOWER and len(report.pairs) == 10
    assert "its train program changed" in report.cells[0].reason


def test_an_equal_head_passes_at_the_first_look_and_progress_is_told(
    gate: Callable[..., Report],
):
    notes: list[str] = []
    report = gate(notes=notes)
    assert report.verdict is Verdict.PASS and len(report.pairs) == len(report.controls) == 10
    assert notes[0].startswith("pair 1 of at most 24; next look in ")
    assert notes[-1].startswith("pair 10 of at most 24; next look in ")


def test_what_stays_unclear_goes_on_to_the_last_look(gate: Callable[..., Report]):
    noise = NormalDist(0.03, 0.1)  # every quantile of it comes once in 24 pairs
    report = gate(lambda number: noise.inv_cdf((7 * number % 24 + 0.5) / 24))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert len(report.pairs) == statistics.LOOKS[-1].pairs
    assert "or more shows" in report.cells[0].reason


def test_a_cell_that_cannot_have_slowed_is_not_timed(gate: Callable[..., Report]):
    report = gate(lambda number: 0.1, told=outcome(head_hash="a"))
    assert report.verdict is Verdict.PASS and report.pairs == ()


def test_without_a_clock_nothing_is_timed(gate: Callable[..., Report]):
    assert gate(lambda number: 0.1, deterministic=True).pairs == ()
    report = gate(lambda number: 0.0, told=outcome(flops=2e6))
    assert report.verdict is Verdict.CHANGED and report.pairs == ()


def test_a_wanted_change_is_timed_and_may_be_slower(gate: Callable[..., Report]):
    told = outcome(flops=2e6)
    wanted = [
        Acknowledgement(f.cell, f.program, f.signal, f.base, f.head, "a wider layer")
        for f in told.findings
    ]
    report = gate(lambda number: 0.3, told=told, wanted=wanted)
    assert report.verdict is Verdict.PASS and len(report.pairs) == 10
    assert report.cells[0].reason.endswith("; wanted: a wider layer")


def test_a_slowdown_that_somebody_wants_passes_with_exactly_this_code(
    gate: Callable[..., Report],
):
    (cell,) = gate(lambda number: 0.1).cells
    (slow,) = [f for f in cell.outcome.findings if f.signal == "step_time"]
    assert slow.words == cell.reason
    wanted = Acknowledgement(
        slow.cell, slow.program, slow.signal, slow.base, slow.head, "checks its input"
    )
    report = gate(lambda number: 0.1, wanted=[wanted])
    assert report.verdict is Verdict.PASS
    assert report.cells[0].reason.endswith("wanted: checks its input")
    other = gate(lambda number: 0.1, wanted=[replace(wanted, head="another")])
    assert other.verdict is Verdict.SLOWER


def test_rounds_that_are_all_disturbed_end_early_and_say_what_disturbed_them(
    gate: Callable[..., Report],
):
    notes: list[str] = []
    report = gate(Times(lambda number: 0.0, others=0.5), notes=notes)
    assert notes[0].startswith("a pair does not count: other processes computed (50%")
    assert report.verdict is Verdict.INVALID and len(report.pairs) == controls.ROUNDS
    assert "other processes computed (50% of the time); run it where" in report.reason


@pytest.mark.parametrize(
    ("times", "why"),
    [
        (Times(lambda n: 0.0, itself=0.1), "beside itself was found to be slower"),
        (Times(lambda n: 0.0, itself=-0.1), "beside itself was found to be faster"),
        (Times(lambda n: 0.0, known=0.0), "known slowdown of 10 % was not found"),
    ],
    ids=["itself", "faster", "known"],
)
def test_controls_that_fail_make_it_invalid(
    gate: Callable[..., Report], times: Times, why: str
):
    report = gate(times)
    assert report.verdict is Verdict.INVALID and why in report.reason
    assert [cell.verdict for cell in report.cells] == [Verdict.INVALID]
    assert why in report.cells[0].reason
    assert report.cells[0].estimate is not None  # shown, not believed


def test_a_known_slowdown_that_shows_late_is_waited_for(gate: Callable[..., Report]):
    times = Times(lambda number: 0.0)
    known = [0.1] * 9 + [-0.05] + [0.1] * 20  # one in ten is against it
    report = gate(replace_known(times, known))
    assert report.verdict is Verdict.PASS and len(report.pairs) == statistics.LOOKS[1].pairs


def test_without_the_known_slowdown_a_spent_budget_is_inconclusive(
    gate: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
):
    clock = itertools.count()
    monkeypatch.setattr(perform.time, "monotonic", lambda: float(next(clock)))
    report = gate(Times(lambda number: 0.0, known=0.0), budget_s=100.0)
    assert report.verdict is Verdict.INCONCLUSIVE and 0 < len(report.pairs) < 24
    assert report.cells[0].reason.startswith("not even a known slowdown of 10 % shows in ")
    assert report.cells[0].estimate is not None


def test_a_gate_that_saw_no_file_of_the_repository_compared_nothing(
    gate: Callable[..., Report],
):
    told = outcome(head_hash="a")
    sides = {name: replace(getattr(told, name), sources={}) for name in ("base", "head")}
    report = gate(told=replace(told, **sides))
    assert report.verdict is Verdict.INVALID
    assert report.cells[0].reason.startswith("no file of this repository was imported")


def test_a_worker_that_breaks_makes_it_invalid_and_keeps_what_was_measured(
    gate: Callable[..., Report],
):
    def dies(number: int) -> float:
        if number == 4:
            raise Broken("the head's worker died (exit 9)")
        return 0.0

    report = gate(dies)
    assert report.verdict is Verdict.INVALID and "died (exit 9)" in report.reason
    assert len(report.pairs) == 3


def test_a_budget_that_is_spent_ends_it(gate: Callable[..., Report]):
    report = gate(budget_s=-1.0)
    assert report.verdict is Verdict.INCONCLUSIVE and "budget" in report.reason
