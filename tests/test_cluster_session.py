"""What data sets are on a cluster, and who is let go while that is asked."""

from __future__ import annotations

import json
import threading
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from performed import runs_of
from rosters import HERE, roster

from harness.choices import Choice
from harness.cluster.session import Session
from harness.errors import UsageError
from harness.fingerprints import Now
from harness.registry import Registry


def session(future: Any, *workers: str, lost: bool = False) -> Session:
    """One whose cluster answers with a future; `workers` are there and may be used."""
    client = SimpleNamespace(
        status="running", submit=lambda *args, **kwargs: future, cancel=lambda *a, **k: None
    )
    found = Session(order=lambda run: None, resources={}, roots=(), note=print)  # type: ignore[arg-type,return-value]
    found.link = SimpleNamespace(client=client, times=0, lost=lost)  # type: ignore[assignment]
    found.roster, _ = roster()
    found.roster.look(dict.fromkeys(workers, HERE))
    return found


class Answer(Future):
    """A future as Dask's: it has a status."""

    @property
    def status(self) -> str:
        if not self.done():
            return "pending"
        return "error" if self.exception() else "finished"


@pytest.fixture
def dataset(known: Registry) -> Choice:
    return runs_of(known, "mean_pool")[0].dataset


def test_what_data_sets_are_on_the_cluster_is_what_a_worker_says(dataset: Choice):
    answer = Answer()
    answer.set_result(json.dumps([{"fingerprint": "print", "device_kind": "cpu"}]))
    assert session(answer, "tcp://a").now_of({}, [dataset]) == [Now("print", "cpu")]


def test_what_fails_on_a_worker_is_told_with_its_cause(dataset: Choice):
    answer = Answer()
    answer.set_exception(TimeoutError("the disk of all data"))
    with pytest.raises(UsageError, match="TimeoutError: the disk of all data"):
        session(answer, "tcp://a").now_of({}, [dataset])


def test_who_asks_what_data_sets_are_and_is_not_wanted_any_more_is_let_go(dataset: Choice):
    waits = session(Answer(), "tcp://a")
    threading.Timer(0.2, waits.halt).start()
    with pytest.raises(KeyboardInterrupt):
        waits.now_of({}, [dataset])


def test_without_a_scheduler_nobody_knows_what_data_sets_are(dataset: Choice):
    assert session(Answer(), lost=True).now_of({}, [dataset]) == [None]


def test_workers_that_go_again_and_again_while_they_are_asked_are_told(dataset: Choice):
    asks, names = session(Answer(), "tcp://0"), iter(range(1, 9))

    def submit(*args: Any, **kwargs: Any) -> Answer:
        asks.roster.look({f"tcp://{next(names)}": HERE})  # who was asked goes, another comes
        return Answer()

    asks.link.client.submit = submit
    with pytest.raises(UsageError, match="cannot be asked of its workers .OSError: all"):
        asks.now_of({}, [dataset])
