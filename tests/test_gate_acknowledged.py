"""Wanted changes: written once, valid for exactly their values."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.gate import acknowledged
from harness.gate.compare import Finding

FLOPS = Finding("digits x mlp", "train", "flops", "100", "200", "fail", "more work")
NOTE = replace(FLOPS, signal="bytes", level="note")


def test_only_failures_are_written_and_each_once(tmp_path: Path):
    path = tmp_path / acknowledged.NAME
    assert acknowledged.write(path, [FLOPS, NOTE], reason="a wider layer") == [FLOPS]
    assert acknowledged.write(path, [FLOPS], reason="again") == []
    (known,) = acknowledged.read(path)
    assert known.reason == "a wider layer"


def test_it_holds_for_the_values_that_it_names(tmp_path: Path):
    path = tmp_path / acknowledged.NAME
    acknowledged.write(path, [FLOPS], reason="a wider layer")
    known = acknowledged.read(path)
    assert acknowledged.reason_for(FLOPS, known) == "a wider layer"
    for other in ({"head": "201"}, {"base": "99"}, {"program": "eval"}, {"cell": "x"}):
        assert acknowledged.reason_for(replace(FLOPS, **other), known) == ""


def test_a_head_that_does_not_compile_is_nothing_to_want(tmp_path: Path):
    path = tmp_path / acknowledged.NAME
    broken = replace(FLOPS, signal="head", base="compiles", head="ImportError")
    assert acknowledged.write(path, [broken], reason="later") == []
    forged = acknowledged.Acknowledgement(
        broken.cell, broken.program, "head", "compiles", "ImportError", "later"
    )
    assert acknowledged.reason_for(broken, [forged]) == ""


def test_wanted_work_allows_as_much_time_as_it_grew_and_wanted_code_any(tmp_path: Path):
    path = tmp_path / acknowledged.NAME
    slow = replace(FLOPS, program="", signal="step_time", base="ab", head="cd")
    donated = replace(FLOPS, signal="donated", base="4", head="2")
    grown = replace(FLOPS, signal="bytes", base="1,000", head="1,500")
    findings = [FLOPS, donated, grown]
    assert acknowledged.allowance(findings, slow, acknowledged.read(path)) is None
    acknowledged.write(path, [donated], reason="no buffer is left")
    assert acknowledged.allowance(findings, slow, acknowledged.read(path)) is None
    acknowledged.write(path, [grown], reason="a table")
    assert acknowledged.allowance(findings, slow, acknowledged.read(path)) == (1.5, "a table")
    acknowledged.write(path, [FLOPS], reason="a wider layer")
    both = acknowledged.allowance(findings, slow, acknowledged.read(path))
    assert both == (2.0, "a wider layer; a table")
    acknowledged.write(path, [slow], reason="it checks its input")
    told = acknowledged.allowance(findings, slow, acknowledged.read(path))
    assert told == (math.inf, "it checks its input")


def test_a_file_that_cannot_be_written_is_a_usage_error(tmp_path: Path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(UsageError, match="cannot be written"):
        acknowledged.write(tmp_path / "folder" / "x.json", [FLOPS], reason="a wider layer")


def test_no_file_acknowledges_nothing(tmp_path: Path):
    assert acknowledged.read(tmp_path / acknowledged.NAME) == []


@pytest.mark.parametrize("text", ["{", "3", "[3]", '[{"cell": "x"}]', '[{"cell": 1}]'])
def test_a_file_of_something_else_is_a_usage_error(tmp_path: Path, text: str):
    path = tmp_path / acknowledged.NAME
    path.write_text(text)
    with pytest.raises(UsageError, match="expected a JSON array") as caught:
        acknowledged.read(path)
    assert "\n" not in str(caught.value)
