"""Several runs at once: the threads of this process that wait for them.

A thread only waits, for a worker somewhere else, so there may be many. Ctrl-C comes to the
main thread alone: it says that nothing begins any more, and waits for the others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

LOOK_S = 0.5  # how late Ctrl-C may be heard


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
    threads = min(lanes, len(listed))
    with ThreadPoolExecutor(threads, "run") as pool, ThreadPoolExecutor(1) as hand:
        try:
            # another thread hands the calls out, so that Ctrl-C comes between no two of them
            ended = hand.submit(_all_ended, pool, function, listed)
            _wait(ended, stop)
        except KeyboardInterrupt as interrupt:  # it came while another one was told
            stop(interrupt)
            raise
    return [future.result() for future in ended.result()]


def _wait(ended: Future[Any], stop: Callable[[KeyboardInterrupt], None]) -> None:
    while True:
        try:
            if ended.done():
                return
            # a signal that comes just before a wait begins, or to another thread, ends no
            # wait: it is heard at the next one
            wait([ended], LOOK_S)
        except KeyboardInterrupt as interrupt:
            stop(interrupt)


def _all_ended(
    pool: ThreadPoolExecutor, function: Callable[[In], Out], items: Sequence[In]
) -> list[Future[Out]]:
    futures = [pool.submit(function, item) for item in items]
    wait(futures)
    return futures


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
