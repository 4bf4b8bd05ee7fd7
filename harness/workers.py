"""A worker: the process of one run, from its start to the end of all that it started.

The driver hands the run over on the worker's standard input and keeps that pipe open: its
end tells the worker that the driver has gone. What the worker says comes back on another
pipe, on which the driver waits and on nothing else. Deadlines are timers that end the
worker's whole process group.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness import logs
from harness.allocator import worker_environment
from harness.deadlines import UNLIMITED, Deadlines, Limits
from harness.events import Ended, Event, Phase, from_line
from harness.plan import Run, run_to_json

# seconds between asking a worker to stop and killing it
GRACE = 5.0
# seconds in which what a dead worker had said arrives
DRAIN = 2.0

Process = subprocess.Popen[str]
# performs one run, calling back with each event, and says how it ended if it could not
Executor = Callable[[Run, Path, Callable[[Event], None]], Ended | None]


@dataclass(frozen=True)
class Worker:
    """A running worker, and what it says line by line until it has ended."""

    process: Process
    lines: Iterator[str]


def in_worker(
    *, limits: Limits = UNLIMITED, settings: Mapping[str, Any] = MappingProxyType({})
) -> Executor:
    """An executor that starts a process for each run and ends it at its deadlines.

    Args:
      settings: fields of `harness.execute.Settings`, which this process does not import.
    """

    def execute(run: Run, log: Path, heard: Callable[[Event], None]) -> Ended | None:
        with logs.kept(log) as output, _started(output) as worker:
            deadlines = Deadlines(limits, lambda: _stop(worker.process))

            def timed(event: Event) -> None:
                if isinstance(event, Phase):
                    deadlines.enter(event.name)
                elif isinstance(event, Ended):
                    deadlines.over()
                heard(event)

            with deadlines.running():
                _hand_over(worker, {"run": run_to_json(run), "settings": dict(settings)})
                try:
                    said_end = _listen(worker, timed)
                except KeyboardInterrupt:
                    _hear_out(worker, heard)
                    raise
        # here the log is whole
        if deadlines.reason:
            return Ended("timeout", "Timeout", deadlines.reason)
        return None if said_end else _death(worker.process.returncode, log)

    return execute


def _hand_over(worker: Worker, asked: Mapping[str, Any]) -> None:
    """Gives the worker its run; the pipe stays open."""
    stdin = worker.process.stdin
    assert stdin is not None
    with suppress(BrokenPipeError):  # it died before it read: its exit code tells
        stdin.write(json.dumps(asked) + "\n")
        stdin.flush()


def _listen(worker: Worker, heard: Callable[[Event], None]) -> bool:
    """Passes events on until the last one; tells whether that one came.

    The worker may outlive its last word, for a thread of a plugin that goes on; it gets
    the time of `GRACE` to leave by itself.
    """
    for line in worker.lines:
        try:
            event = from_line(line)
        except (ValueError, KeyError, TypeError):
            continue  # cut off by the worker's death, or by a signal in the middle of it
        heard(event)
        if isinstance(event, Ended):
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(GRACE)
            return True
    worker.process.wait()
    return False


def _hear_out(worker: Worker, heard: Callable[[Event], None]) -> None:
    """Asks a worker to stop and hears what it has measured so far, for `GRACE` seconds.

    A second Ctrl-C kills it at once.
    """
    _signal(worker.process, signal.SIGTERM)
    timer = threading.Timer(GRACE, _kill, (worker.process,))
    timer.start()
    try:
        _listen(worker, heard)
    except KeyboardInterrupt:
        _kill(worker.process)
        raise
    finally:
        timer.cancel()


@contextmanager
def _started(output: int) -> Iterator[Worker]:
    """A worker in a process group of its own, ended with all its children on the way out."""
    # nothing is ever written to it: its end is the sign that this process has gone
    theirs, ours = os.pipe()
    # -P: a file in the user's folder must not stand in for a library
    command = [sys.executable, "-P", "-m", "harness.worker", str(theirs)]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output,
            encoding="utf-8", errors="replace", start_new_session=True,
            env=worker_environment(os.environ), pass_fds=(theirs,),
        )  # fmt: skip
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    try:
        yield Worker(process, _lines(process))
    finally:
        _stop(process)
        os.close(ours)
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()


def _lines(process: Process) -> Iterator[str]:
    """What a worker says, until it has ended, whoever else holds its pipe open."""
    said: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        with process.stdout as pipe:
            for line in pipe:
                said.put(line)
        said.put(None)

    reader = threading.Thread(target=read, daemon=True)

    def bury() -> None:
        process.wait()
        _kill(process)  # what a dead worker leaves
        reader.join(DRAIN)
        said.put(None)

    reader.start()
    threading.Thread(target=bury, daemon=True).start()
    return iter(said.get, None)


def _stop(process: Process) -> None:
    """Terminates, then kills. Safe to call on a process that has ended."""
    try:
        if process.poll() is None:
            _signal(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
    finally:  # also if a second Ctrl-C comes while it waits
        _kill(process)
        process.wait()


def _kill(process: Process) -> None:
    """Kills the whole group, which may outlive its leader."""
    _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))


def _signal(process: Process, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.send_signal(number)
        else:
            os.killpg(process.pid, number)


def _death(code: int, log: Path) -> Ended:
    """How a worker that did not say that it ended came to its end."""
    if code < 0:
        known = {int(s): s.name for s in signal.Signals}
        name = known.get(-code, f"signal {-code}")
        # the kernel's way of refusing memory
        status = "oom" if name == "SIGKILL" else "failed"
        return Ended(status, name, f"the worker was killed by {name}")
    return Ended(
        "failed", "Died", f"the worker left with exit code {code}: {logs.last_line(log)}"
    )
