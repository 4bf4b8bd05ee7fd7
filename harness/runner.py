"""Runs a plan: one worker process a run, one row a run.

The driver starts a worker, hands it the run on standard input and folds the events that
come back. It waits on the pipe and nothing else; a deadline is a timer that ends the
worker's whole process group. A row goes to the store as soon as its run has ended.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from harness import machine
from harness.allocator import worker_environment
from harness.events import Collector, Ended, Event, from_line
from harness.paths import cache_dir
from harness.plan import Run, run_to_json
from harness.registry import Registry
from harness.rows import Result, Row

# seconds between asking a worker to stop and killing it
GRACE = 5.0


class Listener(Protocol):
    """Whoever shows how the plan goes on."""

    def started(self, run: Run, number: int, total: int) -> None: ...

    def event(self, run: Run, event: Event) -> None: ...

    def ended(self, run: Run, row: Row) -> None: ...


class Silent:
    """A listener that shows nothing."""

    def started(self, run: Run, number: int, total: int) -> None:
        pass

    def event(self, run: Run, event: Event) -> None:
        pass

    def ended(self, run: Run, row: Row) -> None:
        pass


# performs one run, calling back with each event, and says how it ended if it could not
Executor = Callable[[Run, Path, Callable[[Event], None]], Ended | None]


@dataclass(frozen=True)
class Plan:
    """The runs, and the rows that already stand for some of them (by run key)."""

    runs: tuple[Run, ...]
    stored: Mapping[str, Row]


def run_plan(
    plan: Plan,
    *,
    execute: Executor,
    executor_name: str,
    save: Callable[[Result], None],
    listener: Listener,
) -> list[Row]:
    """Performs a plan and returns one row for each of its runs, in order.

    Ctrl-C ends the run that is going on; it and those behind it leave a row that says
    `interrupted`.
    """
    place = machine.place()
    rows: list[Row] = []
    stopped: Ended | None = None
    for number, run in enumerate(plan.runs, start=1):
        if run.run_key in plan.stored:
            rows.append(plan.stored[run.run_key])
            continue
        planned = _planned(run, place, executor_name)
        collector = Collector(planned, phase="planned")
        if stopped is None:
            stopped = _perform(run, collector, execute, listener, number, len(plan.runs))
        else:
            collector.ended = stopped
        result = collector.result()
        save(result)
        rows.append(result.row)
        listener.ended(run, result.row)
    return rows


def _planned(run: Run, place: Mapping[str, Any], executor_name: str) -> dict[str, Any]:
    return {
        **run.to_row(),
        **place,
        "executor": executor_name,
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "log_path": str(log_path(run)),
    }


def _perform(
    run: Run,
    collector: Collector,
    execute: Executor,
    listener: Listener,
    number: int,
    total: int,
) -> Ended | None:
    """Performs one run; returns how the plan was stopped, if it was."""

    shown = sys.stderr

    def heard(event: Event) -> None:
        collector.add(event)
        with redirect_stderr(shown):  # an in-process run's own output goes to its log
            listener.event(run, event)

    try:
        listener.started(run, number, total)
        ended = execute(run, log_path(run), heard)
    except KeyboardInterrupt:
        collector.ended = Ended("interrupted", "KeyboardInterrupt", "stopped by Ctrl-C")
        return Ended("interrupted", "KeyboardInterrupt", "not started: stopped by Ctrl-C")
    if ended is not None:
        collector.ended = ended
    return None


def log_path(run: Run) -> Path:
    """Where the worker's output goes."""
    return cache_dir() / "logs" / f"{run.run_id}.log"


