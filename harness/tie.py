"""A child's tie to its driver: when the driver has gone, killed or not, so is the child.

The driver keeps two pipes to each child open and writes one line to the first. Whatever ends
the driver ends the pipes, and with them the child and all that it started.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

if sys.platform != "win32":
    import fcntl


def take_over(ties: Sequence[str]) -> str:
    """The line that the driver asks with; from now on its end of the pipes is watched.

    Args:
      ties: what the process was given on its command line: descriptors of pipes to which
        nothing is ever written.
    """
    for tie in ties:
        _tie(int(tie))
    driver = os.fdopen(os.dup(0), "rb", buffering=0)
    # a plugin that reads standard input finds nothing there, and takes nothing away
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    line = b""
    while not line.endswith(b"\n"):
        some = driver.read(1 << 16)
        if not some:
            raise SystemExit("nothing asked on standard input; expected a line of JSON")
        line += some
    threading.Thread(target=_leave_with, args=(driver,), daemon=True).start()
    return line.decode()


def _tie(pipe: int) -> None:
    """Lets the kernel kill the group at the first sign on a pipe, which is its end.

    A plugin may hold the interpreter for ever, so that no thread comes to hear that the
    driver has gone. Only Linux can be told which signal to send, and not every sandbox.
    """
    if sys.platform != "linux" or os.getpgrp() != os.getpid():
        return
    with suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)


def _leave_with(driver: IO[bytes]) -> None:
    """Ends this process and all that it started when the driver has gone."""
    with suppress(OSError):  # closed by a plugin: there is no tie any more
        while driver.read(1 << 16):
            pass
    # the leader of a group of its own, as the driver starts it
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)
