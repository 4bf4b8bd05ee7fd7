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
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness import logs
from harness.allocator import worker_environment
from harness.children import GRACE, Child, hand_over, kill, send, started, stop
from harness.crew import perform_together
from harness.deadlines import UNLIMITED, Deadlines, Limits, wanted
from harness.events import Ended, Event, Phase, from_line
from harness.plan import Run, run_to_json

# performs one run, calling back with each event, and says how it ended if it could not
Executor = Callable[[Run, Path, Callable[[Event], None]], Ended | None]


def in_worker(
    *,
    limits: Limits = UNLIMITED,
    settings: Mapping[str, Any] = MappingProxyType({}),
    environment: Mapping[str, str] | None = None,
    is_wanted: Callable[[], bool] = wanted,
) -> Executor:
    """An executor that starts a process for each run and ends it at its deadlines.

    Args:
      settings: fields of `harness.execute.Settings`, which this process does not import.
      environment: of the worker; None is this process's own.
      is_wanted: asked again and again; a run that nobody waits for any more is stopped.
    """

    def execute(run: Run, log: Path, heard: Callable[[Event], None]) -> Ended | None:
        if run.recipe.processes > 1:
            return perform_together(
                run, log, heard, limits, settings, environment or os.environ, is_wanted
            )
        with (
            logs.kept(log) as output,
            started(
                "harness.worker", stderr=output,
                environment=worker_environment(environment or os.environ),
            ) as worker,
        ):  # fmt: skip
            deadlines = Deadlines(limits, lambda: stop(worker.process), is_wanted)

            def timed(event: Event) -> None:
                if isinstance(event, Phase):
                    deadlines.enter(event.name)
                elif isinstance(event, Ended):
                    deadlines.over()
                heard(event)

            with deadlines.running():
                asked = {"run": run_to_json(run), "settings": dict(settings)}
                hand_over(worker, json.dumps(asked))
                try:
                    said_end = _listen(worker, timed)
                except KeyboardInterrupt:
                    _hear_out(worker, lambda event: _unless_failed(event, heard))
                    raise
        # here the log is whole
        if deadlines.unwanted:
            return Ended("interrupted", "KeyboardInterrupt", f"stopped: {deadlines.reason}")
        if deadlines.reason:
            return Ended("timeout", "Timeout", deadlines.reason)
        return None if said_end else _death(worker.process.returncode, log)

    return execute


def _listen(worker: Child, heard: Callable[[Event], None]) -> bool:
    """Passes events on until the last one; tells whether that one came.

    The worker may outlive its last word, for a thread of a plugin that goes on; it gets
    the time of `GRACE` to leave by itself.
    """
    for line in worker.lines:
        try:
            event = from_line(line)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            # cut off by the worker's death, or by a signal in the middle of it; or a plugin's
            continue
        heard(event)
        if isinstance(event, Ended):
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(GRACE)
            return True
    worker.process.wait()
    return False


def _hear_out(worker: Child, heard: Callable[[Event], None]) -> None:
    """Asks a worker to stop and hears what it has measured so far, for `GRACE` seconds.

    A second Ctrl-C kills it at once.
    """
    send(worker.process, signal.SIGTERM)
    timer = threading.Timer(GRACE, kill, (worker.process,))
    timer.start()
    try:
        _listen(worker, heard)
    except KeyboardInterrupt:
        kill(worker.process)
        raise
    finally:
        timer.cancel()


def _unless_failed(event: Event, heard: Callable[[Event], None]) -> None:
    """Passes on what a run says that was told to stop: that it failed is no news then."""
    if not isinstance(event, Ended) or event.status == "ok":
        heard(event)


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
