"""A run is followed from far away."""

from __future__ import annotations

from pathlib import Path

from harness.cluster.follow import Follower
from harness.events import Again, Collector, Ended, EpochEnd, Measured, Progress, to_line

FIRST, SECOND = EpochEnd({"epoch": 1}), EpochEnd({"epoch": 2})


def follower(tmp_path: Path) -> tuple[Follower, list]:
    heard: list = []
    return Follower(heard.append, tmp_path / "run.log"), heard


def message(attempt: str, number: int | None, event) -> dict:
    return {"run": "r", "attempt": attempt, "number": number, "line": to_line(event)}


def outcome(attempt: str, *events, ended=None) -> dict:
    lines = [to_line(event) for event in events]
    return {"attempt": attempt, "lines": lines, "ended": ended, "log": "all of it"}


def test_each_event_is_heard_once_whether_or_not_its_message_came(tmp_path: Path):
    follow, heard = follower(tmp_path)
    follow.told(message("a", 0, FIRST))
    follow.told(message("a", 0, FIRST))  # twice
    follow.told(message("a", None, Progress(1, 2, 3, 4, 0.5, 10.0)))
    follow.told(message("a", 2, Measured({"epochs": 2})))  # the one before was lost
    done = outcome("a", FIRST, SECOND, Measured({"epochs": 2}), Ended("ok"))
    assert follow.finished(done) is None
    kept = [event for event in heard if not isinstance(event, Progress)]
    assert kept == [FIRST, SECOND, Measured({"epochs": 2}), Ended("ok")]
    assert (tmp_path / "run.log").read_text() == "all of it"


def test_what_a_lost_attempt_said_does_not_count(tmp_path: Path):
    follow, heard = follower(tmp_path)
    follow.told(message("a", 0, FIRST))
    follow.told(message("b", 0, FIRST))
    follow.told(message("a", 1, SECOND))  # a late word
    assert follow.finished(outcome("b", FIRST, SECOND, ended=["timeout", "T", "m"])) == Ended(
        "timeout", "T", "m"
    )
    collector = Collector({"run_id": "r"})
    for event in heard:
        collector.add(event)
    assert len([event for event in heard if isinstance(event, Again)]) == 1
    assert collector.epochs == [{"epoch": 1}, {"epoch": 2}]
    assert collector.measured == {"log_path": str(tmp_path / "run.log")}


def test_a_log_grows_while_the_run_goes_on(tmp_path: Path):
    follow, _ = follower(tmp_path)
    for text in ("one\n", "two\n"):
        follow.told({"run": "r", "attempt": "a", "log": text})
    assert (tmp_path / "run.log").read_text() == "one\ntwo\n"
