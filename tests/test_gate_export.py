"""A report as files for programs."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from gate_pairs import outcome, report_of, rounds_of

from harness.errors import UsageError
from harness.gate import export, verdict
from harness.gate.report import Report
from harness.gate.verdict import Verdict


def test_json_has_a_schema_and_everything_that_the_table_says():
    told = json.loads(json.dumps(export.to_json(report_of())))
    assert (told["schema"], told["verdict"], told["exit_code"]) == (1, "slower", 10)
    (cell,) = told["cells"]
    assert cell["estimate"]["low"] < 1.1 < cell["estimate"]["high"]
    assert cell["signals"]["head"]["train"]["hlo_hash"] == "b"


@pytest.mark.parametrize(
    ("told", "kind"), [(report_of(), "failure"), (report_of(reason="died"), "error")]
)
def test_junit_tells_slow_from_broken(tmp_path: Path, told: Report, kind: str):
    path = tmp_path / "gate.xml"
    export.write(told, path)
    suite = ElementTree.parse(path).getroot()
    assert suite.tag == "testsuite" and len(suite.findall(f"./testcase/{kind}")) == 1
    assert suite.get("tests") == "1" and suite.get(f"{kind}s") == "1"


def test_junit_can_be_parsed_whatever_a_compiler_said(tmp_path: Path):
    path = tmp_path / "gate.xml"
    export.write(report_of(reason="died: \x1b[31m\x00 & <nothing>"), path)
    (error,) = ElementTree.parse(path).getroot().findall("./testcase/error")
    assert error.get("message") == "died: ?[31m? & <nothing>"


def test_every_block_is_in_the_parquet_file(tmp_path: Path):
    import pandas as pd

    path = tmp_path / "blocks.parquet"
    export.write(report_of(), path)
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


def test_few_pairs_have_no_interval_in_json():
    pairs = rounds_of(0.0, count=3)
    cells = verdict.with_clock([outcome()], pairs, profile="default", seed=0, wanted={})
    told = Report(Verdict.INCONCLUSIVE, cells, "a", "b", pairs=pairs)
    text = json.dumps(export.to_json(told), allow_nan=False)
    assert json.loads(text)["cells"][0]["estimate"]["high"] is None
