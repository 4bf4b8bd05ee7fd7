"""A report as a table to read."""

from __future__ import annotations

from gate_pairs import outcome, report_of, rounds_of

from harness.gate import render, verdict
from harness.gate.report import Report
from harness.gate.verdict import Verdict


def test_the_verdict_stands_first_and_the_reason_in_words():
    text = render.to_text(report_of(), "text")
    assert text.startswith("FAIL: slower\n")
    assert "digits x mlp: slower by +" in text and "train program changed" in text
    assert "base main (1234567890), head working tree; 10 pairs" in text and "EPYC" in text
    assert "1.5 min" in text


def test_markdown_has_a_heading_and_a_table():
    text = render.to_text(report_of(0.0), "markdown")
    assert text.startswith("### Step-time gate: PASS")
    assert "| digits x mlp |" in text and "|:" in text


def test_columns_that_say_nothing_are_left_out():
    cells = [verdict.without_clock(outcome(head_hash="a"), {})]
    text = render.to_text(Report(Verdict.PASS, cells, "a", "b"), "text")
    assert "base ms" not in text and "no timing" in text and "equal" in text


def test_few_pairs_have_no_interval_in_the_table():
    pairs = rounds_of(0.0, count=3)
    cells = verdict.with_clock([outcome()], pairs, profile="default", seed=0, wanted={})
    told = Report(Verdict.INCONCLUSIVE, cells, "a", "b", pairs=pairs)
    assert "inf" not in render.to_text(told, "text")
