"""What a store does not take waits, and arrives."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from postgres import Server, running_server
from stored import make_result, make_row

from harness import database
from harness.errors import StoreError
from harness.rows import Result
from harness.spool import Spool
from harness.store import open_store


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def ids(url: str) -> list[str]:
    with open_store(url, must_exist=True) as store:
        return [row["run_id"] for row in store.rows()]


def test_what_the_store_takes_never_waits(cache: Path, store_url: str):
    notes: list[str] = []
    with open_store(store_url) as store:
        spool = Spool(store, note=notes.append)
        spool.save(make_result(make_row(run_id="a")))
        spool.finish()
    assert ids(store_url) == ["a"] and notes == []
    assert not list(spool.folder.glob("*.jsonl"))


def test_a_run_is_added_once(cache: Path, store_url: str):
    with open_store(store_url) as store:
        spool = Spool(store, note=lambda text: None)
        for _ in range(2):
            spool.save(make_result(make_row(run_id="a")))
        spool.finish(patience_s=0)
    assert ids(store_url) == ["a"]


def test_rows_wait_while_the_database_is_away_and_arrive_in_order(cache: Path):
    notes: list[str] = []
    with running_server() as server:
        url = server.new_database()
        with open_store(url) as store:
            spool = Spool(store, note=notes.append)
            spool.save(make_result(make_row(run_id="a")))
            server.stop()
            try:
                spool.save(make_result(make_row(run_id="b")))
                spool.save(make_result(make_row(run_id="c")))
                assert len(list(spool.folder.glob("*.jsonl"))) == 2
                with pytest.raises(
                    StoreError,
                    match="2 rows .* store import .* --store postgresql",
                ):
                    spool.finish(patience_s=0)
            finally:
                server.start()
            spool.save(make_result(make_row(run_id="d")))
            assert list(spool.folder.glob("*.jsonl")) == []
        assert ids(url) == ["a", "b", "c", "d"]
    assert "until then rows wait in" in notes[0] and "are in store" in notes[1]
    assert len(notes) == 2


def test_the_next_command_takes_in_what_an_earlier_one_left(cache: Path):
    notes: list[str] = []
    with running_server() as server:
        url = server.new_database()
        with open_store(url) as store:
            server.stop()
            try:
                Spool(store, note=notes.append).save(make_result(make_row(run_id="a")))
            finally:
                server.start()
        with open_store(url) as store:
            Spool(store, note=notes.append)
        assert ids(url) == ["a"]
    assert "1 row of earlier runs waited" in notes[1]


def test_a_damaged_file_is_set_aside(cache: Path, store_url: str):
    notes: list[str] = []
    with open_store(store_url) as store:
        spool = Spool(store, note=notes.append)
        spool.folder.mkdir(parents=True)
        (spool.folder / "bad.jsonl").write_text('{"row": {}')
        assert spool.flush()
    assert (spool.folder / "bad.damaged").exists() and "set aside" in notes[0]


FULL = """
import resource, sys
from pathlib import Path
from stored import make_result, make_row, npy
from harness.spool import Spool
from harness.store import open_store

