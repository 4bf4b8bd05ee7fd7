"""Children that answer a question, and those that do not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.children import Answer, ask

MODULE = """
import atexit, os, subprocess, sys, threading, time
from harness.tie import take_over

how = take_over(sys.argv[1:]).strip()
print("first", flush=True)
if how == "die":
    sys.stdout.write("half a line")
    sys.stdout.flush()
    os._exit(3)
if how == "hang":
    time.sleep(600)
if how == "fork":
    # holds the pipe of answers open, in a session of its own
    sleep = [sys.executable, "-c", "import time; time.sleep(20)"]
    subprocess.Popen(sleep, start_new_session=True)
if how == "slow":
    for _ in range(4):
        time.sleep(3)
        print("first", flush=True)
print("second", flush=True)
sys.stdout.close()
os.close(1)
if how == "thread":
    threading.Thread(target=time.sleep, args=(600,)).start()
if how == "atexit":
    atexit.register(time.sleep, 600)
"""


@pytest.fixture(autouse=True)
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "answering.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))


def answer(how: str, *, patience_s: float = 60.0) -> Answer:
    return ask("answering", how, patience_s=patience_s, stderr=subprocess.DEVNULL)


def test_a_child_is_heard_out():
    assert answer("fine") == Answer(("first\n", "second\n"), 0)


def test_of_a_child_that_dies_whole_lines_are_kept():
    assert answer("die") == Answer(("first\n",), 3)


def test_a_child_that_takes_too_long_is_killed_and_what_it_said_is_kept():
    assert answer("hang", patience_s=5.0) == Answer(("first\n",), None)


@pytest.mark.parametrize("how", ["thread", "atexit"])
def test_a_child_that_has_answered_and_does_not_leave_is_not_waited_for(how: str):
    start = time.monotonic()
    assert answer(how).lines == ("first\n", "second\n")
    assert time.monotonic() - start < 30


def test_patience_is_for_each_line():
    assert answer("slow", patience_s=10.0) == Answer(("first\n",) * 5 + ("second\n",), 0)


def test_what_a_child_leaves_behind_holds_nothing_up():
    start = time.monotonic()
    assert answer("fork") == Answer(("first\n", "second\n"), 0)
    assert time.monotonic() - start < 15


DRIVER = """
import subprocess, sys
from harness.children import started
import os
with started("answering", stderr=subprocess.DEVNULL, environment=os.environ) as child:
    child.process.stdin.write("hang\\n")
    child.process.stdin.flush()
    next(child.lines)
    print(child.process.pid, flush=True)
    next(child.lines)
"""


def test_a_child_ends_with_its_driver():
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdout is not None
        pid = int(driver.stdout.readline())
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/stat").exists():
        if ") Z " in Path(f"/proc/{pid}/stat").read_text():
            break
        assert time.monotonic() < deadline, "it goes on"
        time.sleep(0.05)
