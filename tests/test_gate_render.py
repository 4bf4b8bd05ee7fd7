"""A report as text, markdown and files."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from gate_pairs import controls_of, outcome, rounds_of

from harness.errors import UsageError
from harness.gate import export, render, verdict
from harness.gate.report import Report, everywhere
from harness.gate.verdict import Verdict


def report(change: float = 0.1, *, reason: str = "") -> Report:
    pairs = rounds_of(change)
    cells = verdict.with_clock([outcome()], pairs, profile="default", seed=0, wanted={})
    told = Report(
        verdict.overall(cells), cells, "main (1234567890)", "working tree", "", 90.0,
        pairs=pairs, controls=controls_of(), place={"cpu_model": "EPYC"},
    )  # fmt: skip
    names = [cell.cell for cell in cells]
    return everywhere(told, Verdict.INVALID, reason, names) if reason else told


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


def test_few_pairs_have_no_interval_anywhere():
    pairs = rounds_of(0.0, count=3)
    cells = verdict.with_clock([outcome()], pairs, profile="default", seed=0, wanted={})
    told = Report(Verdict.INCONCLUSIVE, cells, "a", "b", pairs=pairs)
    text = json.dumps(export.to_json(told), allow_nan=False)
    assert json.loads(text)["cells"][0]["estimate"]["high"] is None
    assert "inf" not in render.to_text(told, "text")


@pytest.mark.parametrize(
    ("told", "kind"), [(report(), "failure"), (report(reason="died"), "error")]
)
def test_junit_tells_slow_from_broken(tmp_path: Path, told: Report, kind: str):
    path = tmp_path / "gate.xml"
    export.write(told, path)
    suite = ElementTree.parse(path).getroot()
    assert suite.tag == "testsuite" and len(suite.findall(f"./testcase/{kind}")) == 1
    assert suite.get("tests") == "1" and suite.get(f"{kind}s") == "1"


def test_junit_can_be_parsed_whatever_a_compiler_said(tmp_path: Path):
    path = tmp_path / "gate.xml"
    export.write(report(reason="died: \x1b[31m\x00 & <nothing>"), path)
    (error,) = ElementTree.parse(path).getroot().findall("./testcase/error")
    assert error.get("message") == "died: ?[31m? & <nothing>"


def test_every_block_is_in_the_parquet_file(tmp_path: Path):
    import pandas as pd

    path = tmp_path / "blocks.parquet"
    export.write(report(), path)
    frame = pd.read_parquet(path)
    # ten rounds of one cell and two controls, five quadruples each
    assert len(frame) == 10 * 3 * 5 * 4
    assert set(frame["kind"]) == {"cell", "control"} and (frame["seconds"].to_numpy() > 0).all()


def test_a_place_where_no_report_can_be_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(UsageError, match=r"\*\.json, \*\.xml"):
        export.check(tmp_path / "gate.txt")
    (tmp_path / "gate.json").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        export.check(tmp_path / "gate.json")
    export.check(tmp_path / "blocks.parquet")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'model-zoo-harness\[parquet\]'"):
        export.check(tmp_path / "blocks.parquet")
