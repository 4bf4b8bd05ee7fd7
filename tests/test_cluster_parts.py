"""The parts of a cluster that need none: what is asked, shipped, greeted and followed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from distributed import Status
from performed import runs_of

from harness import machine
from harness.choices import Choice
from harness.cluster import Cluster, parse_resources
from harness.cluster.follow import Follower
from harness.cluster.greeting import asker, difference, greeted, lacking, needed
from harness.cluster.order import Order, order_from_json
from harness.cluster.roster import NotOn, Roster
from harness.cluster.session import Session
from harness.cluster.shipping import missing, places, receive, root_of
from harness.cluster.task import watcher
from harness.deadlines import Limits
from harness.errors import DataError, UsageError
from harness.events import Again, Collector, Ended, EpochEnd, Measured, Progress, to_line
from harness.fingerprints import Now
from harness.paths import cache_dir
from harness.registry import Registry

HERE = {"host": "tcp", "nthreads": 2, "resources": {}}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "needs --scheduler"),
        ({"scheduler": "tcp://a:1", "workers": 2}, "are both given"),
        ({"scheduler": "foo"}, "'foo': expected tcp://HOST:PORT"),
        ({"scheduler": "http://a:8787"}, "expected tcp://HOST:PORT"),
        ({"workers": 0}, "expected 1 or more"),
        ({"workers": 1, "resources": {"gpu": 1.0}}, "have none"),
        ({"workers": 1, "ship": ("nowhere",)}, "no such file"),
    ],
)
def test_a_cluster_that_makes_no_sense_is_refused(values: dict, told: str):
    with pytest.raises(UsageError, match=told):
        Cluster(**values)


@pytest.mark.parametrize("text", ["gpu", "=1", "gpu=", "gpu=0", "gpu=inf", "gpu=nan", "gpu=x"])
def test_a_malformed_resource_is_refused(text: str):
    with pytest.raises(UsageError, match="expected NAME=AMOUNT"):
        parse_resources((text,))


def test_a_resource_that_is_given_twice_is_refused():
    with pytest.raises(UsageError, match="'gpu=2': gpu is given twice"):
        parse_resources(("gpu=1", "gpu=2"))


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "head:8786", "tls://[::1]:8786"])
def test_addresses_as_dask_prints_them_are_taken(address: str):
    assert Cluster(scheduler=address).scheduler == address


def test_an_order_comes_back_as_it_was(known: Registry):
    (run,) = runs_of(known, "mean_pool")
    order = Order(
        run=run, settings={"resume": False}, limits=Limits(5.0, {"train": 1.0}),
        place={"commit": None}, paths={"a": "b"}, environment={"XLA_FLAGS": ""}, exclusive=True,
    )  # fmt: skip
    assert order_from_json(order.to_json()) == order


def test_a_run_reads_its_own_copies_and_its_row_does_not_say_so(known: Registry):
    (run,) = runs_of(known, "mean_pool")
    dataset = replace(run.dataset, params={"path": "reviews.csv", "size": 3})
    order = Order(
        run=replace(run, dataset=dataset), settings={}, paths={"reviews.csv": "shipped/a/r.csv"}
    )
    here = order.run_here()
    copy = str(cache_dir() / "shipped/a/r.csv")
    assert here.dataset.params == {"path": copy, "size": 3}
    assert order.run.dataset.params["path"] == "reviews.csv"


def test_a_folder_arrives_whole_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"a")
    (folder / "deep" / "b.bin").write_bytes(b"\0\1")
    root = root_of(folder)
    contents = {name: root.content(name) for name in root.files}
    assert set(contents) == {"data/a.txt", "data/deep/b.bin"}
    assert missing(root.place, root.files)
    receive(root.place, root.files, contents)
    assert not missing(root.place, root.files)
    there = tmp_path / "cache" / root.place / "data" / "deep" / "b.bin"
    assert there.read_bytes() == b"\0\1"
    found = places([root], ["other.txt", str(folder / "deep" / "b.bin"), str(folder)])
    assert found == {
        str(folder / "deep" / "b.bin"): f"{root.place}/data/deep/b.bin",
        str(folder): f"{root.place}/data",
    }


def test_a_copy_that_was_changed_is_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "a.txt").write_bytes(b"a")
    root = root_of(tmp_path / "a.txt")
    receive(root.place, root.files, {"a.txt": b"a"})
    copy = tmp_path / "cache" / root.place / "a.txt"
    copy.write_bytes(b"changed")
    assert missing(root.place, root.files)
    receive(root.place, root.files, {"a.txt": b"a"})
    assert copy.read_bytes() == b"a"
    assert len(list((tmp_path / "cache" / "shipped").iterdir())) == 1


def test_bytes_that_changed_on_their_way_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "a.txt").write_bytes(b"a")
    root = root_of(tmp_path / "a.txt")
    with pytest.raises(DataError, match="did not arrive"):
        receive(root.place, root.files, {"a.txt": b"b"})
    (tmp_path / "a.txt").write_bytes(b"c")
    with pytest.raises(UsageError, match="changed while"):
        root.content("a.txt")


def test_a_worker_is_held_against_what_the_command_has():
    here = machine.key_parts()
    assert asker()() == here
    elsewhere = {**here, "host": "node7", "cpu_model": "EPYC", "XLA_FLAGS": "--x"}
    assert difference(here, elsewhere) == ""
    assert "it has jax 0.1" in difference(here, {**here, "jax_version": "0.1"})
    assert "harness none" in difference(here, {"harness_version": "none"})
    assert "other code" in difference(here, {**here, "harness_code": "0"})


def test_a_worker_needs_the_same_plugins(known: Registry):
    (run,) = runs_of(known, "mean_pool")
    sources = list(run.sources)
    assert lacking(needed(sources)) == ""
    other = [replace(source, source_hash="0") for source in sources]
    assert "has other code there" in lacking(needed(other))
    absent = [replace(source, target="harness_models.absent") for source in sources]
    assert "is not installed there" in lacking(needed(absent))


def roster(**more) -> tuple[Roster, list[str]]:
    notes: list[str] = []
    defaults = {
        "greet": lambda new: dict.fromkeys(new, ""),
        "note": notes.append,
        "resources": {},
    }
    return Roster(**{**defaults, **more}), notes


def test_a_worker_takes_as_many_runs_as_it_has_threads_and_resources_for():
    found, _ = roster(resources={"gpu": 1.0, "memory": 4e9})
    about = {"host": "h", "nthreads": 8, "resources": {"gpu": 3.0, "memory": 9e9}}
    found.look({"tcp://a": about})
    assert found.slots == {"tcp://a": 2}


def test_who_leaves_and_who_comes_later_is_seen():
    found, notes = roster()
    found.look({})
    assert notes == ["no worker that may be used is there; runs wait for one"]
    found.look({"tcp://a": HERE})
    found.look({"tcp://b": HERE})
    assert found.slots == {"tcp://b": 2}


def test_a_worker_that_is_refused_is_told_of_once_and_greeted_once():
    asked: list[str] = []

    def greet(new: Sequence[str]) -> dict[str, str]:
        asked.extend(new)
        return dict.fromkeys(new, "it is another one")

    found, notes = roster(greet=greet)
    for _ in range(3):
        found.look({"tcp://a": HERE})
    assert asked == ["tcp://a"] and found.slots == {}
    assert [note for note in notes if "is not used" in note] == [
        "worker tcp://a on tcp is not used: it is another one"
    ]


def test_workers_that_came_are_greeted_together():
    asked: list[Sequence[str]] = []

    def greet(new: Sequence[str]) -> dict[str, str]:
        asked.append(new)
        return dict.fromkeys(new, "")

    found, _ = roster(greet=greet)
    found.look({"tcp://a": HERE})
    found.look({"tcp://a": HERE, "tcp://b": HERE, "tcp://c": HERE})
    assert asked == [["tcp://a"], ["tcp://b", "tcp://c"]]


def test_what_goes_wrong_while_a_worker_is_greeted_is_tried_again_and_then_told():
    answers: list[str | BaseException] = [OSError("it is busy"), ""]
    found, notes = roster(greet=lambda new: {"tcp://a": answers.pop(0)})
    for _ in range(2):
        found.look({"tcp://a": HERE})
    assert found.slots == {"tcp://a": 2} and not [n for n in notes if "not used" in n]

    found, notes = roster(greet=lambda new: {"tcp://a": OSError("it is\nbroken")})
    for _ in range(5):
        found.look({"tcp://a": HERE})
    assert [note for note in notes if "is not used" in note] == [
        "worker tcp://a on tcp is not used: it cannot be prepared (OSError: it is)"
    ]


def test_a_greeting_that_fails_as_a_whole_is_tried_again_and_costs_no_other_worker():
    def greet(new: Sequence[str]) -> dict[str, str]:
        if "tcp://a" in new:
            raise UsageError("plug.py changed while it was shipped; run again")
        return dict.fromkeys(new, "")

    found, notes = roster(greet=greet)
    for _ in range(3):
        found.look({"tcp://a": HERE})
    assert "plug.py changed while it was shipped" in notes[-1] and "tcp://a" in found.refused
    found.look({"tcp://a": HERE, "tcp://b": HERE})
    assert found.slots == {"tcp://b": 2}


class Workers:
    """A client of workers that have one folder, and what they were asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []
        self.gone: set[str] = set()

    def run(self, function, *args, workers, on_error):
        assert on_error == "return"
        self.asked.append((function.__name__, list(workers)))
        gone = {one: OSError("it has gone") for one in workers if one in self.gone}
        return {one: function(*args) for one in workers if one not in gone} | gone


