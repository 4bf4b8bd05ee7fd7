"""`harness check` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from faulty_plugins import DATASETS

from harness.cli import main

# the child that checks is what this is about, and not the one that describes
pytestmark = pytest.mark.usefixtures("described_here")
BY_NAME = {faulty.name: faulty for faulty in DATASETS}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("good_data", "absent_class"):
        BY_NAME[name].write(tmp_path)
    (tmp_path / "broken.py").write_text("raise OSError('no luck')")
    return tmp_path


def check(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["check", *words])
    return int(left.value.code or 0)


def test_each_check_is_a_line_with_its_time(folder: Path, capfd: pytest.CaptureFixture[str]):
    assert check("good_data.py", "absent_class.py", "broken.py", "-v") == 3
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("broken (file ")
    assert lines[1].split(maxsplit=2) == ["fail", "imports", "OSError: no luck"]
    assert "Traceback" in lines[2]
    heading = [line for line in lines if line.startswith("dataset ")]
    assert heading[0].startswith("dataset good_data (good_data==")
    (failed,) = [line for line in lines if line.startswith("  fail        classes")]
    assert " s  the test split has no example of 2; expected all 3 classes; " in failed
    assert lines[-1] == "19 checks: 2 fail, 17 pass"


def test_records_say_the_same_as_lines(folder: Path, capfd: pytest.CaptureFixture[str]):
    words = ("good_data.py", "--only", "classes", "--only", "lengths", "--format", "json")
    assert check(*words) == 0
    records = json.loads(capfd.readouterr().out)
    assert [(r["kind"], r["name"], r["check"], r["status"]) for r in records] == [
        ("dataset", "good_data", "classes", "pass"),
        ("dataset", "good_data", "lengths", "pass"),
    ]
    assert records[1]["words"].startswith("5 tokens in the median")
    assert records[0]["plugin"].startswith("good_data==") and records[0]["traceback"] == ""


def test_a_file_takes_the_lines(folder: Path, capfd: pytest.CaptureFixture[str]):
    assert check("good_data.py", "--only", "loads", "-o", "out.txt") == 0
    assert capfd.readouterr().out == ""
    assert (folder / "out.txt").read_text().endswith("1 check: 1 pass\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "give names or paths of plugin files, or --all"),
        (("digits", "--all"), "give names or paths of plugin files, or --all"),
        (("digits", "--only", "clases"), "did you mean 'classes'"),
        (
            ("mean_pool", "--only", "loads"),
            "named has this check; those of a model: constructs",
        ),
        (("nothing.py",), "no plugin file 'nothing.py'"),
        (("digts",), "did you mean 'digits'"),
    ],
)
def test_a_wrong_word_is_one_line(
    words: tuple[str, ...], told: str, capfd: pytest.CaptureFixture[str]
):
    assert check(*words) == 2
    said = capfd.readouterr()
    assert told in said.err and said.err.count("\n") == 1 and said.out == ""
