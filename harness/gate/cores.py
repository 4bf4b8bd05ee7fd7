"""What the operating system tells of the machine's cores, and how sides are put on them.

Where it tells nothing (no `/proc`) every share is zero: nothing is dropped for what
nobody knows.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from harness.gate.workers import Broken, Worker, ask_all

# fields of a line of /proc/stat, in hundredths of a second
IDLE, IOWAIT, STEAL = 3, 4, 7
COUNTED = 8  # what stands behind is counted in these already
STAT = Path("/proc/stat")
ATTEMPTS = 10
CAN_PIN = sys.platform == "linux"


@dataclass(frozen=True)
class Reading:
    """Clocks at one moment.

    Attributes:
      stolen_s, busy_s: seconds that the machine's host took, and that anything computed
        on the cores that this process may use, since the machine started.
      cpu_s: by side, seconds of CPU time that its worker has used.
    """

    at: float
    stolen_s: float
    busy_s: float
    cpu_s: Mapping[str, float]


@dataclass(frozen=True)
class Usage:
    """What was used between two readings, as shares of the time.

    Attributes:
      steal, others: of all usable cores.
      cpu: by side, of one core.
    """

    steal: float
    others: float
    cpu: Mapping[str, float]


def usable() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if CAN_PIN else list(range(os.cpu_count() or 1))


def _is_limited(group: Path = Path("/sys/fs/cgroup/cpu.max")) -> bool:
    """Whether this is a container with a share of the machine's time.

    The machine's counters are then of all its tenants, who take nothing from that share.
    """
    try:
        return not group.read_text().startswith("max")
    except OSError:
        return False


def read(workers: Mapping[str, Worker]) -> Reading:
    """Reads the clocks, with all workers at rest."""
    cpu_s = {side: told["cpu_s"] for side, told in ask_all(workers, do="rest").items()}
    stolen_s, busy_s = (0.0, 0.0) if _is_limited() else counters(STAT, usable())
    return Reading(time.monotonic(), stolen_s, busy_s, cpu_s)


def between(first: Reading, last: Reading) -> Usage:
    passed, cores = last.at - first.at, len(usable())
    used = {side: last.cpu_s[side] - first.cpu_s[side] for side in last.cpu_s}
    others = max(0.0, last.busy_s - first.busy_s - sum(used.values()))
    return Usage(
        steal=(last.stolen_s - first.stolen_s) / passed / cores,
        others=others / passed / cores,
        cpu={side: seconds / passed for side, seconds in used.items()},
    )


def counters(stat: Path, cores: Iterable[int]) -> tuple[float, float]:
    """Seconds stolen from and computed on some cores so far; zeros where nothing tells."""
    names, stolen, busy = {f"cpu{core}" for core in cores}, 0, 0
    with suppress(OSError, ValueError, IndexError):
        for line in stat.read_text().splitlines():
            name, *fields = line.split()
            if name in names:
                numbers = [int(field) for field in fields[:COUNTED]]
                stolen += numbers[STEAL]
                busy += sum(numbers) - numbers[IDLE] - numbers[IOWAIT] - numbers[STEAL]
    return stolen / 100, busy / 100


def halves() -> tuple[frozenset[int], frozenset[int]] | None:
    """The usable cores in two equal halves; None where there is one core or no pinning.

    Threads of one physical core stay on one side, unless there is only one such core. One
    that is left over is nobody's.
    """
    cores = usable()
    if not CAN_PIN or len(cores) < 2:
        return None
    groups: dict[int, list[int]] = {}
    for core in cores:
        groups.setdefault(_physical(core), []).append(core)
    # those with as many threads, so that the halves are equal
    size = max(map(len, groups.values()))
    whole = [group for group in groups.values() if len(group) == size]
    if len(whole) < 2:
        whole = [[core] for core in cores]
    half = len(whole) // 2
    first, second = whole[:half], whole[half : 2 * half]
    return frozenset(chain(*first)), frozenset(chain(*second))


def _physical(core: int) -> int:
    """The first of the threads that share a core."""
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    try:
        return int(path.read_text().replace("-", ",").split(",")[0])
    except (OSError, ValueError):
        return core


def pin(worker: Worker, cores: frozenset[int]) -> None:
    """Puts all threads of a worker on these cores.

    Raises:
      Broken: the machine does not let them.
    """
    tasks = Path(f"/proc/{worker.process.pid}/task")
    for _ in range(ATTEMPTS):  # a thread may be born meanwhile
        for number in _threads(tasks):
            with suppress(OSError):
                os.sched_setaffinity(number, cores)
        if all(_is_on(number, cores) for number in _threads(tasks)):
            return
    raise Broken(
        f"the {worker.side}'s worker cannot be put on the cores {sorted(cores)}; "
        "try --in-turn, which needs no pinning"
    )


def _threads(tasks: Path) -> list[int]:
    try:
        return [int(task.name) for task in tasks.iterdir()]
    except OSError:  # that it died is said by its next answer
        return []


def _is_on(thread: int, cores: frozenset[int]) -> bool:
    try:
        return os.sched_getaffinity(thread) <= cores
    except OSError:  # it has just ended
        return True
