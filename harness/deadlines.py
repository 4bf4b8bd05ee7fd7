"""Deadlines of a run and of its phases: timers that fire in a thread of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from harness.errors import UsageError, did_you_mean

# seconds between asking whether a run is still wanted
WATCH_S = 0.5
# what a run says it enters; training and evaluation take turns, an epoch each
PHASES = ("load", "data", "construct", "prepare", "compile", "train", "evaluate", "metrics")


@dataclass(frozen=True)
class Limits:
    """How long a run may take.

    Attributes:
      run_s: seconds for the whole run, None for as long as it takes.
      phase_s: seconds for a phase each time the run enters it, by its name in `PHASES`.
    """

    run_s: float | None = None
    phase_s: Mapping[str, float] = field(default_factory=dict)


def is_duration(seconds: float) -> bool:
    """Whether a timer can run so long: neither zero nor endless nor no number."""
    return 0 < seconds < threading.TIMEOUT_MAX


UNLIMITED = Limits()


def parse_phases(texts: tuple[str, ...]) -> dict[str, float]:
    """Phase deadlines from the command line.

    >>> parse_phases(("compile=60", "train=600"))
    {'compile': 60.0, 'train': 600.0}

    Raises:
      UsageError: no phase has that name, or the value is no number of seconds.
    """
    found: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in PHASES:
            raise UsageError(
                f"--phase-timeout {text!r}: {did_you_mean(name, PHASES, what='phases')}"
            )
        try:
            seconds = float(value)
        except ValueError:
            seconds = 0.0
        if not is_duration(seconds):
            raise UsageError(
                f"--phase-timeout {text!r}: expected PHASE=SECONDS, as in {name}=60"
            )
        found[name] = seconds
    return found


def wanted() -> bool:
    """Somebody waits for the run."""
    return True


class Deadlines:
    """The timers of one run; the first one that fires stops the run and says why.

    Attributes:
      reason: what went on for too long; empty where the run has ended before.
      unwanted: whether nobody waits for the run any more, which stops it too.
    """

    def __init__(
        self, limits: Limits, stop: Callable[[], None], is_wanted: Callable[[], bool] = wanted
    ) -> None:
        self.reason: str | None = None
        self.unwanted = False
        self._is_wanted = is_wanted
        self._limits = limits
        self._stop = stop
        self._lock = threading.Lock()
        self._timers: dict[str, threading.Timer] = {}

    def enter(self, phase: str) -> None:
        """The run has entered a phase: the one before it is no longer timed."""
        self._cancel("phase")
        seconds = self._limits.phase_s.get(phase)
        if seconds is not None:
            text = f"phase {phase} went on beyond --phase-timeout {phase}={seconds:g}"
            self._start("phase", seconds, text)

    def over(self) -> None:
        """The run has said its last word: no deadline can take that back."""
        with self._lock:
            self.reason = self.reason or ""
        for name in list(self._timers):
            self._cancel(name)

    def _start(self, name: str, seconds: float, reason: str) -> None:
        timer = threading.Timer(seconds, self._fire, (reason,))
        timer.daemon = True
        self._timers[name] = timer
        timer.start()

    def _fire(self, reason: str) -> None:
        with self._lock:
            if self.reason is not None:
                return
            self.reason = reason
        self._stop()

    def _watch(self, ended: threading.Event) -> None:
        """Asks again and again whether the run is wanted."""
        while not ended.wait(WATCH_S):
            if not self._is_wanted():
                self.unwanted = True
                self._fire("nobody waits for the run any more")
                return

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    @contextmanager
    def running(self) -> Iterator[None]:
        """The run goes on for as long as this block does."""
        if self._limits.run_s is not None:
            text = f"stopped after --timeout {self._limits.run_s:g} s"
            self._start("run", self._limits.run_s, text)
        ended = threading.Event()
        watch = threading.Thread(target=self._watch, args=(ended,), daemon=True)
        if self._is_wanted is not wanted:
            watch.start()
        try:
            yield
        finally:
            ended.set()
            timers = list(self._timers.values())
            for name in list(self._timers):
                self._cancel(name)
            for timer in timers:  # one that has fired is still stopping the worker
                timer.join()
