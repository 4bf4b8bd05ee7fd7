"""`harness run --tune`: what flags make of a suite, and what trials mean for the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from called import Call
from stored import failed_row, make_row

from harness.cli.asked import make_suite
from harness.cli.run import run_command

SUITE = """
datasets = ["digits"]
models = ["majority"]
tune = ["learning_rate", "batch_size=16:64"]
budget = 4
"""


@pytest.mark.parametrize(
    ("words", "tune", "budget"),
    [
        ([], ["learning_rate", "batch_size"], 4),
        (["--budget", "6"], ["learning_rate", "batch_size"], 6),
        (["--learning-rate", "0.1"], ["batch_size"], 4),
        (["--grid", "learning_rate=0.1,0.2"], ["batch_size"], 4),
        (["--learning-rate", "0.1", "--batch-size", "8"], [], None),
        (["--tune", "schedule=constant,linear"], ["schedule"], 4),
    ],
)
def test_in_its_hyper_parameter_a_flag_takes_the_place_of_the_suite(
    words: list[str], tune: list[str], budget: int | None, tmp_path: Path
):
    (tmp_path / "suite.toml").write_text(SUITE)
    context = run_command.make_context("run", [str(tmp_path / "suite.toml"), *words])
    path = context.params.pop("suite")
    suite = make_suite(path, context.params)
    assert (list(suite.tune), suite.budget) == (tune, budget)


def test_tuning_takes_the_place_of_the_default_suites_learning_rate():
    suite = make_suite(
        None, run_command.make_context("run", ["--tune", "learning_rate"]).params
    )
    assert "learning_rate" not in suite.recipe and suite.tune == {"learning_rate": ""}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tune", "learning_rate", "--learning-rate", "0.1"], "is tuned and has a value"),
        (["--budget", "4"], "a budget without a key to tune"),
        (["--tune", "learning_rate=0.1:0.01"], "the smaller one first"),
        (["--tune", "model.rate=0:1"], "no selected model has a parameter 'rate'"),
        (["--tune", "learning_rate", "--budget", "1"], "budget=1: expected int >= 2"),
    ],
)
def test_what_cannot_be_tuned_is_a_usage_error_of_one_line(
    call: Call, tmp_path: Path, words: list[str], said: str
):
    found = call("run", "-d", "digits", "-m", "majority", *words)
    assert found.code == 2 and said in found.err and len(found.err.splitlines()) == 1
    assert not (tmp_path / "harness.db").exists()


def test_a_trial_that_diverged_is_no_failure_of_the_command(
    call: Call, monkeypatch: pytest.MonkeyPatch
):
    rows = [make_row(status="ok"), failed_row(kind="trial", status="diverged")]
    monkeypatch.setattr("harness.api.perform", lambda *_, **__: rows)
    said = call("run", "-d", "digits", "-m", "majority", "--tune", "learning_rate")
    assert said.code == 0 and "of 1 trial 1 not ok (1 diverged)" in said.err
    rows.append(failed_row())
    assert call("run", "-d", "digits", "-m", "majority", "--tune", "learning_rate").code == 3


@pytest.mark.parametrize("status", ["failed", "timeout", "oom"])
def test_a_trial_that_failed_is_a_failure_of_the_command_and_is_told(
    call: Call, monkeypatch: pytest.MonkeyPatch, status: str
):
    rows = [make_row(status="ok"), failed_row(kind="trial", status=status, seed=10_000)]
    monkeypatch.setattr("harness.api.perform", lambda *_, **__: rows)
    said = call("run", "-d", "digits", "-m", "majority", "--tune", "learning_rate")
    assert said.code == 3 and f"of 1 trial 1 not ok (1 {status})" in said.err
    assert "trial, seed 10000" in said.err


def test_of_what_ctrl_c_stopped_only_the_run_that_had_begun_is_told(
    call: Call, monkeypatch: pytest.MonkeyPatch
):
    stopped: dict[str, Any] = {"status": "interrupted", "error_message": "stopped by Ctrl-C"}
    begun = failed_row(**stopped, log_path="a.log")
    rows = [begun, *(failed_row(**stopped, log_path=None) for _ in range(2))]
    monkeypatch.setattr("harness.api.perform", lambda *_, **__: rows)
    said = call("run", "-d", "digits", "-m", "majority")
    assert said.code == 3
    (told,) = [line for line in said.err.splitlines() if "stopped by" in line]
    assert "a.log" in told
