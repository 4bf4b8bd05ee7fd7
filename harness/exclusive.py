"""One run at a time on a machine: `--exclusive`.

Runs that share a machine slow each other down, and their rows say so. Those that ask for the
machine alone take turns: each holds a lock of its user's on the machine, whichever command or
worker of a cluster performs it. A lock is the kernel's and ends with its process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from harness.contention import default_folder
from harness.deadlines import wanted
from harness.events import Ended, Event, Note
from harness.plan import Run
from harness.workers import Executor

# its name must not end as those of the locks that every run holds
NAME = "machine.exclusive"
# seconds between asking whether the run is still wanted
PATIENCE_S = 0.5


def exclusively(
    execute: Executor, *, folder: Path | None = None, is_wanted: Callable[[], bool] = wanted
) -> Executor:
    """An executor that performs a run when no other one that asks for it has the machine.

    Args:
      folder: where the lock is; None is the one of this user on this machine.
      is_wanted: a run that is not wanted any more waits no longer.
    """

    def alone(run: Run, log: Path, heard: Callable[[Event], None]) -> Ended | None:
        where = folder or default_folder()
        where.mkdir(parents=True, exist_ok=True)
        lock, told = FileLock(where / NAME), False
        while True:
            try:
                lock.acquire(timeout=PATIENCE_S)
                break
            except Timeout:
                if not is_wanted():
                    text = "stopped: nobody waits for the run any more"
                    return Ended("interrupted", "KeyboardInterrupt", text)
                if not told:
                    heard(Note("waits until another run has left the machine"))
                told = True
        try:
            return execute(run, log, heard)
        finally:
            lock.release()

    return alone
