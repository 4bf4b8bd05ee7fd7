"""What ties a child to its driver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

CHILD = """
import sys, time
from harness.tie import take_over
print(take_over(sys.argv[1:]).strip(), repr(sys.stdin.read()), flush=True)
{then}
"""
SLEEP = "time.sleep(600)"
# one call into C that never gives the interpreter to another thread
GREEDY = "import re; re.match('(a+)+$', 'a' * 64 + 'b')"


@contextmanager
def child(then: str, tie: bool = False) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A child in a group of its own, and the end of the pipe that it may be tied to."""
    theirs, ours = os.pipe()
    command = [sys.executable, "-c", CHILD.format(then=then), *([str(theirs)] if tie else [])]
    with subprocess.Popen(
        command, text=True, start_new_session=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(theirs,),
    ) as process:  # fmt: skip
        os.close(theirs)
        try:
            yield process, ours
        finally:
            process.kill()


def asked(process: subprocess.Popen[str]) -> str:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("a question\n")
    process.stdin.flush()
    return process.stdout.readline()


def test_the_line_is_the_childs_and_its_standard_input_is_empty():
    with child("") as (process, ours):
        assert asked(process) == "a question ''\n"
        assert process.wait(30) == 0
        os.close(ours)


def test_a_child_ends_when_its_standard_input_does():
    with child(SLEEP) as (process, ours):
        asked(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == -signal.SIGKILL
        os.close(ours)


def test_a_child_that_holds_the_interpreter_ends_with_its_tie():
    with child(GREEDY, tie=True) as (process, ours):
        asked(process)
        os.close(ours)
        assert process.wait(30) == -signal.SIGKILL


def test_a_child_that_is_asked_nothing_says_so():
    with child(SLEEP) as (process, ours):
        assert process.communicate("")[1].strip().endswith("expected a line of JSON")
        assert process.returncode == 1
        os.close(ours)
