"""The command `harness gate`, on real programs and without a clock."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from gate_answers import Answers
from gate_repository import edit, git, make_repository

from harness.cli import cli, gate
from harness.errors import HarnessError, UsageError
from harness.gate import export, perform
from harness.gate.report import Report
from harness.gate.verdict import Verdict
from harness.store import open_store

Call = Callable[..., Result]
SMALL = ("--deterministic", "--limit", "200", "--batch-size", "32")


@pytest.fixture(scope="module")
def answers() -> Answers:
    return Answers()


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: Answers, described_here: None
) -> Call:
    """Runs the command in a plugin author's repository, whose working tree is the head."""
    answers.replay(monkeypatch)
    monkeypatch.chdir(make_repository(tmp_path / "zoo"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    url = f"sqlite:///{tmp_path}/rows.db"
    return lambda *words: CliRunner().invoke(
        cli, ["gate", *words, "--store", url], catch_exceptions=False, standalone_mode=False
    )


def test_a_program_that_does_more_fails_until_somebody_wants_it(call: Call, tmp_path: Path):
    words = ("--base", "HEAD", "--plugin", "zoo.py", "-m", "wider", *SMALL)
    edit(Path("zoo.py"), '"""WIDER"""', "width = 24")
    found = call(*words, "-o", "gate.json", "-o", "gate.xml", "-o", "gate.md")
    assert found.return_value == 11 and found.stdout.startswith("FAIL: changed\n")
    assert "digits x wider: train: FLOPs of a step" in found.stdout
    told = json.loads(Path("gate.json").read_text())
    assert (told["exit_code"], told["cells"][0]["verdict"]) == (11, "changed")
    assert "<failure" in Path("gate.xml").read_text()
    markdown = Path("gate.md").read_text()
    assert markdown.startswith("### Step-time gate: FAIL")
    assert (tmp_path / "summary.md").read_text() == markdown
    with open_store(f"sqlite:///{tmp_path}/rows.db") as store:
        (gate,) = store.gates()
    assert (gate["cell"], gate["verdict"]) == ("digits x wider", "changed")
    assert gate["head"].startswith("working tree on ") and gate["jax_version"]

    assert call(*words, "--acknowledge", "more capacity").return_value == 0
    accepted = json.loads(Path("gate-acknowledged.json").read_text())
    assert {a["reason"] for a in accepted} == {"more capacity"}
    again = call(*words)
    assert again.return_value == 0 and ": wanted (more capacity)" in again.stdout
    edit(Path("zoo.py"), "width = 24", "width = 32")
    assert call(*words).return_value == 11  # it holds for exactly those values


def test_two_equal_environments_pass_without_git(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "no repository").mkdir()
    monkeypatch.chdir(tmp_path / "no repository")
    words = ("--base-env", sys.executable, "--head-env", sys.executable, "-m", "majority")
    found = call(*words, *SMALL)
    assert found.return_value == 0 and found.stdout.startswith("PASS\n")
    assert "same programs, same code, same packages" in found.stdout


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "give --base REV"),
        (("--base-env", "x"), "give --base REV"),
        (("--base", "nowhere"), "no revision 'nowhere'"),
        (("--base", "HEAD", "-o", "gate.doc"), r"expected a file named \*\.json"),
        (("--base", "HEAD", "-m", "nothing"), "no model 'nothing'"),
        (("--base", "HEAD", "--plugin", "absent.py"), "absent.py"),
        (("--base", "HEAD", "--head-env", "/no/python", "-m", "majority"), "cannot be run"),
        (("--base-env", "/no/python", "--head-env", "x", "-m", "majority"), "cannot be run"),
    ],
)
def test_a_question_that_makes_no_sense_is_one_line(
    call: Call, words: tuple[str, ...], why: str
):
    with pytest.raises(HarnessError, match=why) as caught:
        call(*words, "--deterministic")
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2


def test_a_shallow_clone_says_which_fetch_it_needs(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    git(Path.cwd(), "commit", "--quiet", "--allow-empty", "-m", "later")
    clone = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{Path.cwd()}", str(clone))
    monkeypatch.chdir(clone)
    with pytest.raises(HarnessError, match="git fetch --depth=1 origin v1"):
        call("--base", "v1", "--deterministic")


def test_what_cannot_be_told_takes_nothing_from_the_verdict(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "rows.db").write_text("no database")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "absent" / "summary.md"))
    monkeypatch.setattr(export, "write", full_disk)
    found = call("--base", "HEAD", "--plugin", "zoo.py", "-m", "plain", *SMALL, "-o", "a.json")
    assert found.return_value == 0
    for why in ("this gate is not in the history", "summary.md cannot be written", "no room"):
        assert why in found.stderr


def test_its_minutes_count_what_comes_before_the_cells(
    call: Call, monkeypatch: pytest.MonkeyPatch
):
    clock = iter([0.0, 600.0])
    monkeypatch.setattr(gate, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    report = Report(Verdict.PASS, [], "a", "b", seconds=60.0)
    monkeypatch.setattr(perform, "gate", lambda *sides, **settings: report)
    assert "; 10.0 min" in call("--base", "HEAD", "--plugin", "zoo.py", "-m", "plain").stdout


@pytest.mark.parametrize("word", ["", "  "])
def test_an_empty_reason_is_none(call: Call, word: str):
    with pytest.raises(UsageError, match="--acknowledge is empty"):
        call("--base", "HEAD", "-m", "majority", "--acknowledge", word)


@pytest.mark.parametrize("minutes", ["nan", "inf"])
def test_a_budget_is_a_number_of_minutes(call: Call, minutes: str):
    with pytest.raises(UsageError, match=f"--budget {minutes}: expected a number of minutes"):
        call("--base", "HEAD", "-m", "majority", "--budget", minutes)


def full_disk(report: object, path: Path) -> None:
    raise UsageError(f"{path} cannot be written (no room)")


def test_a_gate_that_sees_nothing_of_the_repository_is_no_pass(call: Call):
    found = call("--base", "HEAD", "-m", "majority", *SMALL)
    assert found.return_value == 20
    assert "digits x majority: no file of this repository was imported" in found.stdout


def test_a_model_that_is_new_is_no_failure(call: Call):
    edit(Path("zoo.py"), "(Plain, Wider", "(Plain, type('Newer', (Plain,), {}), Wider")
    found = call("--base", "HEAD", "--plugin", "zoo.py", "-m", "newer", *SMALL)
    assert found.return_value == 0
    assert "digits x newer: new: nothing to compare with" in found.stdout