def in_worker(*, timeout: float | None) -> Executor:
    """An executor that starts a process for each run and ends it after `timeout` seconds."""

    def execute(run: Run, log: Path, heard: Callable[[Event], None]) -> Ended | None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "w") as stderr, _worker(stderr) as process:
            with _deadline(process, timeout) as late:
                with suppress(BrokenPipeError):  # it died before it read: its exit code tells
                    assert process.stdin is not None
                    process.stdin.write(json.dumps(run_to_json(run)))
                    process.stdin.close()
                try:
                    said_end = _listen(process, heard)
                except KeyboardInterrupt:
                    _hear_out(process, heard)
                    raise
            if late.is_set():
                return Ended("timeout", "Timeout", f"stopped after --timeout {timeout:g} s")
            return None if said_end else _death(process.returncode, log)

    return execute


def _listen(process: subprocess.Popen[str], heard: Callable[[Event], None]) -> bool:
    """Passes events on until the last one; tells whether that one came.

    The worker may outlive its last word, for a thread of a plugin that goes on; it gets
    the time of `GRACE` to leave by itself.
    """
    assert process.stdout is not None
    for line in process.stdout:
        try:
            event = from_line(line)
        except (ValueError, KeyError, TypeError):
            continue  # cut off by the worker's death, or by a signal in the middle of it
        heard(event)
        if isinstance(event, Ended):
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
            return True
    process.wait()
    return False


def _hear_out(process: subprocess.Popen[str], heard: Callable[[Event], None]) -> None:
    """Asks a worker to stop and hears what it has measured so far, for `GRACE` seconds."""
    _signal(process, signal.SIGTERM)
    timer = threading.Timer(GRACE, _kill, (process,))
    timer.start()
    try:
        _listen(process, heard)
    finally:
        timer.cancel()


@contextmanager
def _worker(stderr: Any) -> Iterator[subprocess.Popen[str]]:
    """A worker in a process group of its own, ended with all its children on the way out."""
    process = subprocess.Popen(
        # -P: a file in the user's folder must not stand in for a library
        [sys.executable, "-P", "-m", "harness.worker"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
        text=True, start_new_session=True, env=worker_environment(os.environ),
    )  # fmt: skip
    threading.Thread(target=_bury, args=(process,), daemon=True).start()
    try:
        yield process
    finally:
        _stop(process)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def _bury(process: subprocess.Popen[str]) -> None:
    """Ends what a dead worker leaves: a forked child would hold its pipe open for ever."""
    process.wait()
    _kill(process)


def _stop(process: subprocess.Popen[str]) -> None:
    """Terminates, then kills. Safe to call on a process that has ended."""
    try:
        if process.poll() is None:
            _signal(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
    finally:  # also if a second Ctrl-C comes while it waits
        _kill(process)
        process.wait()


def _kill(process: subprocess.Popen[str]) -> None:
    """Kills the whole group, which may outlive its leader."""
    _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))


def _signal(process: subprocess.Popen[str], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.send_signal(number)
        else:
            os.killpg(process.pid, number)


@contextmanager
def _deadline(
    process: subprocess.Popen[str], seconds: float | None
) -> Iterator[threading.Event]:
    """Stops the process when its time is up; the event says whether that happened."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        _stop(process)

    timer = threading.Timer(seconds, stop) if seconds is not None else None
    if timer is not None:
        timer.start()
    try:
        yield late
    finally:
        if timer is not None:
            timer.cancel()
            timer.join()


def _death(code: int, log: Path) -> Ended:
    """How a worker that did not say that it ended came to its end."""
    if code < 0:
        known = {int(s): s.name for s in signal.Signals}
        name = known.get(-code, f"signal {-code}")
        # the kernel's way of refusing memory
        status = "oom" if name == "SIGKILL" else "failed"
        return Ended(status, name, f"the worker was killed by {name}")
    return Ended("failed", "Died", f"the worker left with exit code {code}: {_last_line(log)}")


def _last_line(log: Path) -> str:
    with open(log, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 65536))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def in_process(registry: Registry) -> Executor:
    """An executor for debuggers and for models defined in a notebook: no process of its own."""

    def execute(run: Run, log: Path, heard: Callable[[Event], None]) -> Ended | None:
        from harness.execute import execute as execute_here

        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "w") as stderr, redirect_stderr(stderr):
            execute_here(run, registry, heard)
        return None

    return execute
