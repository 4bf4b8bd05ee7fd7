"""Runs on a Dask cluster: what comes back, and what is lost when something dies (nothing)."""

from __future__ import annotations

import json
import re
import socketserver
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from called import Call
from dask_cluster import PLUGIN, Cluster, command, running_cluster, wait_until
from dask_jobqueue.slurm import SLURMCluster
from postgres import Server
from waiting_plugin import Waits

import harness
from harness.cluster import connection
from harness.cluster.roster import Roster
from harness.store import open_store

pytestmark = pytest.mark.cluster
NOWHERE = "tcp://127.0.0.1:9"
TINY = ("-d", "digits", "--epochs", "1", "--limit", "200", "--batch-size", "50")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with two workers that no test kills."""
    with running_cluster(tmp_path_factory.mktemp("two"), "one", "other") as cluster:
        yield cluster


def rows_of(store: str) -> list[dict]:
    with open_store(store) as opened:
        return opened.rows()


def asked(cluster: Cluster, store: str, *words: str) -> list[str]:
    return [
        *TINY,
        *words,
        "--executor",
        "dask",
        "--scheduler",
        cluster.address,
        "--store",
        store,
    ]


def waiting(folder: Path, *, seeds: int = 1) -> list[str]:
    """Runs that wait in their middle until `folder` has a file named open."""
    folder.mkdir(exist_ok=True)
    return ["--plugin", str(PLUGIN), "-m", f"waits[gate={folder}]", "--seeds", str(seeds)]


def begun(folder: Path) -> int:
    return len(list(folder.glob("begun-*")))


def test_workers_are_asked_of_the_scheduler_whatever_dasks_client_keeps(
    two: Cluster, monkeypatch: pytest.MonkeyPatch
):
    asked_of = connection.Cluster(scheduler=two.address)
    with connection.connection(asked_of, hear=lambda _: None, note=print) as link:
        wait_until(lambda: len(link.workers()) == 2, what="not two workers")
        # a heartbeat of the client's empties what it keeps, now and then
        emptied = {"workers": {}}
        monkeypatch.setattr(link.client, "scheduler_info", lambda **_: emptied)
        assert len(link.workers()) == 2


def test_a_cluster_gives_the_same_bits_as_this_machine(two: Cluster, tmp_path: Path):
    store = f"sqlite:///{tmp_path}/rows.db"
    there = command(
        tmp_path, *asked(two, store, "-m", "mean_pool", "-m", "gru", "--seeds", "2")
    )
    code, out, err = there.ended()
    assert code == 0, err
    here = harness.run(
        "digits", ["mean_pool", "gru"], seeds=2, epochs=1, limit=200, batch_size=50,
        store=store,
    )  # fmt: skip
    frame = harness.load(store)
    by_place = dict(iter(frame.groupby("executor")))
    assert {name: len(rows) for name, rows in by_place.items()} == {"dask": 4, "process": 4}
    keys = ["model", "seed"]
    both = by_place["dask"].merge(by_place["process"], on=keys, suffixes=("_there", "_here"))
    for name in ("params_hash", "test_accuracy", "test_loss", "hlo_hash", "data_fingerprint"):
        assert both[f"{name}_there"].tolist() == both[f"{name}_here"].tolist(), name
    assert set(here["status"]) == {"ok"} and set(frame["host"]) == set(here["host"])
    with open_store(store) as opened:
        one = both.iloc[0]
        there, alone = (
            opened.array(one[f"run_id_{side}"], "train_loss") for side in ("there", "here")
        )
    assert there is not None and alone is not None
    assert there.tolist() == alone.tolist()
    # both workers took part, and each epoch was told while the plan went on
    assert all(two.performed(name) for name in ("one", "other"))
    assert len(re.findall(r"epoch 1/1", err)) == 4


def test_a_plugin_file_and_data_travel_to_the_workers(two: Cluster, tmp_path: Path):
    lines = [f"{'good fine' if i % 2 else 'bad poor'} word{i},{i % 2}" for i in range(80)]
    (tmp_path / "reviews.csv").write_text("text,label\n" + "\n".join(lines))
    (tmp_path / "others.csv").write_text("text,label\n")
    store = f"sqlite:///{tmp_path}/rows.db"
    words = (
        "-d", "text_file[path=reviews.csv]", "-m", "waits", "--plugin", str(PLUGIN),
        "--epochs", "1", "--batch-size", "16", "--ship", "reviews.csv", "--ship", "others.csv",
        "--executor", "dask", "--scheduler", two.address, "--store", store,
    )  # fmt: skip
    code, _, err = command(tmp_path, *words).ended()
    assert code == 0, err
    [row] = rows_of(store)
    # the row speaks of the paths that the user gave
    assert json.loads(row["dataset_params"])["path"] == "reviews.csv"
    shipped = [p for p in two.folder.glob("cache-*/shipped/*/*")]
    assert {p.name for p in shipped} == {"reviews.csv", "others.csv", "waiting_plugin.py"}
    [line] = [line for line in err.splitlines() if "--ship" in line]
    assert f"{tmp_path / 'others.csv'}" in line and "no parameter" in line
    # what the plugin printed came back
    assert "the model is being made" in Path(row["log_path"]).read_text()


def test_runs_that_share_a_machine_are_marked_and_exclusive_ones_take_turns(
    two: Cluster, tmp_path: Path
):
    gate, store = tmp_path / "gate", f"sqlite:///{tmp_path}/rows.db"
    sharing = command(tmp_path, *asked(two, store, *waiting(gate, seeds=2)))
    wait_until(lambda: begun(gate) == 2, what="two runs at once")
    (gate / "open").touch()
    assert sharing.ended()[0] == 0
    assert [row["timing_comparable"] for row in rows_of(store)] == [False, False]
    code, _, err = command(
        tmp_path, *asked(two, store, "-m", "mean_pool", "--seeds", "3", "--exclusive")
    ).ended()
    assert code == 0 and "waits until another run has left the machine" in err
    assert [row["timing_comparable"] for row in rows_of(store)[2:]] == [True] * 3


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
    two: Cluster, tmp_path: Path, postgres: Server
):
    gate, store = tmp_path / "gate", postgres.new_database()
    words = asked(two, store, *waiting(gate, seeds=3))
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


def test_a_command_that_is_killed_stops_its_runs_and_resumes_them(two: Cluster, tmp_path: Path):
    gate, store = tmp_path / "gate", f"sqlite:///{tmp_path}/rows.db"
    words = asked(two, store, *waiting(gate, seeds=2))
    first = command(tmp_path, *words)
    wait_until(lambda: begun(gate) == 2, what="two runs")
    first.kill()
    again = command(tmp_path, *words, "--resume")
    wait_until(lambda: begun(gate) >= 4, what="two runs again")
    (gate / "open").touch()
    code, _, err = again.ended()
    assert code == 0, err
    assert sorted(row["seed"] for row in rows_of(store)) == [0, 1]


def test_a_worker_with_another_harness_is_refused_in_one_line(tmp_path: Path):
    fake = tmp_path / "site" / "model_zoo_harness-0.0.1.dist-info"
    fake.mkdir(parents=True)
    (fake / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: model-zoo-harness\nVersion: 0.0.1\n"
    )
    store = f"sqlite:///{tmp_path}/rows.db"
    with running_cluster(tmp_path / "cluster") as cluster:
        cluster.start_worker("old", environment={"PYTHONPATH": str(fake.parent)})
        plan = command(tmp_path, *asked(cluster, store, "-m", "mean_pool"))
        cluster.start_worker("same")
        code, _, err = plan.ended()
        assert code == 0, err
        assert not cluster.performed("old") and len(cluster.performed("same")) == 1
    [line] = [line for line in err.splitlines() if "is not used" in line]
    assert "it has harness 0.0.1, the command harness 0.1.0" in line


def test_a_run_takes_the_resources_of_its_worker(tmp_path: Path):
    store = f"sqlite:///{tmp_path}/rows.db"
    with running_cluster(tmp_path / "cluster", "bare") as cluster:
        cluster.start_worker("gpu", "--resources", "gpu=1")
        words = asked(cluster, store, "-m", "mean_pool", "--resource", "gpu=1")
        code, _, err = command(tmp_path, *words).ended()
        assert code == 0, err
        assert not cluster.performed("bare") and len(cluster.performed("gpu")) == 1
    assert "it has not the resources gpu=1" in err


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


@contextmanager
def another_service(banner: bytes, *, port: int = 0) -> Iterator[int]:
    """Says the same to whoever comes, and no more."""

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads = True, True

    class Greeter(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(banner)
            over.wait()

    over = threading.Event()
    with Server(("127.0.0.1", port), Greeter) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            over.set()
            server.shutdown()


def test_the_address_of_a_worker_is_a_usage_error(two: Cluster, call: Call):
    [address] = re.findall(r"Listening to:\s+(tcp://\S+)", two.log("one"))
    said = call("run", *TINY, "-m", "mlp", "--executor", "dask", "--scheduler", address)
    assert said.code == 2 and "a worker of Dask's listens there" in said.err


def test_a_class_of_this_process_is_refused():
    with pytest.raises(harness.UsageError, match="write it to a plugin file"):
        harness.run("digits", Waits, workers=1)


def test_the_recipe_for_slurm_asks_for_what_it_says():
    """What the page shows, as a job script; a scheduler is started for it, and no job."""
    page = (Path(__file__).parent.parent / "docs" / "howto" / "cluster.md").read_text()
    [program] = [part for part in page.split("```") if "# slurm_workers.py" in part]
    told: dict = {}
    exec(program.removeprefix("python\n"), told)
    page_of_its_own = {"dashboard_address": "127.0.0.1:0"}
    cluster: Any = SLURMCluster(**told["JOB"], scheduler_options=page_of_its_own)
    with cluster:
        script = cluster.job_script()
    for line in (
        "#SBATCH -p gpu", "#SBATCH --cpus-per-task=8", "#SBATCH --mem=30G",
        "#SBATCH -t 04:00:00", "#SBATCH --gres=gpu:1", "source .venv/bin/activate",
    ):  # fmt: skip
        assert line in script.splitlines(), script
    [start] = [line for line in script.splitlines() if "dask_worker" in line]
    assert (
        "--nthreads 1" in start and "--resources gpu=1" in start and "--lifetime 230m" in start
    )
