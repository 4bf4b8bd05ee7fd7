"""The workers of a cluster that may be used, and how many runs they take at once.

Workers come and go while a plan goes on, so somebody looks again and again. Who is new is
greeted (`harness.cluster.greeting`), with all others that are, and used from then on, or never.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from harness.errors import first_line

LOOK_S = 1.0
GREETINGS = 3  # that may come to nothing before a worker is given up


class NotOn(Exception):
    """It makes no sense any more to wait for a worker."""


@dataclass
class Roster:
    """Who may be used.

    Attributes:
      greet: says why workers, by their addresses, may not be used, "" of one that may; or
        what went wrong while one was greeted, which may go well another time.
      resources: what a run takes of its worker.
      slots: how many runs a worker takes at once, by address.
      refused: why others are not used, by address.
      busy: how many runs go on.
    """

    greet: Callable[[Sequence[str]], Mapping[str, str | BaseException]]
    resources: Mapping[str, float]
    note: Callable[[str], None]
    slots: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    busy: int = 0
    _unanswered: Counter[str] = field(default_factory=Counter, repr=False)
    _changed: threading.Condition = field(default_factory=threading.Condition, repr=False)
    _waits: bool = False

    def look(self, there: Mapping[str, Mapping[str, Any]]) -> None:
        """Takes in who is there now, as Dask's scheduler describes them."""
        with self._changed:
            for gone in set(self.slots) - set(there):
                del self.slots[gone]
        new = [who for who in there if who not in self.slots and who not in self.refused]
        for address, why in self._greeted(new).items() if new else ():
            self._met(address, there[address], why)
        if not self.slots and not self._waits:
            self._waits = True
            self.note("no worker that may be used is there; runs wait for one")

    def _greeted(self, new: Sequence[str]) -> Mapping[str, str | BaseException]:
        try:
            return self.greet(new)
        except Exception as error:  # a file has changed since, or the connection is lost
            return dict.fromkeys(new, error)

    def _met(self, address: str, about: Mapping[str, Any], why: str | BaseException) -> None:
        if isinstance(why, BaseException):
            self._unanswered[address] += 1
            if self._unanswered[address] < GREETINGS:
                return
            why = f"it cannot be prepared ({type(why).__name__}: {first_line(why)})"
        slots = self._slots(about)
        if not why and not slots:
            asked, has = _amounts(self.resources), _amounts(about["resources"]) or "none"
            why = (
                f"it has not the resources {asked} (it has {has}); start it with "
                f'`--resources "{asked}"`'
            )
        if why:
            self.refused[address] = why
            self.note(f"worker {address} on {about['host']} is not used: {why}")
            return
        with self._changed:
            self.slots[address], self._waits = slots, False
            self._changed.notify_all()

    def _slots(self, about: Mapping[str, Any]) -> int:
        has = about["resources"]
        fits = (has.get(name, 0) // amount for name, amount in self.resources.items())
        return int(min([about["nthreads"], *fits]))

    @contextmanager
    def slot(self, is_on: Callable[[], bool]) -> Iterator[list[str]]:
        """A turn, and the workers that may be used for it.

        Raises:
          NotOn: nobody waits for it, or no worker will come.
        """
        with self._changed:
            while is_on() and self.busy >= sum(self.slots.values()):
                self._changed.wait(LOOK_S)
            if not is_on():
                raise NotOn
            self.busy += 1
            addresses = list(self.slots)
        try:
            yield addresses
        finally:
            with self._changed:
                self.busy -= 1
                self._changed.notify_all()

    def wake(self) -> None:
        """Lets those who wait for a turn see whether they still want one."""
        with self._changed:
            self._changed.notify_all()

    def forget(self) -> None:
        """The scheduler began anew: so do its workers."""
        with self._changed:
            self.slots.clear()
            self.refused.clear()
            self._unanswered.clear()


def _amounts(resources: Mapping[str, float]) -> str:
    return " ".join(f"{name}={amount:g}" for name, amount in resources.items())
