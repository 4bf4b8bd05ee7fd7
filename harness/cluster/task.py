"""A run on a worker of a cluster: the function that Dask calls there.

It starts the process of the run as on any machine, sends what the run says while it goes on,
and returns all of it at the end. A run that was begun before on this machine, by a worker that
was lost, goes on from its last checkpoint. A run that no command waits for any more is stopped.
"""

from __future__ import annotations

import json
import os
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from distributed import Status, get_worker

from harness import fingerprints, machine, runner
from harness.choices import choice_from_json
from harness.cluster.order import TOPIC, Order, localized, order_from_json
from harness.errors import AlreadyStored, StoreError, first_line
from harness.events import (
    Array,
    Collector,
    Ended,
    EpochEnd,
    Event,
    Measured,
    Note,
    Phase,
    Progress,
    Transfer,
    to_line,
)
from harness.exclusive import exclusively
from harness.paths import cache_dir
from harness.rows import Result
from harness.workers import in_worker

# seconds between two messages of how far a run is, and of its log
EVERY_S = 1.0
LOG_BYTES = 1 << 20
# what a task is while somebody waits for it
WANTED = ("executing", "long-running", "resumed")
# what a worker is that still brings its results to somebody
SERVING = (Status.running, Status.paused, Status.closing_gracefully)


@dataclass
class Telling:
    """What a run says: kept for the end, and sent while it goes on.

    Attributes:
      send: sends a message; None where nobody listens.
      lines: the events that make its row, in order.
    """

    run_id: str
    send: Callable[[dict[str, Any]], None]
    attempt: str = field(default_factory=lambda: uuid.uuid4().hex)
    lines: list[str] = field(default_factory=list)
    shown_at: float = 0.0

    def hear(self, event: Event) -> None:
        if isinstance(event, Progress | Transfer):
            if time.monotonic() - self.shown_at >= EVERY_S:
                self.shown_at = time.monotonic()
                self.tell(number=None, line=to_line(event))
            return
        line = to_line(event)
        self.lines.append(line)
        if not isinstance(event, Array):  # large, and nobody looks at one before the end
            self.tell(number=len(self.lines) - 1, line=line)

    def tell(self, **what: Any) -> None:
        self.send({"run": self.run_id, "attempt": self.attempt, **what})


def perform(text: str) -> str:
    """Performs an order; returns what the run came to, as JSON."""
    order = order_from_json(text)
    worker = get_worker()
    telling = Telling(order.run.run_id, lambda message: worker.log_event(TOPIC, message))
    log = runner.log_path(order.run)
    stored = None if order.store is None else _stored(order.store, order.run.run_id)
    if stored is not None:  # a worker that was lost had stored it
        for event in events_of(stored):
            telling.hear(event)
        return _answer(telling, None, log, unwanted=False)
    is_wanted = watcher(worker, str(worker.get_current_task()))
    with _tailed(log, telling):
        ended = _perform(order, log, telling, is_wanted)
    return _answer(telling, ended, log, unwanted=not is_wanted())


def _answer(telling: Telling, ended: Ended | None, log: Path, *, unwanted: bool) -> str:
    return json.dumps(
        {
            "attempt": telling.attempt, "lines": telling.lines, "unwanted": unwanted,
            "ended": None if ended is None else list(vars(ended).values()),
            "log": _end_of(log),
        }
    )  # fmt: skip


def watcher(worker: Any, key: str) -> Callable[[], bool]:
    """Whether somebody waits for a task: Dask cannot stop its thread, but tells its state.

    A worker whose scheduler has gone closes, and would wait for its threads half a minute.
    """

    def is_wanted() -> bool:
        task = worker.state.tasks.get(key)
        return worker.status in SERVING and task is not None and task.state in WANTED

    return is_wanted


def _perform(
    order: Order, log: Path, telling: Telling, is_wanted: Callable[[], bool]
) -> Ended | None:
    place = {**machine.place(), **order.place}
    planned = runner.planned_row(order.run, place, "dask")
    collector = Collector({**planned, "log_path": str(log)}, phase="planned")

    def heard(event: Event) -> None:
        collector.add(event)
        telling.hear(event)

    heard(Measured({**place, "started_at": planned["started_at"]}))
    # only an attempt that was lost leaves a log of this identity
    settings = {**order.settings, "resume": order.settings["resume"] or log.exists()}
    execute = in_worker(
        limits=order.limits, settings=settings, environment=_environment(order),
        is_wanted=is_wanted,
    )  # fmt: skip
    if order.exclusive:
        execute = exclusively(execute, is_wanted=is_wanted)
    try:
        ended = execute(order.run_here(), log, heard)
    except Exception as error:  # no process, no pipe: it costs this run
        traceback.print_exc()
        ended = Ended("failed", type(error).__name__, f"not started: {first_line(error)}")
    collector.ended = ended or collector.ended
    if order.store is not None and is_wanted():
        _store(order.store, collector.result(), telling)
    return ended


def _environment(order: Order) -> dict[str, str]:
    """This worker's environment, but for what decides a result and what was shipped."""
    kept = {k: v for k, v in os.environ.items() if k not in order.environment}
    given = {
        name: str(cache_dir() / order.paths[value]) if value in order.paths else value
        for name, value in order.environment.items()
    }
    return {**kept, **{name: value for name, value in given.items() if value}}


def _stored(url: str, run_id: str) -> Result | None:
    """The result that a store has of a run; a store that cannot be asked has none."""
    from harness.store import open_store

    try:
        with open_store(url) as store:
            return store.result(run_id)
    except StoreError:
        return None


def _store(url: str, result: Result, telling: Telling) -> None:
    """Stores a row as soon as there is one; where that fails the command does it."""
    from harness.store import open_store

    try:
        with open_store(url) as store:
            store.add(result)
    except AlreadyStored:
        pass
    except StoreError as error:
        telling.hear(Note(f"the worker cannot store its row: {first_line(error)}"))


def events_of(result: Result) -> list[Event]:
    """A result as what a run would have said."""
    row = result.row
    ended = Ended(row["status"], row["error_type"] or "", row["error_message"] or "")
    known = {name: value for name, value in row.items() if value is not None}
    return [
        Phase(row["phase"] or "start"), Measured(known), *map(EpochEnd, result.epochs),
        *(Array(name, npy) for name, npy in result.arrays.items()), ended,
    ]  # fmt: skip


@contextmanager
def _tailed(log: Path, telling: Telling) -> Iterator[None]:
    """Sends what comes to a log while the block goes on."""
    over = threading.Event()

    def tail() -> None:
        at = 0
        while not over.wait(EVERY_S):
            new = _read(log, at)
            at += len(new)
            if new:
                telling.tell(log=new.decode(errors="replace"))

    thread = threading.Thread(target=tail, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _read(log: Path, at: int) -> bytes:
    try:
        with open(log, "rb") as file:
            file.seek(at)
            return file.read(LOG_BYTES)
    except OSError:
        return b""


def _end_of(log: Path) -> str:
    """A log, or the last mebibyte of it."""
    try:
        size = log.stat().st_size
    except OSError:
        return ""
    left = max(0, size - LOG_BYTES)
    before = f"[{left:,} bytes before this are on the worker, in {log}]\n" if left else ""
    return before + _read(log, left).decode(errors="replace")


def now_of(text: str) -> str:
    """What data sets are on this worker, as JSON."""
    asked = json.loads(text)
    choices = [
        localized(choice_from_json(values), asked["paths"]) for values in asked["datasets"]
    ]
    found = fingerprints.now_of(choices)
    return json.dumps([None if now is None else asdict(now) for now in found])
