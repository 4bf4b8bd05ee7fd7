"""Wanted changes: written once, valid for exactly their values."""

from __future__ import annotations

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
    assert acknowledged.write(path, [FLOPS, NOTE], reason="a wider layer") == 1
    assert acknowledged.write(path, [FLOPS], reason="again") == 0
    (known,) = acknowledged.read(path)
    assert known.reason == "a wider layer"


def test_it_holds_for_the_values_that_it_names(tmp_path: Path):
    path = tmp_path / acknowledged.NAME
    acknowledged.write(path, [FLOPS], reason="a wider layer")
    known = acknowledged.read(path)
    assert acknowledged.reason_for(FLOPS, known) == "a wider layer"
    for other in ({"head": "201"}, {"base": "99"}, {"program": "eval"}, {"cell": "x"}):
        assert acknowledged.reason_for(replace(FLOPS, **other), known) == ""


def test_no_file_acknowledges_nothing(tmp_path: Path):
    assert acknowledged.read(tmp_path / acknowledged.NAME) == []


@pytest.mark.parametrize("text", ["{", "3", "[3]", '[{"cell": "x"}]', '[{"cell": 1}]'])
def test_a_file_of_something_else_is_a_usage_error(tmp_path: Path, text: str):
    path = tmp_path / acknowledged.NAME
    path.write_text(text)
    with pytest.raises(UsageError, match="expected a JSON array") as caught:
        acknowledged.read(path)
    assert "\n" not in str(caught.value)
