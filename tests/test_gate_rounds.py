"""Rounds of pairs: when they end, and with what."""

from __future__ import annotations

import itertools
from statistics import NormalDist

import pytest
from gate_rounds import Gate, Times, gate_by_hand, replace_known

from harness.gate import controls, rounds, statistics
from harness.gate.verdict import Verdict
from harness.gate.workers import Broken


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return gate_by_hand(monkeypatch)


def test_a_slower_head_fails_at_the_first_look(gate: Gate):
    report = gate(lambda number: 0.1)
    assert report.verdict is Verdict.SLOWER and len(report.pairs) == 10
    assert "its train program changed" in report.cells[0].reason


def test_an_equal_head_passes_at_the_first_look_and_progress_is_told(
    gate: Gate,
):
    notes: list[str] = []
    report = gate(notes=notes)
    assert report.verdict is Verdict.PASS and len(report.pairs) == len(report.controls) == 10
    assert notes[0].startswith("pair 1 of at most 24; next look in ")
    assert notes[-1].startswith("pair 10 of at most 24; next look in ")


def test_what_stays_unclear_goes_on_to_the_last_look(gate: Gate):
    noise = NormalDist(0.03, 0.1)  # every quantile of it comes once in 24 pairs
    report = gate(lambda number: noise.inv_cdf((7 * number % 24 + 0.5) / 24))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert len(report.pairs) == statistics.LOOKS[-1].pairs
    assert "or more shows" in report.cells[0].reason


def test_rounds_that_are_all_disturbed_end_early_and_say_what_disturbed_them(
    gate: Gate,
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
def test_controls_that_fail_make_it_invalid(gate: Gate, times: Times, why: str):
    report = gate(times)
    assert report.verdict is Verdict.INVALID and why in report.reason
    assert [cell.verdict for cell in report.cells] == [Verdict.INVALID]
    assert why in report.cells[0].reason
    assert report.cells[0].estimate is not None  # shown, not believed


def test_a_known_slowdown_that_shows_late_is_waited_for(gate: Gate):
    times = Times(lambda number: 0.0)
    known = [0.1] * 9 + [-0.05] + [0.1] * 20  # one in ten is against it
    report = gate(replace_known(times, known))
    assert report.verdict is Verdict.PASS and len(report.pairs) == statistics.LOOKS[1].pairs


def test_without_the_known_slowdown_a_spent_budget_is_inconclusive(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
):
    clock = itertools.count()
    monkeypatch.setattr(rounds.time, "monotonic", lambda: float(next(clock)))
    report = gate(Times(lambda number: 0.0, known=0.0), budget_s=100.0)
    assert report.verdict is Verdict.INCONCLUSIVE and 0 < len(report.pairs) < 24
    assert report.cells[0].reason.startswith("not even a known slowdown of 10 % shows in ")
    assert report.cells[0].estimate is not None


def test_a_worker_that_breaks_makes_it_invalid_and_keeps_what_was_measured(
    gate: Gate,
):
    def dies(number: int) -> float:
        if number == 4:
            raise Broken("the head's worker died (exit 9)")
        return 0.0

    report = gate(dies)
    assert report.verdict is Verdict.INVALID and "died (exit 9)" in report.reason
    assert len(report.pairs) == 3


def test_a_budget_that_is_spent_ends_it(gate: Gate):
    report = gate(budget_s=-1.0)
    assert report.verdict is Verdict.INCONCLUSIVE and "budget" in report.reason
