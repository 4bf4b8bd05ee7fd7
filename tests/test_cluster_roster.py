"""Who may be used, and whose turn it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest
from rosters import HERE, roster

from harness.cluster.roster import NotOn
from harness.errors import UsageError


def test_a_worker_takes_as_many_runs_as_it_has_threads_and_resources_for():
    found, _ = roster(resources={"gpu": 1.0, "memory": 4e9})
    about = {"host": "h", "nthreads": 8, "resources": {"gpu": 3.0, "memory": 9e9}}
    found.look({"tcp://a": about})
    assert found.slots == {"tcp://a": 2}


def test_who_leaves_and_who_comes_later_is_seen():
    found, notes = roster()
    found.look({})
    assert notes == ["no worker that may be used is there; runs wait for one"]
    found.look({"tcp://a": HERE})
    found.look({"tcp://b": HERE})
    assert found.slots == {"tcp://b": 2}


def test_a_worker_that_is_refused_is_told_of_once_and_greeted_once():
    asked: list[str] = []

    def greet(new: Sequence[str]) -> dict[str, str]:
        asked.extend(new)
        return dict.fromkeys(new, "it is another one")

    found, notes = roster(greet=greet)
    for _ in range(3):
        found.look({"tcp://a": HERE})
    assert asked == ["tcp://a"] and found.slots == {}
    assert [note for note in notes if "is not used" in note] == [
        "worker tcp://a on tcp is not used: it is another one"
    ]


def test_workers_that_came_are_greeted_together():
    asked: list[Sequence[str]] = []

    def greet(new: Sequence[str]) -> dict[str, str]:
        asked.append(new)
        return dict.fromkeys(new, "")

    found, _ = roster(greet=greet)
    found.look({"tcp://a": HERE})
    found.look({"tcp://a": HERE, "tcp://b": HERE, "tcp://c": HERE})
    assert asked == [["tcp://a"], ["tcp://b", "tcp://c"]]


def test_what_goes_wrong_while_a_worker_is_greeted_is_tried_again_and_then_told():
    answers: list[str | BaseException] = [OSError("it is busy"), ""]
    found, notes = roster(greet=lambda new: {"tcp://a": answers.pop(0)})
    for _ in range(2):
        found.look({"tcp://a": HERE})
    assert found.slots == {"tcp://a": 2} and not [n for n in notes if "not used" in n]

    found, notes = roster(greet=lambda new: {"tcp://a": OSError("it is\nbroken")})
    for _ in range(5):
        found.look({"tcp://a": HERE})
    assert [note for note in notes if "is not used" in note] == [
        "worker tcp://a on tcp is not used: it cannot be prepared (OSError: it is)"
    ]


def test_a_greeting_that_fails_as_a_whole_is_tried_again_and_costs_no_other_worker():
    def greet(new: Sequence[str]) -> dict[str, str]:
        if "tcp://a" in new:
            raise UsageError("plug.py changed while it was shipped; run again")
        return dict.fromkeys(new, "")

    found, notes = roster(greet=greet)
    for _ in range(3):
        found.look({"tcp://a": HERE})
    assert "plug.py changed while it was shipped" in notes[-1] and "tcp://a" in found.refused
    found.look({"tcp://a": HERE, "tcp://b": HERE})
    assert found.slots == {"tcp://b": 2}


def test_a_turn_is_waited_for_until_there_is_room():
    found, _ = roster()
    entered = threading.Event()

    def take() -> None:
        with found.slot(lambda: True):
            entered.set()

    waiting = threading.Thread(target=take)
    waiting.start()
    time.sleep(0.05)
    assert not entered.is_set()
    found.look({"tcp://a": HERE})
    assert entered.wait(10)
    waiting.join()
    assert found.busy == 0


def test_who_is_not_wanted_any_more_gets_no_turn():
    found, _ = roster()
    with pytest.raises(NotOn), found.slot(lambda: False):
        raise AssertionError
