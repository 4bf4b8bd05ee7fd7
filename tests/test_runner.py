"""How a plan is performed, run after run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from performed import perform, runs_of

from harness import plan, runner
from harness.events import Ended, Event, Measured, Phase
from harness.registry import Registry
from harness.rows import Row

# a process started in the background may have inherited that Ctrl-C is ignored
PROGRAM = """
import signal
from harness.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main(["run", "-d", "digits", "-m", "mean_pool", "--epochs", "5000", "--seeds", "2",
      "--format", "json"])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_plan_keeps_what_the_worker_had_measured(tmp_path: Path, number: int):
    driver = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert driver.stderr is not None
    for line in driver.stderr:
        if "epoch 3/" in line:
            break
    driver.send_signal(number)
    out, err = driver.communicate()
    rows = json.loads(out)
    assert driver.returncode == 3, err
    assert [r["status"] for r in rows] == ["interrupted", "interrupted"]
    assert rows[0]["step_ms_p50"] > 0 and rows[0]["train_s"] > 0
    assert rows[0]["test_accuracy"] is not None
    assert (rows[1]["phase"], rows[1]["step_ms_p50"]) == ("planned", None)
    by = "SIGTERM" if number == signal.SIGTERM else "Ctrl-C"
    assert [r["error_message"] for r in rows] == [
        f"stopped by {by}", f"not started: stopped by {by}",
    ]  # fmt: skip
    assert Path(rows[0]["log_path"]).exists() and rows[1]["log_path"] is None


def test_ctrl_c_ends_the_run_and_leaves_a_row_for_each_of_the_others(known: Registry):
    runs = runs_of(known, "mean_pool", seeds=3)

    def execute(run: plan.Run, log: Path, heard) -> Ended | None:
        heard(Phase("train"))
        heard(Measured({"compile_s": 1.5}))
        if run.seed == 1:
            raise KeyboardInterrupt
        heard(Ended("ok"))
        return None

    rows, saved = perform(runs, execute)
    assert [r["status"] for r in rows] == ["ok", "interrupted", "interrupted"]
    assert rows[1]["compile_s"] == 1.5 and rows[1]["phase"] == "train"
    assert "not started" in rows[2]["error_message"] and rows[2]["phase"] == "planned"
    assert len(saved) == 3


def test_stored_rows_stand_for_their_runs(known: Registry):
    runs = runs_of(known, "mean_pool", seeds=2)
    done = {runs[1].run_key: {"run_id": "old", "status": "ok"}}

    def execute(run: plan.Run, log: Path, heard) -> Ended | None:
        assert run.seed == 0
        return Ended("failed", "X", "y")

    rows, saved = perform(runs, execute, stored=done)
    assert rows[1]["run_id"] == "old"
    assert len(saved) == 1


def test_a_row_says_where_and_how_it_was_measured(known: Registry):
    runs = runs_of(known, "mean_pool")
    rows, _ = perform(runs, lambda run, log, heard: Ended("ok"))
    row = rows[0]
    assert row["executor"] == "process"
    assert row["timing_comparable"] is None  # the run itself finds out, and this one is empty
    assert row["jax_version"] and row["cpu_model"] and row["started_at"].endswith("+00:00")
    assert row["model_plugin"].startswith("mean_pool==")


def test_the_listener_hears_each_run_from_start_to_end(known: Registry):
    heard: list[str] = []

    class Listener:
        def started(self, run: plan.Run, number: int, total: int) -> None:
            heard.append(f"started {number}/{total}")

        def event(self, run: plan.Run, event: Event) -> None:
            heard.append(type(event).__name__)

        def ended(self, run: plan.Run, row: Row) -> None:
            heard.append(f"ended {row['status']}")

    def execute(run: plan.Run, log: Path, emit) -> Ended | None:
        emit(Phase("train"))
        emit(Ended("ok"))
        return None

    perform(runs_of(known, "mean_pool"), execute, listener=Listener())
    assert heard == ["started 1/1", "Phase", "Ended", "ended ok"]


class Broken:
    """A listener whose terminal has gone."""

    def started(self, run: plan.Run, number: int, total: int) -> None:
        raise OSError(5, "Input/output error")

    def event(self, run: plan.Run, event: Event) -> None:
        raise ValueError("I/O operation on closed file")

    def ended(self, run: plan.Run, row: Row) -> None:
        raise OSError(5, "Input/output error")

    def note(self, text: str) -> None:
        raise OSError(5, "Input/output error")


def ok(run: plan.Run, log: Path, heard) -> Ended | None:
    heard(Ended("ok"))
    return None


def test_a_terminal_that_has_gone_costs_no_run(known: Registry):
    rows, saved = perform(runs_of(known, "mean_pool", seeds=3), ok, listener=Broken())
    assert [r["status"] for r in rows] == ["ok"] * 3 and len(saved) == 3


def test_a_cache_that_can_no_longer_be_used_costs_its_runs(
    known: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    runs = runs_of(known, "mean_pool", seeds=2)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "file"))
    rows, saved = perform(runs, ok)
    assert [r["status"] for r in rows] == ["failed"] * 2 and len(saved) == 2
    assert "not started: the cache folder" in rows[0]["error_message"]


def test_ctrl_c_between_two_runs_leaves_a_row_for_the_others(known: Registry):
    class Listener(runner.Silent):
        def ended(self, run: plan.Run, row: Row) -> None:
            if run.seed == 0:
                raise KeyboardInterrupt

    rows, saved = perform(runs_of(known, "mean_pool", seeds=3), ok, listener=Listener())
    assert [r["status"] for r in rows] == ["ok", "interrupted", "interrupted"]
    assert len(saved) == 3


def test_ctrl_c_while_a_row_is_saved_does_not_save_it_again(known: Registry):
    saved: list[str] = []

    def save(result) -> None:
        saved.append(result.row["status"])
        if len(saved) == 1:
            raise KeyboardInterrupt

    runs = runs_of(known, "mean_pool", seeds=2)
    rows = runner.run_plan(
        runner.Plan(runs, {}),
        performer=runner.Performer(name="process", execute=ok),
        save=save,
        listener=runner.Silent(),
    )
    assert [r["status"] for r in rows] == saved == ["ok", "interrupted"]


def test_a_run_that_had_failed_before_ctrl_c_keeps_its_failure(known: Registry):
    def execute(run: plan.Run, log: Path, heard) -> Ended | None:
        heard(Ended("diverged", "Diverged", "at step 3"))
        raise KeyboardInterrupt

    (row,), _ = perform(runs_of(known, "mean_pool"), execute)
    assert (row["status"], row["error_message"]) == ("diverged", "at step 3")
