"""Whether another run was going on on this machine at the same time.

Every run holds a lock on a file of its own for as long as it measures. A run that finds
another one's lock held leaves a mark beside it, so that both know, whichever came first.
A lock is the kernel's and ends with its process, however that ends.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout


def default_folder() -> Path:
    """One folder for all runs of a user on this machine, whatever cache they use."""
    user = os.getuid() if sys.platform != "win32" else os.environ.get("USERNAME", "")
    return Path(tempfile.gettempdir()) / f"harness-{user}-{socket.gethostname()}"


@contextmanager
def watched(folder: Path) -> Iterator[Callable[[], bool | None]]:
    """Gives a function that tells whether this run has shared the machine so far.

    It tells None where the folder cannot be used: nobody knows then.
    """
    own = folder / f"{uuid4().hex}.lock"
    mark = own.with_suffix(".shared")
    lock = FileLock(own)
    met: bool | None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        # after the own lock is held: of two that begin together, one sees the other
        met = _tell_others(folder, own)
    except OSError:
        met = None
    try:
        yield lambda: met if met is None else met or mark.exists()
    finally:
        with suppress(OSError):  # a folder that went away is no fault of the run
            mark.unlink(missing_ok=True)
            own.unlink(missing_ok=True)
        lock.release()


def _tell_others(folder: Path, own: Path) -> bool:
    """Leaves a mark with every run that is going on; whether there was one."""
    met = [other for other in folder.glob("*.lock") if other != own and _is_held(other)]
    for other in met:
        other.with_suffix(".shared").touch()
    return bool(met)


def _is_held(path: Path) -> bool:
    """Whether a living process holds the lock; clears away what a dead one left."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    with suppress(OSError):
        path.unlink(missing_ok=True)
        path.with_suffix(".shared").unlink(missing_ok=True)
    lock.release()
    return False