def test_workers_of_one_machine_are_sent_a_file_once(tmp_path: Path):
    (tmp_path / "data.bin").write_bytes(b"some")
    client, there = Workers(), ["tcp://h:1", "tcp://h:2", "tcp://h:3"]
    about = {"here": machine.key_parts(), "plugins": "[]", "roots": [root_of(tmp_path)]}
    assert greeted(client, there, **about) == dict.fromkeys(there, "")
    assert [one for one in client.asked if one[0] == "receive"] == [("receive", ["tcp://h:3"])]
    client.asked.clear()
    assert greeted(client, ["tcp://g:1"], **about) == {"tcp://g:1": ""}
    assert [name for name, _ in client.asked] == ["who", "lacking", "missing"]


def test_a_worker_that_goes_while_it_is_greeted_or_has_other_code_costs_no_other():
    client = Workers()
    client.gone = {"tcp://h:1"}
    found = greeted(
        client, ["tcp://h:1", "tcp://h:2"], here=machine.key_parts(), plugins="[]", roots=[]
    )
    assert isinstance(found["tcp://h:1"], OSError) and found["tcp://h:2"] == ""
    other = {**machine.key_parts(), "jax_version": "0.1"}
    assert "jax" in str(greeted(Workers(), ["tcp://h:1"], here=other, plugins="[]", roots=[]))


