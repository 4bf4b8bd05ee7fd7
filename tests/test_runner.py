from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import index, machine, plan, runner, suites
from harness.events import Ended, Event, Measured, Phase
from harness.registry import Registry
from harness.rows import Result, Row

PLUGIN = Path(__file__).parent / "plugins_for_tests.py"


@pytest.fixture(scope="module")
def known(shared_cache: Path) -> Iterator[Registry]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE_DIR", str(shared_cache))
        patch.setenv("HARNESS_PLUGINS", "")
        yield index.open_registry([PLUGIN])


def runs_of(known: Registry, *models: str, seeds: int = 1) -> tuple[plan.Run, ...]:
    suite = suites.Suite(
        datasets=("digits",), models=models, seeds=tuple(range(seeds)),
        recipe={"epochs": 1, "limit": 200, "batch_size": 64},
    )  # fmt: skip
    return tuple(plan.expand(suite, known, key_parts=machine.key_parts()))


def perform(runs, execute, *, stored=None, listener=None) -> tuple[list[Row], list[Result]]:
    saved: list[Result] = []
    rows = runner.run_plan(
        runner.Plan(runs, stored or {}),
        execute=execute,
        executor_name="process",
        save=saved.append,
        listener=listener or runner.Silent(),
    )
    return rows, saved


def test_every_way_to_go_wrong_is_one_row_and_the_good_ones_are_measured(known: Registry):
    ways = {
        "sys.exit": ("failed", "SystemExit", "3"),
        "os._exit": ("failed", "Died", "exit code 4: last words"),
        "segv": ("failed", "SIGSEGV", "killed by SIGSEGV"),
        "kill": ("oom", "SIGKILL", "killed by SIGKILL"),
        "unsupported": ("skipped", "Unsupported", "no tokens here"),
        "value": ("failed", "ValueError", "bad value"),
        "multiline": ("failed", "RuntimeError", "first line"),
        "memory": ("oom", "MemoryError", "no more"),
    }
    runs = runs_of(known, f"odd[how=fine,{','.join(ways)}]", "absent", "mean_pool")
    rows, saved = perform(runs, runner.in_worker(timeout=None))
    assert [r.row for r in saved] == rows
    assert len(rows) == len(runs)
    assert (rows[0]["status"], rows[-1]["status"]) == ("ok", "ok")
    assert rows[0]["test_accuracy"] is not None
    for row, (status, error_type, message) in zip(rows[1:], ways.values(), strict=False):
        assert (row["status"], row["error_type"], row["phase"]) == (
            status, error_type, "construct",
        )  # fmt: skip
        assert message in row["error_message"]
        assert "\n" not in row["error_message"]
        assert row["data_s"] is not None  # what was measured before is kept
    assert "second line" in Path(rows[7]["log_path"]).read_text()
    assert rows[-2]["status"] == "unavailable"
    assert "pip install no_such_package" in rows[-2]["error_message"]


def test_what_goes_wrong_later_says_its_phase(known: Registry):
    rows, _ = perform(runs_of(known, "odd[how=width,nan]"), runner.in_worker(timeout=None))
    assert [(r["status"], r["phase"]) for r in rows] == [
        ("failed", "compile"),
        ("diverged", "train"),
    ]
    assert "at step 1" in rows[1]["error_message"]
    assert rows[1]["compile_s"] > 0 and rows[1]["train_s"] > 0


def test_what_a_plugin_prints_goes_to_the_log_and_forges_no_event(known: Registry):
    rows, _ = perform(runs_of(known, "odd:noisy"), runner.in_worker(timeout=None))
    assert rows[0]["status"] == "ok"
    log = Path(rows[0]["log_path"]).read_text()
    assert "noise on standard output" in log and '"Ended"' in log


def test_a_timeout_ends_the_run_and_every_process_it_started(known: Registry):
    rows, _ = perform(runs_of(known, "odd[how=child]"), runner.in_worker(timeout=15))
    assert (rows[0]["status"], rows[0]["error_type"]) == ("timeout", "Timeout")
    assert rows[0]["phase"] == "construct"
    assert "--timeout 15 s" in rows[0]["error_message"]
    time.sleep(0.2)
    assert not [c for c in commands() if "time.sleep(60)" in c]


def test_processes_and_threads_that_a_plugin_leaves_do_not_hold_the_plan_up(known: Registry):
    runs = runs_of(known, 'odd[how=fork,thread,"fork and die"]')
    rows, _ = perform(runs, runner.in_worker(timeout=None))
    assert [r["status"] for r in rows] == ["ok", "ok", "failed"]
    assert rows[0]["peak_rss_bytes"] > 0
    assert rows[2]["error_type"] == "Died"


# a process started in the background may have inherited that Ctrl-C is ignored
PROGRAM = """
import signal
from harness.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main(["run", "-d", "digits", "-m", "transformer", "--epochs", "5000", "--seeds", "2",
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


def test_a_file_in_the_users_folder_stands_in_for_no_library(
    known: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "queue.py").write_text("raise RuntimeError('the wrong queue')\n")
    monkeypatch.chdir(tmp_path)
    rows, _ = perform(runs_of(known, "majority"), runner.in_worker(timeout=None))
    assert rows[0]["status"] == "ok"


def test_a_plugin_file_that_changed_since_the_plan_is_not_measured(tmp_path: Path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN.read_text().replace('"odd"', '"mine"').replace('"absent"', '"no"'))
    runs = runs_of(index.open_registry([plugin]), "mine")
    plugin.write_text(plugin.read_text() + "\n# edited\n")
    rows, _ = perform(runs, runner.in_worker(timeout=None))
    assert rows[0]["status"] == "failed"
    assert "changed since the plan was made" in rows[0]["error_message"]


def commands() -> list[str]:
    """The command lines of all processes that are alive."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            pass
    return found


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


def test_no_worker_outlives_its_run(known: Registry):
    seen: list[str] = []

    class Listener(runner.Silent):
        def event(self, run: plan.Run, event: Event) -> None:
            seen.extend(children())

    perform(runs_of(known, "mean_pool"), runner.in_worker(timeout=None), listener=Listener())
    assert any("-m harness.worker" in c for c in seen)
    assert not any("-m harness.worker" in c for c in children())


def children() -> list[str]:
    """The command lines of the processes that this one has started."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            try:
                found.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
            except OSError:
                pass
    return found
