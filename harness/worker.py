"""The process of one run: `python -m harness.worker`.

It reads one planned run as JSON from standard input and writes events, a line of JSON
each, to what was its standard output. Everything else that anything prints goes to
standard error, which the driver points at the run's log.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from harness import registry
from harness.events import Event, to_line
from harness.paths import cache_dir
from harness.plan import run_from_json


def main() -> None:
    # a print in a plugin, or in a C library, must not break into the events
    pipe = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    # a run that is told to stop still says what it has measured
    signal.signal(signal.SIGTERM, _stop)
    run = run_from_json(json.load(sys.stdin))
    use_compilation_cache()
    # imported late: JAX reads its configuration when it is first imported
    from harness.execute import execute

    sources = dict.fromkeys((run.dataset.source, run.model.source))

    def emit(event: Event) -> None:
        pipe.write(to_line(event) + "\n")

    execute(run, registry.load(sources), emit)
    pipe.flush()


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