url, path, kind = sys.argv[1:]
big = [0.5] * 20_000
with open_store(url) as store:
    spool = Spool(store, note=lambda text: print(text, flush=True))
    spool.save(make_result(make_row(run_id="a"), steps=big))
    # SQLite may no longer make its files longer: what a full disk tells it
    size = Path(path).stat().st_size + 150_000
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size if kind == "disk" else 1000, hard))
    for name in "bcdef":
        spool.save(make_result(make_row(run_id=name), steps=big))
    waiting = len(list(spool.folder.glob("*.jsonl"))) if spool.folder.exists() else 0
    print("waiting", waiting, "held", len(spool._held), flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    spool.finish(patience_s=0)
"""


@pytest.mark.parametrize("kind", ["disk", "everything"])
def test_a_full_disk_costs_no_row(cache: Path, tmp_path: Path, kind: str):
    url = f"sqlite:///{tmp_path}/rows.db"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", FULL, url, f"{tmp_path}/rows.db", kind],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    count = next(line.split() for line in said if line.startswith("waiting"))
    assert int(count[1 if kind == "disk" else 3]) > 0, said
    assert "rows wait in" in said[0] and "are in store" in said[-1]
    assert sorted(ids(url)) == list("abcdef")


def test_a_disk_without_room_for_a_folder_costs_no_row(
    cache: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
):
    """Neither the store nor the cache takes anything, not even an empty file."""

    def full(*words: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with open_store(store_url) as store:
        spool = Spool(store, note=lambda text: None)
        with monkeypatch.context() as patch:
            patch.setattr(
                store, "add", lambda result: (_ for _ in ()).throw(StoreError("full"))
            )
            patch.setattr(Path, "mkdir", full)
            patch.setattr(os, "open", full)
            for name in "abc":
                spool.save(make_result(make_row(run_id=name)))
        spool.finish(patience_s=0)
    assert ids(store_url) == ["a", "b", "c"]


def test_rows_that_wait_in_files_stay_there_while_the_disk_is_full(
    cache: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
):
    with open_store(store_url) as store:
        spool = Spool(store, note=lambda text: None)
        with monkeypatch.context() as patch:
            patch.setattr(
                store, "add", lambda result: (_ for _ in ()).throw(StoreError("away"))
            )
            spool.save(make_result(make_row(run_id="a")))

        def full(self: object, *words: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("harness.spool.FileLock.acquire", full)
            spool.save(make_result(make_row(run_id="b")))
        spool.finish(patience_s=0)
    assert sorted(ids(store_url)) == ["a", "b"]


def test_text_that_no_file_takes_waits_and_arrives(cache: Path, store_url: str):
    odd = make_row(run_id="a", error_message="no file 'bad \udcff' and \0")
    with open_store(store_url) as store:
        spool, add = Spool(store, note=lambda text: None), store.add

        def refuse(result: Result) -> None:
            raise StoreError("away")

        store.add = refuse  # type: ignore[method-assign]
        spool.save(make_result(odd))
        store.add = add  # type: ignore[method-assign]
        spool.finish(patience_s=0)
        (row,) = store.rows()
    assert row["error_message"] == "no file 'bad \\udcff' and \\0"
    assert not list(spool.folder.glob("*.damaged"))


def test_a_plan_that_ends_by_our_own_fault_prints_what_no_file_holds(
    cache: Path, store_url: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    with open_store(store_url) as store:
        spool = Spool(store, note=lambda text: None)
        spool._held.append(make_result(make_row(run_id="held")))
        spool.abandon()
    assert '"run_id": "held"' in capsys.readouterr().err


def test_a_store_that_became_read_only_costs_no_row(cache: Path, tmp_path: Path):
    url = f"sqlite:///{tmp_path}/rows.db"
    with open_store(url) as store:
        spool = Spool(store, note=lambda text: None)
        spool.save(make_result(make_row(run_id="a")))
        with store._engine.connect() as connection:  # the one that the pool gives again
            connection.exec_driver_sql("PRAGMA query_only = ON")
        spool.save(make_result(make_row(run_id="b")))
        with pytest.raises(StoreError, match="readonly.* 1 row kept"):
            spool.finish(patience_s=0)
    with open_store(url) as store:
        Spool(store, note=lambda text: None)
    assert ids(url) == ["a", "b"]


def test_a_table_that_another_session_holds_is_waited_for_no_longer_than_told(
    cache: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.5)
    url = postgres.new_database()
    other = sa.create_engine(url.replace("postgresql", "postgresql+psycopg"))
    with open_store(url) as store:
        spool = Spool(store, note=lambda text: None)
        with other.begin() as connection:
            connection.exec_driver_sql("LOCK TABLE rows IN ACCESS EXCLUSIVE MODE")
            spool.save(make_result(make_row(run_id="a")))
            with pytest.raises(StoreError, match="lock timeout; another process has held it"):
                spool.finish(patience_s=0)
        spool.finish(patience_s=0)
    other.dispose()
    assert ids(url) == ["a"]


def test_two_plans_that_wait_for_one_store_lose_nothing(cache: Path):
    with running_server() as server:
        url = server.new_database()
        with open_store(url) as one, open_store(url) as two:
            spools = [Spool(store, note=lambda text: None) for store in (one, two)]
            server.stop()
            try:
                for i in range(6):
                    spools[i % 2].save(make_result(make_row(run_id=f"r{i}")))
            finally:
                server.start()
            threads = [threading.Thread(target=spool.finish) for spool in spools]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert sorted(ids(url)) == [f"r{i}" for i in range(6)]


def test_a_row_that_the_store_always_refuses_holds_no_other_up(cache: Path, store_url: str):
    with open_store(store_url) as store:
        spool = Spool(store, note=lambda text: None)
        add = store.add

        def refuse(result: Result) -> None:
            if result.row["run_id"] == "bad":
                raise StoreError("never")
            add(result)

        store.add = refuse  # type: ignore[method-assign]
        spool.save(make_result(make_row(run_id="bad")))
        spool.save(make_result(make_row(run_id="good")))
        with pytest.raises(StoreError, match="never; 1 row kept"):
            spool.finish(patience_s=0)
    assert ids(store_url) == ["good"]


def test_a_relative_name_is_another_store_in_another_folder(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folders = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        with open_store("sqlite:///harness.db") as store:
            folders.append(Spool(store, note=lambda text: None).folder)
    assert folders[0] != folders[1]


def test_a_store_that_takes_long_to_refuse_is_not_asked_for_every_row(
    cache: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
):
    clock, asked = [0.0], []
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    def refuse(result: Result) -> None:
        asked.append(result.row["run_id"])
        clock[0] += 60.0
        raise StoreError("locked")

    with open_store(store_url) as store:
        spool = Spool(store, note=lambda text: None)
        with monkeypatch.context() as patch:
            patch.setattr(store, "add", refuse)
            for name in "abcd":
                spool.save(make_result(make_row(run_id=name)))
                time.sleep(0.01)  # files have their order from the clock
            assert asked == ["a"]
            clock[0] += 1000.0
            spool.save(make_result(make_row(run_id="e")))
            assert asked == ["a", "a", "b"]  # two refusals are enough to know
        clock[0] += 1000.0
        spool.save(make_result(make_row(run_id="f")))
    assert ids(store_url) == list("abcdef")


def test_rows_that_are_refused_hold_no_others_up(cache: Path, store_url: str):
    with open_store(store_url) as store:
        spool, add = Spool(store, note=lambda text: None), store.add

        def refuse(result: Result) -> None:
            if result.row["run_id"].startswith("bad"):
                raise StoreError("never")
            add(result)

        store.add = refuse  # type: ignore[method-assign]
        for name in ("bad1", "bad2", "bad3", "good1", "good2"):
            spool.save(make_result(make_row(run_id=name)))
        assert ids(store_url) == ["good1", "good2"]


def test_a_row_is_in_a_file_before_the_store_is_asked(cache: Path, store_url: str):
    """So that Ctrl-C, or a kill, while the store does not answer costs nothing."""
    with open_store(store_url) as store:
        spool, add = Spool(store, note=lambda text: None), store.add

        def interrupted(result: Result) -> None:
            raise KeyboardInterrupt

        store.add = interrupted  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            spool.save(make_result(make_row(run_id="a")))
        assert [path.stem for path in spool.folder.glob("*.jsonl")] == ["a"]
        with pytest.raises(StoreError, match="Ctrl-C; 1 row kept in .* store import"):
            spool.finish()
        store.add = add  # type: ignore[method-assign]
    with open_store(store_url) as store:
        Spool(store, note=lambda text: None)
    assert ids(store_url) == ["a"]


def test_a_server_that_is_reached_and_does_not_answer_is_hung_up_on(
    cache: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database, "SILENCE_S", 2.0)
    notes: list[str] = []
    with running_server() as server:
        url = server.new_database()
        with open_store(url) as store:
            spool = Spool(store, note=notes.append)
            spool.save(make_result(make_row(run_id="a")))
            with server.frozen():
                spool.save(make_result(make_row(run_id="b")))
                with pytest.raises(StoreError, match="1 row kept in"):
                    spool.finish(patience_s=0)
            spool.finish(patience_s=30)
        assert ids(url) == ["a", "b"]
    assert "did not answer for 2 s" in notes[0], notes


def test_a_value_that_no_file_takes_is_still_stored(cache: Path, store_url: str):
    """As a run in this process may measure: NumPy's numbers are no JSON."""
    with open_store(store_url) as store:
        spool = Spool(store, note=lambda text: None)
        spool.save(make_result(make_row(run_id="a", test_accuracy=np.float32(0.5))))
        (row,) = store.rows()
    assert row["test_accuracy"] == 0.5
