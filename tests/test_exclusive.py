from __future__ import annotations

import threading
from pathlib import Path

from performed import runs_of

from harness.events import Ended, Note
from harness.exclusive import exclusively
from harness.registry import Registry


def test_two_runs_take_turns_and_the_second_says_that_it_waits(known: Registry, tmp_path: Path):
    first, second = runs_of(known, "mean_pool", seeds=2)
    inside, waits, heard = threading.Event(), threading.Event(), []
    order: list[str] = []

    def slow(run, log, heard) -> None:
        order.append("first begins")
        inside.set()
        assert waits.wait(30), "the second never waited"
        order.append("first ends")

    def quick(run, log, heard) -> None:
        order.append("second begins")

    def hear(event) -> None:
        heard.append(event)
        waits.set()

    one = threading.Thread(
        target=exclusively(slow, folder=tmp_path), args=(first, tmp_path / "log", heard.append)
    )
    one.start()
    assert inside.wait(30)
    exclusively(quick, folder=tmp_path)(second, tmp_path / "log", hear)
    one.join()
    assert order == ["first begins", "first ends", "second begins"]
    assert heard == [Note("waits until another run has left the machine")]


def test_a_run_that_nobody_wants_waits_no_longer(known: Registry, tmp_path: Path):
    (run,) = runs_of(known, "mean_pool")
    inside, over = threading.Event(), threading.Event()

    def holds(run, log, heard) -> None:
        inside.set()
        over.wait(30)

    def never(run, log, heard) -> None:
        raise AssertionError("it was begun")

    hear = [].append
    one = threading.Thread(
        target=exclusively(holds, folder=tmp_path), args=(run, tmp_path / "log", hear)
    )
    one.start()
    assert inside.wait(30)
    waiting = exclusively(never, folder=tmp_path, is_wanted=lambda: False)
    ended = waiting(run, tmp_path / "log", hear)
    over.set()
    one.join()
    assert isinstance(ended, Ended) and ended.status == "interrupted"


def test_a_failure_gives_the_machine_back(known: Registry, tmp_path: Path):
    (run,) = runs_of(known, "mean_pool")

    def fails(run, log, heard) -> None:
        raise OSError("no process")

    for _ in range(2):  # the second would wait for ever
        try:
            exclusively(fails, folder=tmp_path)(run, tmp_path / "log", [].append)
        except OSError as error:
            assert str(error) == "no process"
