"""What comes of a check, whatever it raises."""

from __future__ import annotations

import json

import pytest

from harness.checks.check import Check, Fault, NotApplicable, Outcome, outcome, to_json
from harness.errors import DataError, Unavailable


def raising(error: BaseException | None) -> Check[None]:
    def perform(subject: None) -> str:
        if error is not None:
            raise error
        return "a remark"

    return Check("one", "shows", perform, ("before",))


def come_of(error: BaseException | None, *, exempt={}, failed=()) -> Outcome:
    return outcome(raising(error), None, exempt=exempt, failed=failed)


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (None, "pass", "a remark"),
        (Fault(given="a", expected="b", do="c"), "fail", "a; expected b; c"),
        (NotApplicable("no padding"), "exempt", "no padding"),
        (Unavailable("no file"), "unavailable", "no file"),
        (DataError("a bad file"), "fail", "a bad file"),
    ],
)
def test_what_a_check_foresees_is_one_line(error, status: str, words: str):
    found = come_of(error)
    assert (found.status, found.words, found.traceback) == (status, words, "")
    assert found.check == "one" and found.seconds >= 0


@pytest.mark.parametrize("error", [ValueError("first\nsecond"), SystemExit("first")])
def test_what_a_plugin_raises_keeps_its_traceback(error: BaseException):
    found = come_of(error)
    assert found.status == "fail" and "first; expected no exception" in found.words
    assert "\n" not in found.words and "Traceback" in found.traceback


def test_ctrl_c_is_not_an_outcome():
    with pytest.raises(KeyboardInterrupt):
        come_of(KeyboardInterrupt())


def test_an_exemption_comes_first_and_then_what_is_needed():
    never = AssertionError("it was performed")
    assert come_of(never, exempt={"one": "why"}, failed=["before"]) == Outcome(
        "one", "exempt", words="why"
    )
    assert come_of(never, failed=["before"]).words == "needs before to pass"
    assert come_of(None, failed=["another"]).status == "pass"


def test_an_outcome_travels_as_json():
    found = come_of(None)
    assert Outcome(**json.loads(json.dumps(to_json(found)))) == found
