"""What is lost when something dies: no run, and none is stored twice."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from called import Call
from dask_cluster import (
    Cluster,
    another_service,
    asked,
    begun,
    command,
    rows_of,
    running_cluster,
    wait_until,
    waiting,
)
from postgres import Server

from harness.cluster import connection
from harness.cluster.roster import Roster
from harness.store import open_store

pytestmark = pytest.mark.cluster


def test_a_killed_worker_costs_no_run_and_a_late_one_takes_over(tmp_path: Path):
    gate, store = tmp_path / "gate", f"sqlite:///{tmp_path}/rows.db"
    with running_cluster(tmp_path / "cluster", "first") as cluster:
        plan = command(tmp_path, *asked(cluster, store, *waiting(gate, seeds=2)))
        wait_until(lambda: begun(gate) == 1, what="a run on the first worker")
        cluster.start_worker("late")
        wait_until(lambda: begun(gate) == 2, what="a run on the late worker")
        cluster.kill("first")
        (gate / "open").touch()
        code, _, err = plan.ended()
        assert code == 0, err
        assert "its worker was lost; it goes on elsewhere" in err
        rows = rows_of(store)
        assert [row["status"] for row in rows] == ["ok", "ok"]
        assert len({row["run_key"] for row in rows}) == 2
        assert cluster.performed("late") == {row["run_id"] for row in rows}


def test_a_run_that_ends_its_workers_is_given_up(tmp_path: Path):
    store = f"sqlite:///{tmp_path}/rows.db"
    with running_cluster(tmp_path / "cluster", *(f"w{i}" for i in range(4))) as cluster:
        gate = tmp_path / "gate"
        plan = command(tmp_path, *asked(cluster, store, *waiting(gate)))
        for count in range(1, 5):
            wait_until(lambda count=count: begun(gate) == count, what=f"attempt {count}")
            [name] = [n for n in list(cluster.processes) if cluster.performed(n)]
            cluster.kill(name)
        code, _, err = plan.ended()
    assert code == 3, err
    [row] = rows_of(store)
    assert (row["status"], row["error_type"]) == ("failed", "KilledWorker")


def test_a_scheduler_that_begins_anew_costs_no_run(tmp_path: Path):
    gate, store = tmp_path / "gate", f"sqlite:///{tmp_path}/rows.db"
    with running_cluster(tmp_path / "cluster", "before") as cluster:
        plan = command(tmp_path, *asked(cluster, store, *waiting(gate, seeds=2)))
        wait_until(lambda: begun(gate) == 1, what="a run")
        cluster.kill("scheduler")
        wait_until(lambda: cluster.processes["before"].poll() is not None, what="it stays")
        cluster.start_scheduler()
        (gate / "open").touch()
        cluster.start_worker("after")
        code, _, err = plan.ended()
    assert code == 0, err
    assert "has gone; runs wait for it" in err and "is back" in err
    rows = rows_of(store)
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert len({row["run_key"] for row in rows}) == 2


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once the command has looked who is there: it is connected by then."""
    event, look = threading.Event(), Roster.look

    def seen(self: Roster, there: Any) -> None:
        look(self, there)
        event.set()

    monkeypatch.setattr(Roster, "look", seen)
    return event


def test_a_scheduler_may_begin_anew_while_all_wait_for_a_worker(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked: threading.Event
):
    """For a run, and for what data sets are: longer than Dask itself tries again."""
    monkeypatch.setattr(connection, "CONNECT_S", 3.0)
    store = f"sqlite:///{tmp_path}/rows.db"

    def again(name: str) -> None:
        assert looked.wait(60)
        cluster.kill("scheduler")
        time.sleep(5)
        cluster.start_scheduler()
        cluster.start_worker(name)

    with running_cluster(tmp_path / "cluster") as cluster, ThreadPoolExecutor(1) as beside:
        words = ("run", *asked(cluster, store, "-m", "mean_pool", "--resume"))
        for name in ("one", "two"):
            looked.clear()
            done = beside.submit(again, name)
            said = call(*words)
            done.result()
            assert said.code == 0 and said.err.count("has gone; runs wait") == 1, said.err
            assert "is back" in said.err
            cluster.kill(name)
    [row] = rows_of(store)  # the second time it stood for itself
    assert row["status"] == "ok"


@pytest.mark.parametrize("is_taken", [False, True])
def test_runs_that_wait_for_a_scheduler_that_stays_away_are_failed(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked: threading.Event,
    is_taken: bool,
):  # fmt: skip
    """Whether or not something else listens in its place."""
    monkeypatch.setattr(connection, "CONNECT_S", 3.0)
    monkeypatch.setattr(connection, "PATIENCE_S", 6.0)
    store = f"sqlite:///{tmp_path}/rows.db"

    def lose() -> None:
        assert looked.wait(60)
        cluster.kill("scheduler")
        if is_taken:
            stack.enter_context(another_service(b"", port=cluster.port))

    with (
        ExitStack() as stack,
        running_cluster(tmp_path / "cluster") as cluster,
        ThreadPoolExecutor(1) as beside,
    ):
        done = beside.submit(lose)
        said = call("run", *asked(cluster, store, "-m", "mean_pool", "-m", "mlp"))
        done.result()
    assert said.code == 3
    rows = rows_of(store)
    assert [row["error_type"] for row in rows] == ["SchedulerLost"] * 2
    assert "did not come back" in rows[0]["error_message"]
    assert "Traceback" not in said.err


def test_runs_go_on_without_their_command_where_workers_reach_the_store(
    two_workers: Cluster, tmp_path: Path, postgres: Server
):
    gate, store = tmp_path / "gate", postgres.new_database()
    words = asked(two_workers, store, *waiting(gate, seeds=3))
    first = command(tmp_path, *words)
    wait_until(lambda: begun(gate) == 2, what="two runs")
    first.kill()
    again = command(tmp_path, *words, "--resume")
    with open_store(store) as opened:
        planned = {line["run_id"] for line in opened.lost()}
    (gate / "open").touch()
    code, _, err = again.ended()
    assert code == 0, err
    rows = rows_of(store)
    assert sorted(row["seed"] for row in rows) == [0, 1, 2]
    # under the identities of the first plan; those that went on were not begun again
    assert {row["run_id"] for row in rows} == planned
    assert begun(gate) == 3


def test_a_command_that_is_killed_stops_its_runs_and_resumes_them(
    two_workers: Cluster, tmp_path: Path
):
    gate, store = tmp_path / "gate", f"sqlite:///{tmp_path}/rows.db"
    words = asked(two_workers, store, *waiting(gate, seeds=2))
    first = command(tmp_path, *words)
    wait_until(lambda: begun(gate) == 2, what="two runs")
    first.kill()
    again = command(tmp_path, *words, "--resume")
    wait_until(lambda: begun(gate) >= 4, what="two runs again")
    (gate / "open").touch()
    code, _, err = again.ended()
    assert code == 0, err
    assert sorted(row["seed"] for row in rows_of(store)) == [0, 1]
