"""Who answers at a scheduler's address, and what the scheduler says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from called import Call
from dask_cluster import TINY, Cluster, another_service, running_cluster, wait_until

from harness.cluster import connection

pytestmark = pytest.mark.cluster
NOWHERE = "tcp://127.0.0.1:9"


def test_workers_are_asked_of_the_scheduler_whatever_dasks_client_keeps(
    two_workers: Cluster, monkeypatch: pytest.MonkeyPatch
):
    asked_of = connection.Cluster(scheduler=two_workers.address)
    with connection.connection(asked_of, hear=lambda _: None, note=print) as link:
        wait_until(lambda: len(link.workers()) == 2, what="not two workers")
        # a heartbeat of the client's empties what it keeps, now and then
        emptied = {"workers": {}}
        monkeypatch.setattr(link.client, "scheduler_info", lambda **_: emptied)
        assert len(link.workers()) == 2


def test_an_address_where_nothing_answers_is_a_usage_error(
    call: Call, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connection, "CONNECT_S", 1.0)
    said = call(*("run", *TINY, "-m", "mlp", "--executor", "dask"), "--scheduler", NOWHERE)
    assert said.code == 2
    [line] = [line for line in said.err.splitlines() if line]
    assert "no scheduler answers there" in line and "dask scheduler" in line


@pytest.mark.parametrize(
    ("banner", "told"),
    [
        (b"", "has not answered within 4 s"),  # as the dashboard, which waits for a request
        (b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", "does not speak as Dask does"),
        (bytes(64), "does not speak as Dask does"),
    ],
)
def test_a_port_of_another_service_is_a_usage_error(
    call: Call, monkeypatch: pytest.MonkeyPatch, banner: bytes, told: str
):
    monkeypatch.setattr(connection, "CONNECT_S", 3.0)
    monkeypatch.setattr(connection, "HELLO_S", 1.0)
    with another_service(banner) as port:
        address = f"tcp://127.0.0.1:{port}"
        said = call("run", *TINY, "-m", "mlp", "--executor", "dask", "--scheduler", address)
    assert said.code == 2
    [line] = [line for line in said.err.splitlines() if line]
    assert f"{address}: no scheduler answers there" in line and told in line


def test_the_address_of_a_worker_is_a_usage_error(two_workers: Cluster, call: Call):
    [address] = re.findall(r"Listening to:\s+(tcp://\S+)", two_workers.log("one"))
    said = call("run", *TINY, "-m", "mlp", "--executor", "dask", "--scheduler", address)
    assert said.code == 2 and "a worker of Dask's listens there" in said.err


def test_a_service_in_the_place_of_a_scheduler_that_has_gone_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Dask's client has given up by then, and another one would never come to be."""
    monkeypatch.setattr(connection, "CONNECT_S", 3.0)
    monkeypatch.setattr(connection, "PATIENCE_S", 1.0)
    notes: list[str] = []
    with running_cluster(tmp_path / "cluster") as cluster:
        asked_of = connection.Cluster(scheduler=cluster.address)
        with connection.connection(asked_of, hear=lambda _: None, note=notes.append) as link:
            cluster.kill("scheduler")
            link.client.close()
            with another_service(b"", port=cluster.port):
                assert not link.restored(0, lambda: False) and notes == []
                for _ in range(2):  # who waits stops waiting, as after Ctrl-C
                    is_wanted = iter((True, False, False))
                    assert not link.restored(0, lambda answers=is_wanted: next(answers, False))
                assert not link.lost and not link.restored(0, lambda: True)
            assert link.lost
    [note] = notes
    assert "has gone; runs wait for it" in note
