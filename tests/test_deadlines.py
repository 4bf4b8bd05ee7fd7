from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from harness.deadlines import PHASES, Deadlines, Limits, parse_phases
from harness.errors import UsageError


def test_phases_are_parsed():
    assert parse_phases(()) == {}
    assert parse_phases(("compile=60", "train=0.5")) == {"compile": 60.0, "train": 0.5}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("compil=3", "did you mean 'compile'"),
        ("compile", "PHASE=SECONDS"),
        ("compile=soon", "PHASE=SECONDS"),
        ("compile=0", "PHASE=SECONDS"),
        ("compile=-1", "PHASE=SECONDS"),
        ("compile=nan", "PHASE=SECONDS"),
        ("compile=inf", "PHASE=SECONDS"),
        ("", "known phases"),
    ],
)
def test_what_is_no_phase_deadline_is_refused(text: str, told: str):
    with pytest.raises(UsageError, match=told):
        parse_phases((text,))


def stopped(limits: Limits, *phases: str) -> str | None:
    """The reason for which a run was stopped that goes through phases and stays in the last."""
    event = threading.Event()
    deadlines = Deadlines(limits, event.set)
    with deadlines.running():
        for phase in phases:
            deadlines.enter(phase)
        event.wait(2.0 if limits.run_s or phases[-1] in limits.phase_s else 0.2)
    return deadlines.reason


def test_the_run_is_stopped_at_its_deadline():
    assert stopped(Limits(0.05), "load") == "stopped after --timeout 0.05 s"


def test_a_phase_is_stopped_at_its_deadline_and_only_that_one():
    limits = Limits(phase_s={"compile": 0.05})
    assert "phase compile went on beyond" in (stopped(limits, "load", "compile") or "")
    assert stopped(limits, "compile", "train") is None


def test_the_first_deadline_gives_the_reason():
    reason = stopped(Limits(0.3, {"load": 0.05}), "load")
    assert reason is not None and "load" in reason


def test_without_limits_nothing_is_stopped():
    assert stopped(Limits(), "train") is None


def test_phases_are_those_that_a_run_enters():
    """Every phase that the code says, and no other."""
    texts = [p.read_text() for p in (Path(__file__).parent.parent / "harness").glob("*.py")]
    said = {name for text in texts for name in re.findall(r'Phase\("(\w+)"\)', text)}
    assert said == set(PHASES)
