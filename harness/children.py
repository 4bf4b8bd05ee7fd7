"""Child processes, from their start to the end of all that they started.

A child is `python -m MODULE` in a process group of its own. It is handed one line on its
standard input and says what it has to say line by line; `harness.tie` is its side. Whatever
ends this process ends the child too.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

# seconds between asking a child to stop and killing it
GRACE = 5.0
# seconds in which what a dead child had said arrives
DRAIN = 2.0

Process = subprocess.Popen[str]


@dataclass(frozen=True)
class Child:
    """A running child, and what it says line by line until it has ended."""

    process: Process
    lines: Iterator[str]


@dataclass(frozen=True)
class Answer:
    """What a child said until it ended.

    Attributes:
      lines: whole ones; what its death cut off is left out.
      code: its exit code, None for one that took too long and was killed.
    """

    lines: tuple[str, ...]
    code: int | None


def ask(
    module: str, asked: str, *, patience_s: float, stderr: int,
    hear: Callable[[str], None] = lambda line: None,
) -> Answer:  # fmt: skip
    """Starts a child, asks it one line and hears it out.

    Args:
      patience_s: seconds that it may take for each line of its answer.
      hear: is told each whole line as it comes.
    """
    with started(module, stderr=stderr, environment=os.environ) as child:
        late = threading.Event()

        def give_up() -> None:
            late.set()
            kill(child.process)

        lines: list[str] = []
        hand_over(child, asked)
        while True:
            with timer(patience_s, give_up):
                line = next(child.lines, None)
            if line is None:
                break
            lines.append(line)
            if line.endswith("\n"):
                hear(line)
        with suppress(subprocess.TimeoutExpired):  # a thread of a plugin goes on
            child.process.wait(GRACE)
    # by now it has ended, or has been made to
    whole = tuple(line for line in lines if line.endswith("\n"))
    return Answer(whole, None if late.is_set() else child.process.returncode)


@contextmanager
def timer(seconds: float, then: Callable[[], None]) -> Iterator[None]:
    """Does something if the block takes longer than so many seconds."""
    waiting = threading.Timer(seconds, then)
    waiting.daemon = True
    waiting.start()
    try:
        yield
    finally:
        waiting.cancel()


@contextmanager
def started(module: str, *, stderr: int, environment: Mapping[str, str]) -> Iterator[Child]:
    """A child in a process group of its own, ended with all its children on the way out."""
    # nothing is ever written to it: its end is the sign that this process has gone
    theirs, ours = os.pipe()
    # -P: a file in the user's folder must not stand in for a library
    command = [sys.executable, "-P", "-m", module, str(theirs)]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
            encoding="utf-8", errors="replace", start_new_session=True,
            env=dict(environment), pass_fds=(theirs,),
        )  # fmt: skip
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    try:
        yield Child(process, _lines(process))
    finally:
        stop(process)
        os.close(ours)
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()


def hand_over(child: Child, asked: str) -> None:
    """Gives the child its line; the pipe stays open."""
    stdin = child.process.stdin
    assert stdin is not None
    with suppress(BrokenPipeError):  # it died before it read: its exit code tells
        stdin.write(asked + "\n")
        stdin.flush()


def _lines(process: Process) -> Iterator[str]:
    """What a child says, until it has ended, whoever else holds its pipe open."""
    said: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        with process.stdout as pipe:
            for line in pipe:
                said.put(line)
        said.put(None)

    reader = threading.Thread(target=read, daemon=True)

    def bury() -> None:
        process.wait()
        kill(process)  # what a dead child leaves
        reader.join(DRAIN)
        said.put(None)

    reader.start()
    threading.Thread(target=bury, daemon=True).start()
    return iter(said.get, None)


def stop(process: Process) -> None:
    """Terminates, then kills. Safe to call on a process that has ended."""
    try:
        if process.poll() is None:
            send(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
    finally:  # also if a second Ctrl-C comes while it waits
        kill(process)
        process.wait()


def kill(process: Process) -> None:
    """Kills the whole group, which may outlive its leader."""
    send(process, getattr(signal, "SIGKILL", signal.SIGTERM))


def send(process: Process, number: int) -> None:
    """Sends a signal to the whole group."""
    with suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.send_signal(number)
        else:
            os.killpg(process.pid, number)