def test_a_turn_is_waited_for_until_there_is_room():
    found, _ = roster()
    entered = threading.Event()

    def take() -> None:
        with found.slot(lambda: True):
            entered.set()

    waiting = threading.Thread(target=take)
    waiting.start()
    time.sleep(0.05)
    assert not entered.is_set()
    found.look({"tcp://a": HERE})
    assert entered.wait(10)
    waiting.join()
    assert found.busy == 0


def test_who_is_not_wanted_any_more_gets_no_turn():
    found, _ = roster()
    with pytest.raises(NotOn), found.slot(lambda: False):
        raise AssertionError


def follower(tmp_path: Path) -> tuple[Follower, list]:
    heard: list = []
    return Follower(heard.append, tmp_path / "run.log"), heard


def message(attempt: str, number: int | None, event) -> dict:
    return {"run": "r", "attempt": attempt, "number": number, "line": to_line(event)}


FIRST, SECOND = EpochEnd({"epoch": 1}), EpochEnd({"epoch": 2})


def outcome(attempt: str, *events, ended=None) -> dict:
    lines = [to_line(event) for event in events]
    return {"attempt": attempt, "lines": lines, "ended": ended, "log": "all of it"}


def test_each_event_is_heard_once_whether_or_not_its_message_came(tmp_path: Path):
    follow, heard = follower(tmp_path)
    follow.told(message("a", 0, FIRST))
    follow.told(message("a", 0, FIRST))  # twice
    follow.told(message("a", None, Progress(1, 2, 3, 4, 0.5, 10.0)))
    follow.told(message("a", 2, Measured({"epochs": 2})))  # the one before was lost
    done = outcome("a", FIRST, SECOND, Measured({"epochs": 2}), Ended("ok"))
    assert follow.finished(done) is None
    kept = [event for event in heard if not isinstance(event, Progress)]
    assert kept == [FIRST, SECOND, Measured({"epochs": 2}), Ended("ok")]
    assert (tmp_path / "run.log").read_text() == "all of it"


def test_what_a_lost_attempt_said_does_not_count(tmp_path: Path):
    follow, heard = follower(tmp_path)
    follow.told(message("a", 0, FIRST))
    follow.told(message("b", 0, FIRST))
    follow.told(message("a", 1, SECOND))  # a late word
    assert follow.finished(outcome("b", FIRST, SECOND, ended=["timeout", "T", "m"])) == Ended(
        "timeout", "T", "m"
    )
    collector = Collector({"run_id": "r"})
    for event in heard:
        collector.add(event)
    assert len([event for event in heard if isinstance(event, Again)]) == 1
    assert collector.epochs == [{"epoch": 1}, {"epoch": 2}]
    assert collector.measured == {"log_path": str(tmp_path / "run.log")}


def test_a_log_grows_while_the_run_goes_on(tmp_path: Path):
    follow, _ = follower(tmp_path)
    for text in ("one\n", "two\n"):
        follow.told({"run": "r", "attempt": "a", "log": text})
    assert (tmp_path / "run.log").read_text() == "one\ntwo\n"


@pytest.mark.parametrize(
    ("status", "state", "is_wanted"),
    [
        (Status.running, "executing", True),
        (Status.paused, "executing", True),  # its memory is full; what it performs goes on
        (Status.running, "cancelled", False),
        (Status.running, None, False),
        (Status.closing, "executing", False),  # it would wait for the run, and bring it nobody
    ],
)
def test_a_run_is_stopped_where_nobody_gets_its_result(
    status: Status, state: str | None, is_wanted: bool
):
    tasks = {} if state is None else {"key": SimpleNamespace(state=state)}
    worker = SimpleNamespace(status=status, state=SimpleNamespace(tasks=tasks))
    assert watcher(worker, "key")() is is_wanted


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
