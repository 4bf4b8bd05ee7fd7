"""A report as text, markdown and files."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from gate_pairs import controls_of, outcome, rounds_of

from harness.errors import UsageError
from harness.gate import export, render, verdict
from harness.gate.perform import Report
from harness.gate.verdict import Verdict


def report(change: float = 0.1, *, reason: str = "") -> Report:
    pairs = rounds_of(change)
    cells = verdict.with_clock(
        [outcome()], pairs, profile="default", seed=0, steps={"digits x mlp": 2}, wanted={}
    )
    found = Verdict.INVALID if reason else verdict.overall(cells)
    return Report(found, cells, "main (1234567890)", "working tree", reason, 90.0, pairs=pairs,
                  controls=controls_of(), place={"cpu_model": "EPYC"})  # fmt: skip


def test_the_verdict_stands_first_and_the_reason_in_words():
    text = render.to_text(report(), "text")
    assert text.startswith("FAIL: slower\n")
    assert "digits x mlp: slower by +" in text and "train program changed" in text
    assert "base main (1234567890), head working tree; 10 pairs" in text and "EPYC" in text
    assert "1.5 min" in text


def test_markdown_has_a_heading_and_a_table():
    text = render.to_text(report(0.0), "markdown")
    assert text.startswith("### Step-time gate: PASS")
    assert "| digits x mlp |" in text and "|:" in text


def test_columns_that_say_nothing_are_left_out():
    cells = [verdict.without_clock(outcome(head_hash="a"), {})]
    text = render.to_text(Report(Verdict.PASS, cells, "a", "b"), "text")
    assert "base ms" not in text and "no timing" in text and "equal" in text


def test_json_has_a_schema_and_everything_that_the_table_says():
    told = json.loads(json.dumps(export.to_json(report())))
    assert (told["schema"], told["verdict"], told["exit_code"]) == (1, "slower", 10)
    (cell,) = told["cells"]
    assert cell["estimate"]["low"] < 1.1 < cell["estimate"]["high"]
    assert cell["signals"]["head"]["train"]["hlo_hash"] == "b"


@pytest.mark.parametrize(
    ("told", "kind"), [(report(), "failure"), (report(reason="died"), "error")]
)
def test_junit_tells_slow_from_broken(tmp_path: Path, told: Report, kind: str):
    path = tmp_path / "gate.xml"
    export.write(told, path)
    suite = ElementTree.parse(path).getroot()
    assert suite.tag == "testsuite" and suite.findall(f"./testcase/{kind}")


def test_every_block_is_in_the_parquet_file(tmp_path: Path):
    import pandas as pd

    path = tmp_path / "blocks.parquet"
    export.write(report(), path)
    frame = pd.read_parquet(path)
    # ten rounds of one cell and two controls, five quadruples each
    assert len(frame) == 10 * 3 * 5 * 4
    assert set(frame["kind"]) == {"cell", "control"} and (frame["seconds"].to_numpy() > 0).all()


def test_another_format_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match=r"\*\.json, \*\.xml"):
        export.write(report(), tmp_path / "gate.txt")
