"""A worker: the process of one run, from its start to the end of all that it started.

The driver hands the run over on the worker's standard input and keeps that pipe open: its
end tells the worker that the driver has gone. What the worker says comes back on another
pipe, on which the driver waits and on nothing else. Deadlines are timers that end the
worker's whole process group.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
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

Process = subprocess.Popen[str]
# performs one run, calling back with each event, and says how it ended if it could not
Executor = Callable[[Run, Path, Callable[[Event], None]], Ended | None]


def in_worker(
    *, limits: Limits = UNLIMITED, settings: Mapping[str, Any] = MappingProxyType({})
) -> Executor:
    """An executor that starts a process for each run and ends it at its deadlines.

    Args:
      settings: fields of `harness.execute.Settings`, which this process does not import.
    """

    def execute(run: Run, log: Path, heard: Callable[[Event], None]) -> Ended | None:
        with logs.kept(log) as output, _worker(output) as process:
            deadlines = Deadlines(limits, lambda: _stop(process))

            def timed(event: Event) -> None:
                if isinstance(event, Phase):
                    deadlines.enter(event.name)
                heard(event)

            with deadlines.running():
                _hand_over(process, {"run": run_to_json(run), "settings": dict(settings)})
                try:
                    said_end = _listen(process, timed)
                except KeyboardInterrupt:
                    _hear_out(process, heard)
                    raise
        # here the log is whole
        if deadlines.reason is not None:
            return Ended("timeout", "Timeout", deadlines.reason)
        return None if said_end else _death(process.returncode, log)

    return execute


def _hand_over(process: Process, asked: Mapping[str, Any]) -> None:
    """Gives the worker its run; the pipe stays open."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it died before it read: its exit code tells
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()


def _listen(process: Process, heard: Callable[[Event], None]) -> bool:
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


def _hear_out(process: Process, heard: Callable[[Event], None]) -> None:
    """Asks a worker to stop and hears what it has measured so far, for `GRACE` seconds.

    A second Ctrl-C kills it at once.
    """
    _signal(process, signal.SIGTERM)
    timer = threading.Timer(GRACE, _kill, (process,))
    timer.start()
    try:
        _listen(process, heard)
    except KeyboardInterrupt:
        _kill(process)
        raise
    finally:
        timer.cancel()


@contextmanager
def _worker(output: int) -> Iterator[Process]:
    """A worker in a process group of its own, ended with all its children on the way out."""
    process = subprocess.Popen(
        # -P: a file in the user's folder must not stand in for a library
        [sys.executable, "-P", "-m", "harness.worker"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output,
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


def _bury(process: Process) -> None:
    """Ends what a dead worker leaves: a forked child would hold its pipe open for ever."""
    process.wait()
    _kill(process)


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
