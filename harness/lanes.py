"""Several runs at once: the threads of this process that wait for them.

A thread only waits, for a worker somewhere else, so there may be many. Ctrl-C comes to the
main thread alone: it says that nothing begins any more, and waits for the others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def in_lanes(
    function: Callable[[In], Out],
    items: Iterable[In],
    *,
    lanes: int,
    stop: Callable[[KeyboardInterrupt], None],
) -> list[Out]:
    """What a function gives for each item, in their order; so many calls go on at once.

    Args:
      stop: is told of each Ctrl-C, and makes the calls that go on come to an end.

    Raises:
      BaseException: the first of what the calls raised, when all have ended.
    """
    listed: Sequence[In] = list(items)
    if lanes == 1 or not listed:
        return [function(item) for item in listed]
    with ThreadPoolExecutor(min(lanes, len(listed)), thread_name_prefix="run") as pool:
        futures = [pool.submit(function, item) for item in listed]
        while True:
            try:
                wait(futures)
                break
            except KeyboardInterrupt as interrupt:
                stop(interrupt)
    return [future.result() for future in futures]


def once(function: Callable[[], None]) -> Callable[[], None]:
    """A function that does something the first time it is called, and nothing afterwards."""
    lock, done = threading.Lock(), []

    def call() -> None:
        with lock:
            if done:
                return
            done.append(True)
        function()

    return call
