"""What Tier 0 leaves open is timed, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gate_pairs import outcome
from gate_rounds import Gate, gate_by_hand

from harness.gate.acknowledged import Acknowledgement
from harness.gate.verdict import Verdict


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return gate_by_hand(monkeypatch)


def test_a_cell_that_cannot_have_slowed_is_not_timed(gate: Gate):
    report = gate(lambda number: 0.1, told=outcome(head_hash="a"))
    assert report.verdict is Verdict.PASS and report.pairs == ()


def test_without_a_clock_nothing_is_timed(gate: Gate):
    assert gate(lambda number: 0.1, deterministic=True).pairs == ()
    report = gate(lambda number: 0.0, told=outcome(flops=2e6))
    assert report.verdict is Verdict.CHANGED and report.pairs == ()


def test_a_wanted_change_is_timed_and_may_be_slower(gate: Gate):
    told = outcome(flops=2e6)
    wanted = [
        Acknowledgement(f.cell, f.program, f.signal, f.base, f.head, "a wider layer")
        for f in told.findings
    ]
    report = gate(lambda number: 0.3, told=told, wanted=wanted)
    assert report.verdict is Verdict.PASS and len(report.pairs) == 10
    assert report.cells[0].reason.endswith("; wanted: a wider layer")


def test_a_slowdown_that_somebody_wants_passes_with_exactly_this_code(
    gate: Gate,
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


def test_a_gate_that_saw_no_file_of_the_repository_compared_nothing(
    gate: Gate,
):
    told = outcome(head_hash="a")
    sides = {name: replace(getattr(told, name), sources={}) for name in ("base", "head")}
    report = gate(told=replace(told, **sides))
    assert report.verdict is Verdict.INVALID
    assert report.cells[0].reason.startswith("no file of this repository was imported")
