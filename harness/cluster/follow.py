"""What comes back of a run while it goes on elsewhere, in the order in which it was said.

Messages may come late or get lost; what a task returns at its end is whole. Each event has a
number, so each is passed on once: as a message if it is the next one, or else at the end. A
task that begins again on another worker is another attempt, and what the one before had said
does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.events import Again, Ended, Event, Measured, from_line


@dataclass
class Follower:
    """Follows one run, whatever happens to its workers.

    Attributes:
      heard: is told each event of the attempt that counts, once and in order.
      log: this machine's copy of the run's log.
      attempt: the one that goes on, "" before the first.
      next: the number of the event that is to be passed on next.
      begun: all attempts so far.
    """

    heard: Callable[[Event], None]
    log: Path
    attempt: str = ""
    next: int = 0
    begun: set[str] = field(default_factory=set)

    def told(self, message: Mapping[str, Any]) -> None:
        """A message of the run's task."""
        if message["attempt"] != self.attempt:
            if message["attempt"] in self.begun:  # a late word of one that was lost
                return
            self._begin(message["attempt"])
        if "log" in message:
            self._write(message["log"], "ab")
        elif message["number"] is None:
            self.heard(from_line(message["line"]))
        elif message["number"] == self.next:
            self.next += 1
            self.heard(from_line(message["line"]))

    def _begin(self, attempt: str) -> None:
        if self.attempt:
            self.heard(Again("its worker was lost; it goes on elsewhere"))
            self.heard(Measured({"log_path": str(self.log)}))
        self.attempt, self.next = attempt, 0
        self.begun.add(attempt)
        self._write("", "wb")

    def finished(self, outcome: Mapping[str, Any]) -> Ended | None:
        """What the task returned; says how the run ended if its last event does not."""
        if outcome["attempt"] != self.attempt:
            self._begin(outcome["attempt"])
        for line in outcome["lines"][self.next :]:
            self.next += 1
            self.heard(from_line(line))
        self._write(outcome["log"], "wb")
        return None if outcome["ended"] is None else Ended(*outcome["ended"])

    def _write(self, text: str, mode: str) -> None:
        """A log that cannot be written costs no run."""
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with open(self.log, mode) as file:
                file.write(text.encode(errors="backslashreplace"))
        except OSError:
            pass
