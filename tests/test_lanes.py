from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from harness.lanes import in_lanes, once


def refuse(stop: KeyboardInterrupt) -> None:
    raise AssertionError("nobody pressed Ctrl-C")


def test_results_are_in_the_order_of_the_items_whichever_ends_first():
    second = threading.Event()

    def call(item: int) -> int:
        if item == 0:
            assert second.wait(10), "the second call goes on beside the first"
        second.set()
        return item * 10

    assert in_lanes(call, [0, 1], lanes=2, stop=refuse) == [0, 10]


def test_one_lane_stays_in_its_thread():
    seen = in_lanes(lambda _: threading.get_ident(), [1, 2], lanes=1, stop=refuse)
    assert set(seen) == {threading.get_ident()}


def test_nothing_to_do_gives_nothing():
    assert in_lanes(str, [], lanes=4, stop=refuse) == []


def test_what_a_call_raises_comes_when_all_have_ended():
    ended = []

    def call(item: int) -> None:
        if item == 0:
            raise ValueError("the first")
        ended.append(item)

    with pytest.raises(ValueError, match="the first"):
        in_lanes(call, [0, 1, 2], lanes=3, stop=refuse)
    assert sorted(ended) == [1, 2]


@pytest.fixture
def usual_ctrl_c() -> Iterator[None]:
    """A command that was called in this process may have left a handler of its own."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def stopped_by(press: Callable[[], None]) -> list[int]:
    """What two calls give that end when they are told to."""
    stopped, begun = threading.Event(), threading.Barrier(3)

    def call(item: int) -> int:
        begun.wait(10)
        assert stopped.wait(10)
        return item

    def wait_and_press() -> None:
        begun.wait(10)
        press()

    threading.Thread(target=wait_and_press).start()
    return in_lanes(call, [1, 2], lanes=2, stop=lambda _: stopped.set())


def test_ctrl_c_makes_the_calls_end_and_loses_no_result(usual_ctrl_c: None):
    assert stopped_by(lambda: os.kill(os.getpid(), signal.SIGINT)) == [1, 2]


def test_a_second_ctrl_c_while_the_first_is_told_stops_the_calls_too(usual_ctrl_c: None):
    told: list[KeyboardInterrupt] = []
    stopped = threading.Event()

    def stop(interrupt: KeyboardInterrupt) -> None:
        told.append(interrupt)
        if len(told) == 1:
            raise KeyboardInterrupt
        stopped.set()

    def call(item: int) -> None:
        begun.set()
        assert stopped.wait(10)

    def press() -> None:
        begun.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    begun = threading.Event()
    threading.Thread(target=press).start()
    with pytest.raises(KeyboardInterrupt):
        in_lanes(call, [1, 2], lanes=2, stop=stop)
    assert len(told) == 2


def test_ctrl_c_that_another_thread_is_given_is_heard(usual_ctrl_c: None):
    def press() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    assert stopped_by(press) == [1, 2]


def test_once_is_once():
    called = []
    tell = once(lambda: called.append(1))
    tell()
    tell()
    assert called == [1]
