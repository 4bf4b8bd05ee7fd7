"""The process of a run: how it ends, and what it leaves."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from performed import PLUGIN, perform, runs_of
from processes import children, command, commands

import harness.children
from harness import index, plan, runner, workers
from harness.allocator import HUGE_PAGES, SWITCH, VARIABLE
from harness.deadlines import Limits
from harness.events import Ended, Event, Phase
from harness.registry import Registry
from harness.workers import in_worker


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
    rows, saved = perform(runs, in_worker())
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
    # where a crash happened is in the log
    assert "plugins_for_tests.py" in Path(rows[3]["log_path"]).read_text()
    assert rows[-2]["status"] == "unavailable"
    assert "pip install no_such_package" in rows[-2]["error_message"]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
@pytest.mark.parametrize(("switch", "told"), [("1", HUGE_PAGES), ("0", "")])
def test_a_worker_is_started_with_huge_pages_unless_they_are_switched_off(
    known: Registry, monkeypatch: pytest.MonkeyPatch, switch: str, told: str
):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv(SWITCH, switch)
    ((row,), _) = perform(runs_of(known, "majority"), in_worker())
    # what the worker found in its own environment, not what it was meant to get
    assert (row["status"], row["allocator"]) == ("ok", told)


def test_what_goes_wrong_later_says_its_phase(known: Registry):
    rows, _ = perform(runs_of(known, "odd[how=width,nan]"), in_worker())
    assert [(r["status"], r["phase"]) for r in rows] == [
        ("failed", "compile"),
        ("diverged", "train"),
    ]
    assert "at step 1" in rows[1]["error_message"]
    assert rows[1]["compile_s"] > 0 and rows[1]["train_s"] > 0


def test_what_a_plugin_prints_goes_to_the_log_and_forges_no_event(known: Registry):
    rows, _ = perform(runs_of(known, "odd:noisy"), in_worker())
    assert rows[0]["status"] == "ok"
    log = Path(rows[0]["log_path"]).read_text()
    assert "noise on standard output" in log and '"Ended"' in log


def test_a_timeout_ends_the_run_and_every_process_it_started(known: Registry):
    rows, _ = perform(runs_of(known, "odd[how=child]"), in_worker(limits=Limits(30)))
    assert (rows[0]["status"], rows[0]["error_type"]) == ("timeout", "Timeout")
    assert rows[0]["phase"] == "construct"
    assert "--timeout 30 s" in rows[0]["error_message"]
    wait_until(
        lambda: not any("import time; time.sleep(61)" in c for c in commands()), seconds=10,
        otherwise="its child goes on",
    )  # fmt: skip


def test_processes_and_threads_that_a_plugin_leaves_do_not_hold_the_plan_up(known: Registry):
    runs = runs_of(known, 'odd[how=fork,thread,"fork and die"]')
    rows, _ = perform(runs, in_worker())
    assert [r["status"] for r in rows] == ["ok", "ok", "failed"]
    assert rows[0]["peak_rss_bytes"] > 0
    assert rows[2]["error_type"] == "Died"


def test_a_file_in_the_users_folder_stands_in_for_no_library(
    known: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "queue.py").write_text("raise RuntimeError('the wrong queue')\n")
    monkeypatch.chdir(tmp_path)
    rows, _ = perform(runs_of(known, "majority"), in_worker())
    assert rows[0]["status"] == "ok"


def test_a_plugin_file_that_changed_since_the_plan_is_not_measured(tmp_path: Path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN.read_text().replace('"odd"', '"mine"').replace('"absent"', '"no"'))
    runs = runs_of(index.open_registry([plugin]), "mine")
    plugin.write_text(plugin.read_text() + "\n# edited\n")
    rows, _ = perform(runs, in_worker())
    assert rows[0]["status"] == "failed"
    assert "changed since the plan was made" in rows[0]["error_message"]


def test_no_worker_outlives_its_run(known: Registry):
    seen: list[str] = []

    class Listener(runner.Silent):
        def event(self, run: plan.Run, event: Event) -> None:
            seen.extend(map(command, children()))

    perform(runs_of(known, "mean_pool"), in_worker(), listener=Listener())
    assert any("-m harness.worker" in c for c in seen)
    assert not any("-m harness.worker" in c for c in map(command, children()))


def test_a_phase_that_takes_too_long_is_stopped_and_keeps_what_was_measured(known: Registry):
    limits = Limits(phase_s={"construct": 6.0})
    rows, _ = perform(runs_of(known, "odd[how=sleep]", "odd"), in_worker(limits=limits))
    assert [(r["status"], r["phase"]) for r in rows] == [("timeout", "construct"), ("ok", "")]
    assert "--phase-timeout construct=6" in rows[0]["error_message"]
    assert rows[0]["data_s"] > 0 and rows[0]["device_kind"]


DRIVER = """
import sys
from harness.cli import main
main(["run", "-d", "digits", *sys.argv[1:]])
"""
ODD = ("--plugin", str(PLUGIN), "-m")


@contextmanager
def driver(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, killed in the end."""
    command = [sys.executable, "-c", DRIVER, *words]
    with subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(holds: Callable[[], object], *, seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def test_a_worker_ends_when_its_driver_is_killed(tmp_path: Path):
    with driver(tmp_path, "-m", "mean_pool", "--epochs", "5000") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "epoch 2/" in line:
                break
        [worker] = children(process.pid)
        process.kill()
        wait_until(lambda: not command(worker), seconds=10, otherwise="the worker goes on")


def log_of(cache: Path, text: str) -> bool:
    return any(text in path.read_text() for path in (cache / "logs").rglob("*.log"))


def test_a_worker_that_no_thread_can_end_ends_with_its_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its plugin holds the interpreter, so nothing in it hears that the driver has gone."""
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    with driver(tmp_path, *ODD, "odd[how=greedy]") as process:
        wait_until(
            lambda: log_of(tmp_path / "cache", "greedy now"), seconds=60, otherwise="no log"
        )
        [worker] = children(process.pid)
        process.kill()
        wait_until(lambda: not command(worker), seconds=10, otherwise="the worker goes on")


def test_nothing_is_written_any_more_when_the_driver_has_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A process that the plugin started writes a file until it is killed."""
    written = tmp_path / "written"
    monkeypatch.setenv("ODD_FILE", str(written))
    with driver(tmp_path, *ODD, "odd[how=writer]") as process:
        wait_until(written.exists, seconds=60, otherwise="it never wrote")
        process.kill()
        wait_until(
            lambda: not any(str(written) in c for c in commands()), seconds=10,
            otherwise="it goes on",
        )  # fmt: skip
        size = written.stat().st_size
        time.sleep(0.5)
        assert written.stat().st_size == size > 0


def test_a_second_interrupt_leaves_at_once(
    known: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The worker does not listen to SIGTERM, so that one interrupt would take `GRACE`."""
    for module in (workers, harness.children):
        monkeypatch.setattr(module, "GRACE", 120.0)

    deaf = tmp_path / "deaf"
    monkeypatch.setenv("ODD_FILE", str(deaf))
    over = threading.Event()
    # a shell that puts the tests in the background has them ignore it
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt_twice() -> None:
        while not deaf.exists() and not over.wait(0.05):
            pass
        for seconds in (0.5, 2.0):
            if not over.wait(seconds):
                os.kill(os.getpid(), signal.SIGINT)

    class Listener(runner.Silent):
        def event(self, run: plan.Run, event: Event) -> None:
            if event == Phase("construct"):
                threading.Thread(target=interrupt_twice, daemon=True).start()

    start = time.monotonic()
    rows, _ = perform(
        runs_of(known, "odd[how=deaf]", "mean_pool"), in_worker(), listener=Listener()
    )
    over.set()
    signal.signal(signal.SIGINT, before)
    assert [r["status"] for r in rows] == ["interrupted", "interrupted"]
    assert time.monotonic() - start < 60
    assert not any("-m harness.worker" in c for c in map(command, children()))


def test_an_interrupt_behind_the_last_word_leaves_the_run_ok(known: Registry):
    class Listener(runner.Silent):
        def event(self, run: plan.Run, event: Event) -> None:
            if event == Ended("ok"):
                raise KeyboardInterrupt

    rows, _ = perform(runs_of(known, "majority", seeds=2), in_worker(), listener=Listener())
    assert [r["status"] for r in rows] == ["ok", "interrupted"]


def test_a_deadline_behind_the_last_word_changes_nothing(known: Registry):
    """A thread keeps the worker from leaving for longer than the evaluation may take."""
    limits = Limits(phase_s={"evaluate": 4.0})
    rows, _ = perform(runs_of(known, "odd[how=thread]"), in_worker(limits=limits))
    assert rows[0]["status"] == "ok"


def test_a_worker_that_cannot_be_started_costs_its_run(
    known: Registry, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    rows, _ = perform(runs_of(known, "majority", "mean_pool"), in_worker())
    assert [r["status"] for r in rows] == ["failed", "failed"]
    assert "not started" in rows[0]["error_message"]
