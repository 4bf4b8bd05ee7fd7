"""How memory is asked for in a worker.

XLA's CPU runtime gives its temporary buffers back to the kernel after every execution
and faults them in again, 4 KiB at a time. With transparent huge pages a fault brings
2 MiB. glibc reads the setting when a process starts, so it is a matter of the
environment that a worker is given. It changes no result.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping

VARIABLE = "GLIBC_TUNABLES"
HUGE_PAGES = "glibc.malloc.hugetlb=1"
SWITCH = "HARNESS_HUGE_PAGES"


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker: the caller's, and huge pages where they can be had.

    Nothing is added where the C library is not glibc, where the caller has set
    `GLIBC_TUNABLES`, or where `HARNESS_HUGE_PAGES` is 0.
    """
    given = dict(environment)
    if VARIABLE in given or given.get(SWITCH) == "0" or platform.libc_ver()[0] != "glibc":
        return given
    return {**given, VARIABLE: HUGE_PAGES}


def allocator(environment: Mapping[str, str]) -> str:
    """What a process with this environment was told about memory; "" is the default."""
    return environment.get(VARIABLE, "")
