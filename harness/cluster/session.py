"""Performs runs on a cluster: submits their tasks, follows them, submits lost ones again."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.choices import Choice
from harness.cluster.connection import Connection
from harness.cluster.follow import Follower
from harness.cluster.greeting import greeted
from harness.cluster.order import Order
from harness.cluster.roster import LOOK_S, NotOn, Roster
from harness.cluster.shipping import Root
from harness.errors import UsageError, first_line
from harness.events import Ended, Event
from harness.fingerprints import Now
from harness.plan import Run

# after so many workers that ended during a run it is the run's fault
DEATHS = 3
# seconds in which a worker hands over what it has found
ANSWER_S = 30.0
HALT = object()


@dataclass
class Session:
    """A plan's connection to a cluster.

    Attributes:
      order: what all orders have in common, with any run.
      inboxes: where the messages of a run that goes on are put, by run_id.
    """

    order: Callable[[Run], Order]
    resources: Mapping[str, float]
    roots: tuple[Root, ...]
    note: Callable[[str], None]
    inboxes: dict[str, queue.SimpleQueue[Any]] = field(default_factory=dict)
    futures: dict[str, Any] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)
    link: Connection = field(init=False)
    roster: Roster = field(init=False)

    def hear(self, message: Mapping[str, Any]) -> None:
        """A message of some run's task, which may be another command's."""
        inbox = self.inboxes.get(message["run"])
        if inbox is not None:
            inbox.put(message)

    def is_wanted(self) -> bool:
        return not self.stopped.is_set()

    def _is_on(self) -> bool:
        """Whether it makes sense to wait for a worker."""
        return self.is_wanted() and not self.link.lost

    def halt(self) -> None:
        """Nobody waits any more: tasks are cancelled, and their workers stop the runs."""
        self.stopped.set()
        self.roster.wake()
        for inbox in list(self.inboxes.values()):
            inbox.put(HALT)
        with suppress(Exception):  # it may have gone as well
            if self.link.client.status == "running":
                self.link.client.cancel(list(self.futures.values()), force=True)

    def execute(self, run: Run, log: Path, heard: Callable[[Event], None]) -> Ended | None:
        """Performs one run, wherever there is room for it.

        Raises:
          KeyboardInterrupt: nobody waits any more.
        """
        follower, lost = Follower(heard, log), 0
        inbox = self.inboxes[run.run_id] = queue.SimpleQueue()
        try:
            while True:
                with self.roster.slot(self._is_on) as addresses:
                    outcome = self._attempt(run, inbox, follower, addresses, lost)
                if isinstance(outcome, Ended):
                    return outcome
                if outcome is not None:
                    return follower.finished(outcome)
                lost += 1
                if len(follower.begun) > DEATHS:
                    return _worn_out(len(follower.begun))
        except NotOn:
            if self.is_wanted():
                return _scheduler_lost(None)
            raise KeyboardInterrupt from None
        finally:
            del self.inboxes[run.run_id]
            self.futures.pop(run.run_id, None)

    def _attempt(
        self, run: Run, inbox: queue.SimpleQueue[Any], follower: Follower,
        addresses: list[str], lost: int,
    ) -> Mapping[str, Any] | Ended | None:  # fmt: skip
        """Submits a run's task and follows it; None where it has to be submitted again."""
        times = self.link.times
        try:
            future = self._submit(run, addresses, lost)
        except Exception as error:  # the connection went away in the middle of it
            return self._gone(times, error)
        future.add_done_callback(inbox.put)
        while True:
            message = self._next(inbox)
            if message is HALT:
                raise KeyboardInterrupt
            if message is None:
                if not set(addresses) & set(self.roster.slots) and not future.done():
                    future.cancel()  # all that might have performed it have gone
                    return None
            elif isinstance(message, Mapping):
                follower.told(message)
            elif message is future:
                return self._outcome(future, times)

    def _next(self, inbox: queue.SimpleQueue[Any]) -> Any:
        with suppress(queue.Empty):
            return inbox.get(timeout=2 * LOOK_S)
        return None

    def _submit(self, run: Run, addresses: list[str], lost: int) -> Any:
        from distributed import fire_and_forget

        from harness.cluster.task import perform

        order = self.order(run)
        future = self.link.client.submit(
            perform, order.to_json(), workers=addresses, resources=dict(self.resources),
            # a command that resumes finds the task of one that has gone by this name
            key=f"harness-{run.run_id}" + (f"-{lost}" if lost else ""),
        )  # fmt: skip
        self.futures[run.run_id] = future
        if order.store is not None:  # it goes on if this command is killed
            fire_and_forget(future)
        return future

    def _outcome(self, future: Any, times: int) -> Mapping[str, Any] | Ended | None:
        if future.status == "finished":
            try:
                outcome = json.loads(future.result())
            except Exception as error:  # its worker went away with the result
                return self._gone(times, error)
            return None if outcome["unwanted"] and self.is_wanted() else outcome
        if future.status == "error":
            error = future.exception()
            if type(error).__name__ == "KilledWorker":
                return _worn_out(DEATHS + 1)
            return Ended("failed", type(error).__name__, f"on its worker: {first_line(error)}")
        return self._gone(times, None)

    def _gone(self, times: int, error: Exception | None) -> Ended | None:
        """After a task was lost: waits for the scheduler where it has gone."""
        if not self.is_wanted():
            raise KeyboardInterrupt
        if self.link.client.status == "running" and self.link.times == times:
            # the scheduler is there and has dropped the task: another try
            return None
        if self.link.restored(times, self.is_wanted):
            return None
        if not self.is_wanted():
            raise KeyboardInterrupt
        return _scheduler_lost(error)

    def greet(
        self, here: Mapping[str, str], plugins: str, addresses: Sequence[str]
    ) -> dict[str, str | BaseException]:
        """Why workers may not be used, "" of those that may; they have all files then."""
        return greeted(
            self.link.client, addresses, here=here, plugins=plugins, roots=self.roots
        )

    def watch(self, over: threading.Event) -> None:
        """Looks who is there, until all is over."""
        times, said = 0, ""
        while True:
            if self.link.times > times:
                times = self.link.times
                self.roster.forget()
            try:
                self.roster.look(self.link.workers())
            except Exception as error:  # another look may go well
                if self.link.client.status == "running" and said != str(error):
                    said = str(error)
                    self.note(f"the cluster cannot be looked at ({first_line(error)})")
            if self.link.client.status != "running" and not self.link.lost:
                # all may be waiting for a worker, and nobody else would see that it has gone
                self.link.restored(times, lambda: self.is_wanted() and not over.is_set())
                self.roster.wake()
            if over.wait(LOOK_S):
                return

    def now_of(self, paths: Mapping[str, str], datasets: list[Choice]) -> list[Now | None]:
        """What data sets are on a worker; None where the scheduler has gone for good.

        Raises:
          KeyboardInterrupt: nobody waits any more.
          UsageError: no worker can say so.
        """
        if not datasets:
            return []
        asked = json.dumps({"paths": dict(paths), "datasets": [asdict(d) for d in datasets]})
        why = ""
        for _ in range(DEATHS + 1):
            times = self.link.times
            try:
                found = json.loads(self._answer(asked))
                return [None if values is None else Now(**values) for values in found]
            except NotOn:
                if self.is_wanted():
                    return [None] * len(datasets)  # each run will say so
                raise KeyboardInterrupt from None
            except UsageError:
                raise
            except Exception as error:  # its worker went away, or the scheduler
                why = f"{type(error).__name__}: {first_line(error)}"
                if isinstance(self._gone(times, error), Ended):
                    return [None] * len(datasets)
        raise UsageError(
            f"what data sets are on the cluster cannot be asked of its workers ({why}); see "
            "what their logs say, and run again"
        )

    def _answer(self, asked: str) -> str:
        """What `harness.cluster.task.now_of` says on some worker.

        Raises:
          UsageError: it failed there.
          OSError: it was lost.
        """
        from harness.cluster.task import now_of

        done = threading.Event()
        with self.roster.slot(self._is_on) as addresses:
            future = self.link.client.submit(now_of, asked, workers=addresses, pure=False)
            future.add_done_callback(lambda _: done.set())
            while not done.wait(LOOK_S):
                if not self._is_on():
                    raise NotOn
                if not set(addresses) & set(self.roster.slots):
                    raise OSError("all workers that might have said it have gone")
        if future.status == "finished":
            return future.result(timeout=ANSWER_S)
        if future.status != "error":
            raise OSError("it was lost")
        error = future.exception(timeout=ANSWER_S)
        if type(error).__name__ == "KilledWorker":
            raise OSError(first_line(error))
        raise UsageError(
            "what data sets are on the cluster cannot be told: on its worker "
            f"{type(error).__name__}: {first_line(error)}"
        )


def _worn_out(deaths: int) -> Ended:
    return Ended(
        "failed", "KilledWorker",
        f"{deaths} workers ended while they performed it; see what their logs say of the end",
    )  # fmt: skip


def _scheduler_lost(error: Exception | None) -> Ended:
    why = "" if error is None else f" ({first_line(error)})"
    return Ended(
        "failed", "SchedulerLost", f"the scheduler did not come back{why}; --resume goes on"
    )
