"""Opening a database: what is made, what is widened, and what every misfit is told."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateTable
from stored import make_result, make_row

from harness import database, schema
from harness.errors import StoreError
from harness.rows import NAMES, OLDER, complete
from harness.store import open_store


def refusal(url: str, *, must_exist: bool = False) -> str:
    with pytest.raises(StoreError) as caught:
        open_store(url, must_exist=must_exist).close()
    message = str(caught.value)
    assert "\n" not in message
    return message


def column_names(path: Path, table: str) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [line[1] for line in connection.execute(f"PRAGMA table_info({table})")]


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A closed store with one run in it."""
    path = tmp_path / "made.db"
    with open_store(f"sqlite:///{path}") as store:
        store.add(make_result(make_row(run_id="first")))
    return path


def test_the_row_table_has_every_column_in_order(made: Path):
    assert column_names(made, "rows") == ["sequence", *NAMES]


def test_a_sqlite_store_is_in_write_ahead_mode(made: Path):
    with closing(sqlite3.connect(made)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_closed_sqlite_store_is_one_file(made: Path):
    assert [path.name for path in made.parent.iterdir()] == ["made.db"]


def test_reading_does_not_create_an_absent_file(tmp_path: Path):
    path = tmp_path / "absent.db"
    message = refusal(f"sqlite:///{path}", must_exist=True)
    assert str(path) in message and "harness run" in message
    assert list(tmp_path.iterdir()) == []


def test_reading_does_not_make_tables_in_an_empty_file(tmp_path: Path):
    path = tmp_path / "empty.db"
    path.touch()
    message = refusal(f"sqlite:///{path}", must_exist=True)
    assert "holds no rows" in message and path.stat().st_size == 0


def test_a_file_of_something_else_is_refused_and_kept(tmp_path: Path):
    path = tmp_path / "notes.txt"
    path.write_text("these are notes\n" * 100)
    for must_exist in (True, False):
        message = refusal(f"sqlite:///{path}", must_exist=must_exist)
        assert "no SQLite database" in message and str(path) in message
    assert path.read_text() == "these are notes\n" * 100


def test_a_folder_is_refused(tmp_path: Path):
    assert "is a folder" in refusal(f"sqlite:///{tmp_path}")


def test_a_file_in_an_absent_folder_is_refused(tmp_path: Path):
    message = refusal(f"sqlite:///{tmp_path}/absent/rows.db")
    assert f"no folder {tmp_path}/absent" in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_an_unreadable_folder_is_refused(tmp_path: Path):
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0)
    try:
        refusal(f"sqlite:///{folder}/rows.db")
    finally:
        folder.chmod(0o700)


def test_a_newer_schema_is_refused(made: Path):
    change(made, "UPDATE meta SET schema_version = schema_version + 1")
    message = refusal(f"sqlite:///{made}")
    assert f"schema {schema.SCHEMA_VERSION + 1}" in message and "--upgrade" in message


def test_columns_that_an_older_store_lacks_are_added_without_loss(made: Path):
    for name in ("observer_s", "dirty"):
        change(made, f"ALTER TABLE rows DROP COLUMN {name}")
    change(made, "ALTER TABLE epochs DROP COLUMN eval_s")
    with open_store(f"sqlite:///{made}", must_exist=True) as store:
        row = store.find("first")
        assert (row["observer_s"], row["dirty"], row["test_accuracy"]) == (None, None, 0.8)
        assert [epoch["eval_s"] for epoch in store.epochs("first")] == [None, None]
        store.add(make_result(make_row(run_id="second", dirty=True)))
        assert store.find("second")["dirty"] is True


def test_tables_that_an_older_store_lacks_are_added(made: Path):
    change(made, "DROP TABLE planned")
    with open_store(f"sqlite:///{made}", must_exist=True) as store:
        assert store.lost() == [] and len(store.rows()) == 1


