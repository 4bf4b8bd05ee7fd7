"""From pairs and findings to a word: slow, changed, unclear and broken are told apart."""

from __future__ import annotations

from typing import Any

import pytest
from gate_pairs import outcome, rounds_of

from harness.gate import verdict
from harness.gate.acknowledged import Allowance
from harness.gate.compare import Finding
from harness.gate.deterministic import CellOutcome
from harness.gate.signals import CellSignals
from harness.gate.verdict import Verdict


def judged(pairs: Any, *, told: CellOutcome | None = None) -> verdict.CellVerdict:
    (cell,) = verdict.with_clock(
        [told or outcome()],
        pairs,
        profile="default",
        seed=0,
        wanted={},
    )
    return cell


def test_codes_are_those_of_the_command():
    assert {v.name: v.value for v in Verdict} == {
        "PASS": 0, "SLOWER": 10, "CHANGED": 11, "INCONCLUSIVE": 12, "INVALID": 20,
    }  # fmt: skip


def test_ten_per_cent_fail_with_what_changed_and_times_of_a_step():
    cell = judged(rounds_of(0.1))
    assert cell.verdict is Verdict.SLOWER
    assert cell.reason.startswith("slower by +") and "train program changed" in cell.reason
    assert cell.base_ms == pytest.approx(5.0) and cell.head_ms == pytest.approx(5.5, rel=0.01)
    assert cell.estimate is not None and cell.estimate.low < 1.1 < cell.estimate.high


def test_a_slowdown_without_anything_that_could_be_why_is_no_failure():
    cell = judged(rounds_of(0.1), told=outcome(head_hash="a"))
    assert cell.verdict is Verdict.INCONCLUSIVE and "nothing changed" in cell.reason


def test_nothing_slower_passes_and_noise_is_inconclusive_with_what_would_show():
    assert judged(rounds_of(0.0)).verdict is Verdict.PASS
    cell = judged(rounds_of(0.02, noise=0.15, count=24))
    assert cell.verdict is Verdict.INCONCLUSIVE and "or more shows" in cell.reason


def test_a_faster_head_passes():
    assert judged(rounds_of(-0.05)).verdict is Verdict.PASS


def test_a_changed_program_fails_without_a_clock_unless_somebody_wants_it():
    told = outcome(flops=2e6)
    failed = verdict.without_clock(told, {})
    assert failed.verdict is Verdict.CHANGED and "train: FLOPs of a step" in failed.reason
    wanted = {f.words: "a wider layer" for f in told.findings if f.level == "fail"}
    accepted = verdict.without_clock(told, wanted)
    assert accepted.verdict is Verdict.PASS and "a wider layer" in accepted.reason


@pytest.mark.parametrize(
    ("grown", "found", "ends"),
    [
        (1.1, Verdict.PASS, "wanted: a wider layer"),
        (1.02, Verdict.SLOWER, "the work that is wanted (a wider layer) grew by 2.0% only"),
    ],
)
def test_a_cell_may_be_slower_by_as_much_as_its_wanted_work_grew(
    grown: float, found: Verdict, ends: str
):
    (cell,) = verdict.with_clock(
        [outcome()], rounds_of(0.1), profile="default", seed=0,
        wanted={"digits x mlp": Allowance(grown, "a wider layer")},
    )  # fmt: skip
    assert cell.verdict is found
    assert "slower by +" in cell.reason and cell.reason.endswith(ends)


def test_few_pairs_have_no_interval():
    cell = judged(rounds_of(0.0, count=3))
    assert cell.verdict is Verdict.INCONCLUSIVE
    assert "too few pairs for an interval" in cell.reason and "inf" not in cell.reason


def test_equal_programs_pass_without_a_clock():
    cell = verdict.without_clock(outcome(head_hash="a"), {})
    assert cell.verdict is Verdict.PASS and cell.reason.startswith("same programs")


def test_a_base_that_does_not_compile_measures_nothing():
    side = CellSignals("digits x mlp", {}, error="boom")
    words = Finding("digits x mlp", "", "base", "boom", "", "note", "the base cannot")
    told = CellOutcome(side, side, [words], False, "", broken="boom")
    assert verdict.without_clock(told, {}).verdict is Verdict.INVALID


def test_a_model_that_the_base_does_not_have_passes():
    side = CellSignals("digits x mlp", {}, error="UnknownName: no model", absent=True)
    told = CellOutcome(side, outcome().head, [], True, "")
    cell = verdict.without_clock(told, {})
    assert cell.verdict is Verdict.PASS and cell.reason == "new: nothing to compare with"


def test_the_gravest_cell_decides():
    ok, changed = (
        verdict.without_clock(outcome(), {}),
        verdict.without_clock(outcome(flops=2e6), {}),
    )
    slow = judged(rounds_of(0.1))
    assert verdict.overall([ok]) is Verdict.PASS
    assert verdict.overall([ok, slow]) is Verdict.SLOWER
    assert verdict.overall([slow, changed, ok]) is Verdict.CHANGED
    assert verdict.overall([]) is Verdict.PASS
