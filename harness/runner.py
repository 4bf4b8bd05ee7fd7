"""Performs a plan: one row a run, stored as soon as its run has ended.

Where a run takes place is an executor's matter: `harness.workers` gives it a process,
`in_process` none, `harness.cluster` a machine of a cluster, where several go on at once. The
events that come back are folded into the row.
"""

from __future__ import annotations

import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from harness import machine
from harness.errors import first_line
from harness.events import Collector, Ended, Event, Measured
from harness.gathered import Gathered, as_one, programs_of
from harness.lanes import in_lanes, once
from harness.paths import cache_dir
from harness.plan import Run
from harness.registry import Registry
from harness.rows import Result, Row
from harness.workers import Executor


class Listener(Protocol):
    """Whoever shows how the plan goes on."""

    def started(self, run: Run, number: int, total: int) -> None: ...

    def event(self, run: Run, event: Event) -> None: ...

    def ended(self, run: Run, row: Row) -> None: ...

    def note(self, text: str) -> None: ...


class Silent:
    """A listener that shows nothing."""

    def started(self, run: Run, number: int, total: int) -> None:
        pass

    def event(self, run: Run, event: Event) -> None:
        pass

    def ended(self, run: Run, row: Row) -> None:
        pass

    def note(self, text: str) -> None:
        pass


In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, kw_only=True)
class Performer:
    """What performs runs.

    Attributes:
      name: of the column `executor`.
      at_once: how many runs it takes at a time at most.
      halt: is told that nobody waits any more for the runs that go on; the calls of `execute`
        that wait for them raise KeyboardInterrupt.
    """

    name: str
    execute: Executor
    at_once: int = 1
    halt: Callable[[], None] = lambda: None


