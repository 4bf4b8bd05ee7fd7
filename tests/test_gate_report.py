"""What holds for some cells of a report, and for the report."""

from __future__ import annotations

from gate_pairs import outcome

from harness.gate import verdict
from harness.gate.report import Report, everywhere
from harness.gate.verdict import Verdict


def test_a_verdict_for_some_cells_leaves_the_others_theirs():
    cells = [
        verdict.without_clock(outcome(head_hash="a", cell=name), {}) for name in ("one", "two")
    ]
    before = Report(Verdict.PASS, cells, "a", "b")
    told = everywhere(before, Verdict.INVALID, "a worker died", ["two"])
    assert (told.verdict, told.reason) == (Verdict.INVALID, "a worker died")
    assert [cell.verdict for cell in told.cells] == [Verdict.PASS, Verdict.INVALID]
    assert told.cells[1].reason == "a worker died" and told.cells[0] == before.cells[0]
