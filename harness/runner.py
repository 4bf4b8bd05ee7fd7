"""Performs a plan: one row a run, stored as soon as its run has ended.

Where a run takes place is an executor's matter: `harness.workers` gives it a process,
`in_process` none. The events that come back are folded into the row.
"""

from __future__ import annotations

import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from harness import machine
from harness.errors import first_line
from harness.events import Collector, Ended, Event, Measured
from harness.gathered import Gathered, as_one, programs_of
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


@dataclass(frozen=True)
class Plan:
    """The runs, and the rows that already stand for some of them (by run key)."""

    runs: tuple[Run, ...]
    stored: Mapping[str, Row]


def run_plan(
    plan: Plan,
    *,
    execute: Executor,
    executor_name: str,
    save: Callable[[Result], None],
    listener: Listener,
) -> list[Row]:
    """Performs a plan and returns one row for each of its runs, in order.

    Ctrl-C ends the run that is going on; it and those behind it leave a row that says
    `interrupted`.
    """
    performance = Performance(
        execute=execute, executor_name=executor_name, save=save, listener=listener,
        total=len(plan.runs),
    )  # fmt: skip
    rows = performance.rows_of(plan.runs, plan.stored)
    performance.close()
    return rows


@dataclass(kw_only=True)
class Performance:
    """Performs runs one after the other, and leaves a stored row for each.

    Attributes:
      total: how many runs there are to be, for the listener.
      number: how many there were.
      stopped: how runs end from now on that have not begun, after Ctrl-C.
      done: how many have a row that says how they ended, or that nothing is left to do of them.
    """

    execute: Executor
    executor_name: str
    save: Callable[[Result], None]
    listener: Listener
    total: int
    number: int = 0
    stopped: Ended | None = None
    done: int = 0
    place: Mapping[str, Any] = field(default_factory=machine.place)

    def rows_of(self, runs: Sequence[Run], stored: Mapping[str, Row]) -> list[Row]:
        """The rows that stand for runs, or else those of performing them."""
        found: dict[str, Row] = {}
        for program in programs_of(runs):
            missing = [run for run in program if run.run_key not in stored]
            standing = len(program) - len(missing)
            self.number += standing
            self.done += standing
            if missing:
                rows = self.perform(missing)
                found |= {run.run_id: row for run, row in zip(missing, rows, strict=True)}
        return [found.get(run.run_id) or stored[run.run_key] for run in runs]

    def perform(self, runs: Sequence[Run]) -> list[Row]:
        """The rows of a run, or of several of one program, unless all has been stopped."""
        self.number += len(runs)
        collectors = {run.seed: self._collector(run) for run in runs}
        gathered, silent = Gathered(collectors), self.stopped is not None
        if self.stopped is None:
            stopped = _perform(
                as_one(runs), gathered, self.execute, self.listener, self.number, self.total
            )
            self.stopped = self.stopped or stopped
        else:
            gathered.ended = self.stopped
        results = [collectors[run.seed].result() for run in runs]
        if not silent:
            self.done += sum(result.row["status"] != "interrupted" for result in results)
        return [
            self._leave(run, result, silent=silent)
            for run, result in zip(runs, results, strict=True)
        ]

    def refuse(self, run: Run, ended: Ended, **columns: Any) -> Row:
        """The row of a run that cannot be performed, with other columns that are known."""
        self.number += 1
        self.done += 1
        collector = self._collector(run)
        collector.add(Measured(columns))
        collector.ended = ended
        _told(self.listener.started, run, self.number, self.total)
        return self._leave(run, collector.result())

    def stop(self, stop: KeyboardInterrupt) -> None:
        """No run begins any more."""
        self.stopped = self.stopped or _interrupted(stop, "not started: ")

    def _collector(self, run: Run) -> Collector:
        return Collector(_planned(run, self.place, self.executor_name), phase="planned")

    def leave_out(self, number: int) -> None:
        """So many runs turned out not to be needed."""
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


def _planned(run: Run, place: Mapping[str, Any], executor_name: str) -> dict[str, Any]:
    return {
        **run.to_row(),
        **place,
        "executor": executor_name,
        "started_at": machine.utc(),
    }


def _perform(
    run: Run,
    collector: Gathered,
    execute: Executor,
    listener: Listener,
    number: int,
    total: int,
) -> Ended | None:
    """Performs a run and those of its program; returns how the plan was stopped, if it was."""

    shown = sys.stderr

    def heard(event: Event) -> None:
        collector.add(event)
        # an in-process run's own output goes to its log; a forged epoch may lack its values
        with redirect_stderr(shown), suppress(KeyError, TypeError):
            _told(listener.event, run, event)

    try:
        _told(listener.started, run, number, total)
        log = log_path(run)
        collector.add(Measured({"log_path": str(log)}))  # what is not started has none
        ended = execute(run, log, heard)
    except KeyboardInterrupt as stop:
        # a run that had come to its end before has not been interrupted
        collector.ended = collector.ended or _interrupted(stop)
        return _interrupted(stop, "not started: ")
    except Exception as error:  # no process, no pipe: it costs this run
        traceback.print_exc()
        ended = Ended("failed", type(error).__name__, f"not started: {first_line(error)}")
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