class OneAtATime:
    """A listener that is told one thing after the other, whichever thread tells it."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._lock = threading.RLock()

    def started(self, run: Run, number: int, total: int) -> None:
        with self._lock:
            self._listener.started(run, number, total)

    def event(self, run: Run, event: Event) -> None:
        with self._lock:
            self._listener.event(run, event)

    def ended(self, run: Run, row: Row) -> None:
        with self._lock:
            self._listener.ended(run, row)

    def note(self, text: str) -> None:
        with self._lock:
            self._listener.note(text)


@dataclass(frozen=True)
class Plan:
    """The runs, and the rows that already stand for some of them (by run key)."""

    runs: tuple[Run, ...]
    stored: Mapping[str, Row]


def run_plan(
    plan: Plan,
    *,
    performer: Performer,
    save: Callable[[Result], None],
    listener: Listener,
) -> list[Row]:
    """Performs a plan and returns one row for each of its runs, in order.

    Ctrl-C ends the runs that are going on; they and those behind them leave rows that say
    `interrupted`.
    """
    performance = Performance(
        performer=performer, save=save, listener=listener, total=len(plan.runs)
    )
    rows = performance.rows_of(plan.runs, plan.stored)
    performance.close()
    return rows


@dataclass(kw_only=True)
class Performance:
    """Performs runs, as many at once as the performer takes, and leaves a stored row for each.

    Attributes:
      total: how many runs there are to be, for the listener.
      number: how many there were.
      stopped: how runs end from now on that have not begun, after Ctrl-C.
      done: how many have a row that says how they ended, or that nothing is left to do of them.
    """

    performer: Performer
    save: Callable[[Result], None]
    listener: Listener
    total: int
    number: int = 0
    stopped: Ended | None = None
    done: int = 0
    place: Mapping[str, Any] = field(default_factory=machine.place)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    def each(self, function: Callable[[In], Out], items: Iterable[In]) -> list[Out]:
        """What a function gives for each item, for several at once where runs may be."""
        return in_lanes(function, items, lanes=self.performer.at_once, stop=self.stop)

    def rows_of(self, runs: Sequence[Run], stored: Mapping[str, Row]) -> list[Row]:
        """The rows that stand for runs, or else those of performing them, in order."""
        found: dict[str, Row] = {}
        for rows in self.each(lambda one: self._program(one, stored), programs_of(runs)):
            found |= rows
        return [found[run.run_id] for run in runs]

    def _program(self, runs: Sequence[Run], stored: Mapping[str, Row]) -> dict[str, Row]:
        """The rows of what one program trains, by run_id."""
        missing = [run for run in runs if run.run_key not in stored]
        self._count(len(runs) - len(missing), done=len(runs) - len(missing))
        rows = self.perform(missing) if missing else []
        found = {run.run_id: stored[run.run_key] for run in runs if run not in missing}
        return found | {run.run_id: row for run, row in zip(missing, rows, strict=True)}

    def _count(self, number: int, *, done: int = 0) -> int:
        """Counts runs, and returns the number of the last one."""
        with self._lock:
            self.number += number
            self.done += done
            return self.number

    def perform(self, runs: Sequence[Run]) -> list[Row]:
        """The rows of a run, or of several of one program, unless all has been stopped."""
        number = self._count(len(runs))
        collectors = {run.seed: self._collector(run) for run in runs}
        gathered, silent = Gathered(collectors), self.stopped is not None
        if self.stopped is None:
            stopped = _perform(
                as_one(runs), gathered, self.performer, self.listener, number, self.total
            )
            self.stopped = self.stopped or stopped
        else:
            gathered.ended = self.stopped
        results = [collectors[run.seed].result() for run in runs]
        if not silent:
            self._count(0, done=sum(r.row["status"] != "interrupted" for r in results))
        return [
            self._leave(run, result, silent=silent)
            for run, result in zip(runs, results, strict=True)
        ]

    def refuse(self, run: Run, ended: Ended, **columns: Any) -> Row:
        """The row of a run that cannot be performed, with other columns that are known."""
        number, collector = self._count(1, done=1), self._collector(run)
        collector.add(Measured(columns))
        collector.ended = ended
        _told(self.listener.started, run, number, self.total)
        return self._leave(run, collector.result())

    def stop(self, stop: KeyboardInterrupt) -> None:
        """No run begins any more, and nobody waits for those that go on."""
        self.stopped = self.stopped or _interrupted(stop, "not started: ")
        self.performer.halt()

    def _collector(self, run: Run) -> Collector:
        return Collector(planned_row(run, self.place, self.performer.name), phase="planned")

    def leave_out(self, number: int) -> None:
        """So many runs turned out not to be needed."""
        with self._lock:
            self.number += number
            self.done += number

    def close(self) -> None:
        """Says in one line what Ctrl-C left undone: no run tells that it did not begin."""
        if self.stopped is not None:
            self.listener.note(
                f"stopped; {self.done} done, {self.total - self.done} not; --resume goes on"
            )

    def _leave(self, run: Run, result: Result, *, silent: bool = False) -> Row:
        told = partial(_told, self.listener.ended, run, result.row)
        for then in (partial(self.save, result), *(() if silent else (told,))):
            try:
                with self._lock:  # a store is asked by one thread at a time
                    then()
            except KeyboardInterrupt as stop:  # what is being saved is kept
                self.stop(stop)
        return result.row


def _told(tell: Callable[..., None], *what: Any) -> None:
    """Tells a listener. A terminal that has gone or was closed costs no run."""
    with suppress(OSError, ValueError):
        tell(*what)


def _interrupted(stop: KeyboardInterrupt, before: str = "") -> Ended:
    """How a run ends that the user, or whoever sent the signal it names, has stopped."""
    text = f"{before}stopped by {str(stop) or 'Ctrl-C'}"
    return Ended("interrupted", "KeyboardInterrupt", text)


def planned_row(run: Run, place: Mapping[str, Any], executor_name: str) -> dict[str, Any]:
    """The columns that are known before a run begins somewhere."""
    return {
        **run.to_row(),
        **place,
        "executor": executor_name,
        "started_at": machine.utc(),
    }


def _perform(
    run: Run,
    collector: Gathered,
    performer: Performer,
    listener: Listener,
    number: int,
    total: int,
) -> Ended | None:
    """Performs a run and those of its program; returns how the plan was stopped, if it was."""

    shown = sys.stderr
    begun = once(partial(_told, listener.started, run, number, total))

    def heard(event: Event) -> None:
        collector.add(event)
        # an in-process run's own output goes to its log; a forged epoch may lack its values
        with redirect_stderr(shown), suppress(KeyError, TypeError):
            begun()
            _told(listener.event, run, event)

    try:
        if performer.at_once == 1:  # one of many may still wait for a worker
            begun()
        log = log_path(run)
        collector.add(Measured({"log_path": str(log)}))  # what is not started has none
        ended = performer.execute(run, log, heard)
    except KeyboardInterrupt as stop:
        # a run that had come to its end before has not been interrupted
        collector.ended = collector.ended or _interrupted(stop)
        return _interrupted(stop, "not started: ")
    except Exception as error:  # no process, no pipe: it costs this run
        traceback.print_exc()
        ended = Ended("failed", type(error).__name__, f"not started: {first_line(error)}")
    begun()
    if ended is not None:
        collector.ended = ended
    return None


def log_path(run: Run) -> Path:
    """Where the worker's output goes."""
    return cache_dir() / "logs" / f"{run.run_id}.log"


def planned(run: Run) -> dict[str, str]:
    """What the store is told of a run before it begins."""
    label = f"{run.label}, {run.recipe.changes}" if run.recipe.changes else run.label
    return {
        "run_id": run.run_id, "run_key": run.run_key, "label": label,
        "host": socket.gethostname(), "planned_at": machine.utc(),
    }  # fmt: skip


def in_process(registry: Registry, *, settings: Mapping[str, Any]) -> Executor:
    """An executor for debuggers and for models defined in a notebook: no process of its own."""

    def execute(run: Run, log: Path, heard: Callable[[Event], None]) -> Ended | None:
        from harness.execute import Settings
        from harness.together import execute_all

        log.parent.mkdir(parents=True, exist_ok=True)
        # what a plugin raises may hold text that no encoding has
        with (
            open(log, "w", encoding="utf-8", errors="backslashreplace") as stderr,
            redirect_stderr(stderr),
        ):
            execute_all(run, registry, heard, settings=Settings(**settings))
        return None

    return execute
