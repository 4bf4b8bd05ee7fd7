"""The process of one run: `python -m harness.worker`.

It reads one planned run, a line of JSON, from standard input and writes events, a line of
JSON each, to what was its standard output. Everything else that anything prints goes to
standard error, which the driver points at the run's log. When standard input ends, the
driver has gone, and so does the worker.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import IO, Any

if sys.platform != "win32":
    import fcntl

from harness import registry
from harness.events import Event, Phase, to_line
from harness.paths import cache_dir
from harness.plan import run_from_json


def main() -> None:
    # a print in a plugin, or in a C library, must not break into the events
    pipe = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    # where a plugin crashes the process, the log says in which line
    faulthandler.enable()
    # a run that is told to stop still says what it has measured
    signal.signal(signal.SIGTERM, _stop)
    for tie in sys.argv[1:]:
        _tie(int(tie))
    asked = _take_over()
    run = run_from_json(asked["run"])
    use_compilation_cache()
    # imported late: JAX reads its configuration when it is first imported
    from harness.execute import Settings, execute

    def emit(event: Event) -> None:
        pipe.write(to_line(event) + "\n")

    # a plugin may end the process while it is imported
    emit(Phase("load"))
    sources = dict.fromkeys((run.dataset.source, run.model.source))
    execute(run, registry.load(sources), emit, settings=Settings(**asked["settings"]))
    pipe.flush()


def _take_over() -> dict[str, Any]:
    """What the driver asks for; from now on its end of the pipe is watched."""
    driver = os.fdopen(os.dup(0), "rb", buffering=0)
    # a plugin that reads standard input finds nothing there, and takes nothing away
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    line = b""
    while not line.endswith(b"\n"):
        some = driver.read(1 << 16)
        if not some:
            raise SystemExit("no run on standard input; expected a line of JSON")
        line += some
    threading.Thread(target=_leave_with, args=(driver,), daemon=True).start()
    return json.loads(line)


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


def _stop(number: int, frame: object) -> None:
    raise SystemExit("told to stop")


def use_compilation_cache() -> None:
    """Lets JAX keep compiled programs in the cache folder, unless the user says otherwise."""
    defaults = {
        "JAX_COMPILATION_CACHE_DIR": str(cache_dir() / "xla"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


if __name__ == "__main__":
    main()
