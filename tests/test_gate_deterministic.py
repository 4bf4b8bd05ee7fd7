"""Regressions in real programs, found without a clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gate_answers import Answers
from gate_repository import edit, make_repository, make_worse

from harness.errors import UsageError
from harness.gate import deterministic, trees, verdict
from harness.gate.deterministic import CellOutcome, Question
from harness.gate.signals import CellSignals
from harness.gate.verdict import Verdict

RECIPE = {"limit": 200, "batch_size": 32}


@pytest.fixture(scope="module")
def answers() -> Answers:
    return Answers()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a plugin author's repository, which is the working directory."""
    monkeypatch.chdir(make_repository(tmp_path / "zoo"))
    return tmp_path / "zoo"


@pytest.fixture
def asked_once(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    answers.replay(monkeypatch)


def look(repository: Path, *models: str) -> dict[str, CellOutcome]:
    """What the working tree changed, by model."""
    with trees.from_git(repository, "HEAD", None, note=print) as (base, head):
        question = Question(
            cells=[("digits", model) for model in models],
            plugins=lambda side: trees.plugin_files(side, repository, ["zoo.py"]),
            recipe=RECIPE,
        )
        found = deterministic.look(base, head, question, note=lambda text: None)
    return dict(zip(models, found, strict=True))


def reason(outcome: CellOutcome) -> str:
    told = verdict.without_clock(outcome, {})
    assert told.verdict is Verdict.CHANGED, told
    return told.reason


def words(outcome: CellOutcome) -> str:
    return "\n".join(finding.words for finding in outcome.findings)


def test_each_way_to_get_worse_is_found_and_named(repository: Path):
    make_worse(repository)
    found = look(repository, "plain", "wider", "called", "doubled", "again")
    assert found["plain"].findings == [] and not found["plain"].unchanged
    assert found["plain"].mechanism == "host code changed (zoo.py)"
    assert reason(found["wider"]).startswith("train: FLOPs of a step")
    assert "callbacks and transfers 0 to 1" in reason(found["called"])
    assert "more operations in float64" in words(found["doubled"])
    assert reason(found["again"]).startswith("compilations after warm-up 0 to ")


def test_a_comment_changes_nothing_and_an_equal_tree_needs_no_timing(
    repository: Path, asked_once: None
):
    assert look(repository, "plain")["plain"].unchanged
    edit(repository / "zoo.py", "import harness\n", "import harness  # the engine\n")
    found = look(repository, "plain")["plain"]
    assert found.findings == [] and verdict.without_clock(found, {}).verdict is Verdict.PASS


def test_lost_donation_and_a_new_transfer_in_the_engine_are_found(
    asked_once: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    repository = make_repository(tmp_path / "zoo", harness=True)
    monkeypatch.chdir(repository)
    edit(repository / "harness" / "assemble.py", "np.int32(1), donate=(0,)",
         "np.int32(1), donate=()")  # fmt: skip
    step = "self.state, losses, block = trainer(self.state, part)\n"
    edit(repository / "harness" / "engine.py", step,
         f"{step}                jnp.sin(np.float32(block.steps))\n")  # fmt: skip
    found = look(repository, "plain")["plain"]
    failed = [finding.words for finding in found.findings if finding.level == "fail"]
    assert any("donated buffers" in one for one in failed)
    assert any("implicit host-to-device transfers in the same steps" in one for one in failed)


def test_a_head_that_cannot_be_imported_fails_and_says_why(repository: Path, asked_once: None):
    edit(repository / "zoo.py", "import harness\n", "import harness, no_such_package\n")
    assert "no_such_package" in reason(look(repository, "plain")["plain"])


def test_sizes_that_cannot_be_are_the_fault_of_who_asks(
    repository: Path, asked_once: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(RECIPE, "batch_size", 201)
    with pytest.raises(UsageError, match="plain: --batch-size 201 is more than the 200"):
        look(repository, "plain")


def test_a_side_that_dies_is_told(repository: Path, asked_once: None):
    edit(repository / "zoo.py", "def __init__(self, data, *, rngs):\n",
         "def __init__(self, data, *, rngs):\n        import os; os._exit(3)\n")  # fmt: skip
    assert "the process that compiles died (exit 3)" in reason(
        look(repository, "plain")["plain"]
    )


def test_a_side_that_hangs_is_told(repository: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(deterministic, "PATIENCE_S", 0.1)
    (hung,) = look(repository, "plain").values()
    assert verdict.without_clock(hung, {}).verdict is Verdict.INVALID
    assert "still compiling after 0.1 s" in words(hung)


def test_a_model_that_serves_the_data_on_neither_side_has_no_cell():
    def cell(**more: Any) -> CellSignals:
        return CellSignals("digits x mlp", {}, error="e", **more)

    served = CellSignals("digits x mlp", {})
    refused = cell(unserved="needs numbers")
    assert deterministic._no_cell(refused, refused)
    assert deterministic._no_cell(cell(absent=True), refused)
    # one that served them before is broken
    assert not deterministic._no_cell(served, refused)
    assert not deterministic._no_cell(refused, served)