def test_an_older_store_is_upgraded_and_a_newer_one_refused_in_every_database(store_url: str):
    with open_store(store_url) as store:
        store.add(make_result(make_row(run_id="first")))
        engine = store._engine
        with database.writing(engine) as connection:
            connection.exec_driver_sql("DROP TABLE planned")
            connection.exec_driver_sql("ALTER TABLE rows DROP COLUMN params_hash")
            connection.exec_driver_sql("UPDATE meta SET schema_version = 0")
    with open_store(store_url, must_exist=True) as store:
        assert store.find("first")["params_hash"] is None and store.lost() == []
        with database.writing(store._engine) as connection:
            version = connection.execute(sa.select(schema.META.c.schema_version)).scalar()
            assert version == schema.SCHEMA_VERSION
            connection.exec_driver_sql("UPDATE meta SET schema_version = 99")
    assert "schema 99" in refusal(store_url)


def test_other_tables_in_the_database_are_left_alone(tmp_path: Path):
    path = tmp_path / "shared.db"
    change(path, "CREATE TABLE birds (name TEXT)")
    with open_store(f"sqlite:///{path}") as store:
        assert store.rows() == []
    assert column_names(path, "birds") == ["name"]


@pytest.mark.parametrize("url", ["harness.db", "", "sqlite", "//x/y"])
def test_text_that_is_no_url_is_refused_with_an_example(url: str):
    assert "sqlite:///harness.db" in refusal(url)


@pytest.mark.parametrize("url", ["mysql://u:secret@h/n", "sqlite+aiosqlite:///x", "oracle://"])
def test_an_unknown_scheme_is_refused_and_a_password_not_repeated(url: str):
    message = refusal(url)
    assert repr(url.split(":")[0]) in message and "postgresql://" in message
    assert "secret" not in message


def test_a_missing_postgres_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for scheme in ("postgres", "postgresql"):
        message = refusal(f"{scheme}://user:secret@localhost/zoo")
        assert "pip install 'model-zoo-harness[postgres]'" in message
        assert "secret" not in message


def test_every_table_can_be_made_in_postgres():
    dialect = postgresql.dialect()
    texts = {
        table.name: str(CreateTable(table).compile(dialect=dialect))
        for table in schema.METADATA.sorted_tables
    }
    assert "sequence BIGSERIAL" in texts["rows"]
    assert "peak_rss_bytes BIGINT" in texts["rows"]
    assert "test_accuracy DOUBLE PRECISION" in texts["rows"]
    assert "npy BYTEA" in texts["arrays"]


def test_a_write_waits_for_another_one(made: Path):
    """The other process holds the file for a moment; nothing is lost, nothing raised."""
    hold = (
        "import sqlite3, sys, time\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "print('held', flush=True)\n"
        "time.sleep(1)\n"
        "connection.execute('COMMIT')\n"
        "connection.close()\n"
    )
    command = [sys.executable, "-c", hold, str(made)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other,
        open_store(f"sqlite:///{made}") as store,
    ):
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        store.add(make_result(make_row(run_id="second")))
        assert [row["run_id"] for row in store.rows()] == ["first", "second"]
    assert other.returncode == 0


def test_a_lock_that_is_never_given_back_is_told(made: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(made, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with (
            open_store(f"sqlite:///{made}") as store,
            pytest.raises(StoreError, match="locked; another process has held it for 0.1 s"),
        ):
            store.add(make_result())


def test_told_keeps_only_the_first_line():
    with pytest.raises(StoreError, match="^store here: first; check [^\n]*$"):
        with database.told("here"):
            raise SQLAlchemyError("first\nsecond")


def test_a_row_of_nothing_but_an_identity_is_stored(tmp_path: Path):
    with open_store(f"sqlite:///{tmp_path}/rows.db") as store:
        store.add(make_result(complete({"run_id": "bare"})))
        assert store.rows() == [complete({"run_id": "bare", **OLDER})]
