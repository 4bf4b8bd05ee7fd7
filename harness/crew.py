"""The processes of one run that is several: they live and die together.

Each is a worker. The first speaks for the run: its events are the run's, it writes what is
kept. Of the others only their end is of interest: one that dies or fails ends the run, since
the others would wait for it for ever.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import logs
from harness.allocator import worker_environment
from harness.children import GRACE, Child, hand_over, kill, send, started, stop, timer
from harness.deadlines import Deadlines, Limits
from harness.events import Ended, Event, Phase, from_line
from harness.plan import Run, run_to_json

# seconds in which the death of the process that caused a failure becomes known
SETTLE = 2.0


def perform_together(
    run: Run, log: Path, heard: Callable[[Event], None], limits: Limits,
    settings: Mapping[str, Any], environment: Mapping[str, str],
    is_wanted: Callable[[], bool],
) -> Ended | None:  # fmt: skip
    """Performs a run in `run.recipe.processes` processes; as a `harness.workers.Executor`."""
    with logs.kept(log) as output, ExitStack() as stack:
        environment = worker_environment(environment)
        members = [
            stack.enter_context(
                started("harness.worker", stderr=output, environment=environment)
            )
            for _ in range(run.recipe.processes)
        ]
        crew = _Crew(members, heard)
        deadlines = crew.deadlines = Deadlines(limits, crew.end, is_wanted)
        with deadlines.running():
            for asked, member in zip(_asked(run, settings), members, strict=True):
                hand_over(member, json.dumps(asked))
            try:
                crew.listen()
            except KeyboardInterrupt:
                crew.hear_out()
                raise
        if deadlines.unwanted:
            return Ended("interrupted", "KeyboardInterrupt", f"stopped: {deadlines.reason}")
        if deadlines.reason:
            return Ended("timeout", "Timeout", deadlines.reason)
        return crew.ended(log)


def _asked(run: Run, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What each process is asked: the others than the first keep nothing and tell nobody."""
    count, told = run.recipe.processes, run_to_json(run)
    address = f"127.0.0.1:{_free_port()}"
    others = {**settings, "speaks": False, "save": False}
    return [
        {
            "run": told if number == 0 else {**told, "observers": ()},
            "settings": dict(settings) if number == 0 else others,
            "crew": {"number": number, "count": count, "address": address},
        }
        for number in range(count)
    ]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@dataclass
class _Crew:
    """The running processes of a run.

    Attributes:
      heard: is told what the first one says, but for its failure.
      last: the last word of each, by its number.
      codes: with which exit code each ended that was not made to end, by its number.
      over: whether the processes have been made to end.
    """

    members: Sequence[Child]
    heard: Callable[[Event], None]
    deadlines: Deadlines | None = None
    last: dict[int, Ended] = field(default_factory=dict)
    codes: dict[int, int] = field(default_factory=dict)
    over: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def listen(self) -> None:
        """Hears the first process until it has ended, and sees to the others meanwhile."""
        watching = [
            threading.Thread(target=self._watch, args=(number,), daemon=True)
            for number in range(1, len(self.members))
        ]
        for thread in watching:
            thread.start()
        self._hear(0, self._tell)
        fine = self._is_fine(0)
        for thread in watching:  # they leave by themselves, or whose death it was shows
            thread.join(GRACE if fine else SETTLE)
        self.end()

    def hear_out(self) -> None:
        """Asks the first process to stop and hears what it has measured so far.

        The others go on until then: it might wait for them in the middle of a step. A second
        Ctrl-C kills all at once.
        """
        with self._lock:
            self.over = True
        try:
            send(self.members[0].process, signal.SIGTERM)
            with timer(GRACE, self._kill):
                self._hear(0, self._tell)
        finally:
            self._kill()

    def _kill(self) -> None:
        for member in self.members:
            kill(member.process)

    def _tell(self, event: Event) -> None:
        if isinstance(event, Phase) and self.deadlines is not None:
            self.deadlines.enter(event.name)
        if isinstance(event, Ended) and self.deadlines is not None:
            self.deadlines.over()
        if not isinstance(event, Ended) or event.status == "ok":
            self.heard(event)

    def _watch(self, number: int) -> None:
        """Hears another process than the first; when it dies or fails, all have to end."""
        self._hear(number, lambda event: None)
        if not self._is_fine(number):
            if number in self.last:  # the first has most likely met the same, and says so
                with suppress(subprocess.TimeoutExpired):
                    self.members[0].process.wait(GRACE)
            self.end()

    def _hear(self, number: int, tell: Callable[[Event], None]) -> None:
        member = self.members[number]
        for line in member.lines:
            try:
                event = from_line(line)
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                continue  # cut off by its death, or a plugin's
            tell(event)
            if isinstance(event, Ended):
                self.last[number] = event
                break
        with suppress(subprocess.TimeoutExpired):
            code = member.process.wait(GRACE)
            with self._lock:
                if not self.over:
                    self.codes[number] = code

    def _is_fine(self, number: int) -> bool:
        return number in self.last and self.last[number].status == "ok"

    def end(self) -> None:
        """Makes all processes end that have not."""
        with self._lock:
            self.over = True
        for member in self.members[1:]:
            kill(member.process)  # they keep nothing
        stop(self.members[0].process)

    def ended(self, log: Path) -> Ended | None:
        """How the run ended; None where its first process has said that it is done."""
        if self._is_fine(0):
            return None
        killed = [number for number, code in self.codes.items() if code < 0]
        if killed:
            name = _signal_name(-self.codes[killed[0]])
            return Ended("failed", name, f"{self._which(killed[0])} was killed by {name}")
        if 0 in self.last:
            return self.last[0]
        for number, word in self.last.items():
            if word.status != "ok":
                told = f"{self._which(number)}: {word.error_message}"
                return Ended(word.status, word.error_type, told)
        number, code = next(iter(self.codes.items()), (0, 1))
        told = f"{self._which(number)} left with exit code {code}: {logs.last_line(log)}"
        return Ended("failed", "Died", told)

    def _which(self, number: int) -> str:
        return f"process {number} of {len(self.members)}"


def _signal_name(number: int) -> str:
    known = {int(s): s.name for s in signal.Signals}
    return known.get(number, f"signal {number}")
