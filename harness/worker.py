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

from harness import registry
from harness.events import Event, Phase, to_line
from harness.paths import cache_dir
from harness.plan import run_from_json
from harness.tie import take_over


def main() -> None:
    # a print in a plugin, or in a C library, must not break into the events
    pipe = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    # where a plugin crashes the process, the log says in which line
    faulthandler.enable()
    # a run that is told to stop still says what it has measured
    signal.signal(signal.SIGTERM, _stop)
    asked = json.loads(take_over(sys.argv[1:]))
    run = run_from_json(asked["run"])
    use_compilation_cache()
    if "crew" in asked:
        _join(**asked["crew"])
    # imported late: JAX reads its configuration when it is first imported
    from harness.execute import Settings
    from harness.together import execute_all

    def emit(event: Event) -> None:
        pipe.write(to_line(event) + "\n")

    # a plugin may end the process while it is imported
    emit(Phase("load"))
    known, settings = registry.load(run.sources), Settings(**asked["settings"])
    execute_all(run, known, emit, settings=settings)
    pipe.flush()


def _join(*, number: int, count: int, address: str) -> None:
    """Makes this process one of several that compute together; before any use of JAX."""
    import jax

    # it would take SIGTERM for itself, by which this process is told to stop
    jax.config.update("jax_enable_preemption_service", False)
    jax.distributed.initialize(address, num_processes=count, process_id=number)


def _stop(number: int, frame: object) -> None:
    raise SystemExit("told to stop")


def compilation_cache() -> dict[str, str]:
    """The variables that let JAX keep compiled programs in the cache folder."""
    return {
        "JAX_COMPILATION_CACHE_DIR": str(cache_dir() / "xla"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def use_compilation_cache() -> None:
    """Lets JAX keep compiled programs, unless the user says otherwise."""
    for name, value in compilation_cache().items():
        os.environ.setdefault(name, value)


if __name__ == "__main__":
    main()
