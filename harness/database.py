"""How the database under a store is opened: SQLite or PostgreSQL, with all tables in it.

A SQLite file is kept in write-ahead mode, in which readers and a writer do not block each
other. A table or a column that a later version of the harness knows is added to an existing
database when it is opened.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.schema import CreateColumn

from harness.errors import NoStore, StoreError, first_line
from harness.schema import META, METADATA, SCHEMA_VERSION

BUSY_SECONDS = 60.0  # how long a process waits for another one that writes
# of that, SQLite's own waiting, in which Python cannot hear Ctrl-C
SQLITE_S = 0.5
# how long a statement waits for its server, its arguments' way there included
SILENCE_S = 300.0
LOCK = 0x6861726E  # any number that everyone who changes the tables agrees on
# a server that the network no longer reaches must not hold a plan up for long
PATIENCE = {
    "connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10,
    "keepalives_count": 3, "tcp_user_timeout": 60_000,
}  # fmt: skip
DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def connect(url: str, *, must_exist: bool) -> tuple[Engine, str]:
    """Opens a database with all tables in it, and makes what is missing.

    Args:
      url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.
      must_exist: an absent file, or one without tables, is an error and stays as it is.

    Returns:
      The engine, to be disposed of, and the URL without its password.

    Raises:
      StoreError: the URL, its driver, the file or what the file holds is unusable.
    """
    parsed = _absolute(_parse(url))
    name = parsed.render_as_string(hide_password=True)
    if parsed.get_backend_name() == "sqlite":
        _check_file(parsed.database, name, must_exist=must_exist)
    engine = _engine(parsed, name)
    try:
        with told(name):
            _prepare(engine, name, must_exist=must_exist)
    except BaseException:
        engine.dispose()
        raise
    return engine, name


@contextmanager
def writing(engine: Engine, *, alone: bool = False) -> Iterator[Connection]:
    """A transaction that writes; `alone` also keeps others from changing the tables."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            # a transaction that starts as a reader could not wait for its turn to write
            _patiently(connection, "BEGIN IMMEDIATE")
        elif alone:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        yield connection


@contextmanager
def told(name: str) -> Iterator[None]:
    """Turns what SQLAlchemy raises into a `StoreError` of one line."""
    try:
        yield
    except SQLAlchemyError as error:
        original = error.orig if isinstance(error, DBAPIError) else None
        reason = first_line(original or error)
        raise StoreError(f"store {name}: {reason}; {_advice(reason)}") from error


def _advice(reason: str) -> str:
    if "not a database" in reason or "malformed" in reason:
        return "the file is no SQLite database or is damaged, name another one"
    if "locked" in reason or "lock timeout" in reason:
        return f"another process has held it for {BUSY_SECONDS:g} s, try again"
    if "closed the connection" in reason:
        return f"the server has gone, or did not answer for {SILENCE_S:g} s; see its log"
    if "readonly" in reason:
        return "make the file and its folder writable (chmod u+w), or name another store"
    if "unable to open" in reason:
        return (
            "SQLite writes beside the file even to read it: make its folder writable, copy "
            "the file to one that is, or name another store"
        )
    return "check the address, the permissions and the space left, or name another store"


def _parse(url: str) -> URL:
    try:
        parsed = sa.make_url(url)
    except (SQLAlchemyError, ValueError):
        raise StoreError(
            f"store {url!r} is no database URL; write sqlite:///FILE, as in "
            "sqlite:///harness.db, or postgresql://USER@HOST/NAME"
        ) from None
    if parsed.drivername not in DRIVERS:
        raise StoreError(
            f"store {parsed.render_as_string(hide_password=True)}: unknown scheme "
            f"{parsed.drivername!r}; use sqlite:///FILE or postgresql://USER@HOST/NAME"
        )
    return parsed.set(drivername=DRIVERS[parsed.drivername])


def _absolute(url: URL) -> URL:
    """The URL with the file's whole path: a relative one means another file elsewhere."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return url
    return url.set(database=str(Path(str(url.database)).absolute()))


def _check_file(database: str | None, name: str, *, must_exist: bool) -> None:
    """Says what SQLite's "unable to open database file" leaves open."""
    if not database or database == ":memory:":
        return
    path = Path(database)
    try:
        if path.is_dir():
            raise StoreError(f"store {name} is a folder; name a file in it")
        if must_exist and not path.exists():
            raise NoStore(f"store {name} does not exist; `harness run` creates it")
        if not path.parent.is_dir():
            raise StoreError(f"store {name}: there is no folder {path.parent}; create it first")
    except OSError as error:
        raise StoreError(
            f"store {name} cannot be reached ({error.strerror}); check the folder's permissions"
        ) from None


def _engine(url: URL, name: str) -> Engine:
    try:
        if url.get_backend_name() == "sqlite":
            return sa.create_engine(url, connect_args={"timeout": SQLITE_S})
        engine = sa.create_engine(url, connect_args=PATIENCE)
        event.listen(engine, "connect", _bound_waiting)
        _bound_silence(engine)
        return engine
    except ImportError:
        raise StoreError(
            f"store {name}: the PostgreSQL driver is not installed; "
            "run pip install 'model-zoo-harness[postgres]'"
        ) from None


def _bound_waiting(connection: Any, _: Any) -> None:
    """PostgreSQL waits for another session's lock without end unless it is told to."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{BUSY_SECONDS}s'")
    connection.commit()


def _bound_silence(engine: Engine) -> None:
    """Hangs up on a server that is reached and does not answer, as one that is frozen.

    The network's own timeouts do not see that: the server's kernel goes on answering.
    """

    def unwatch(info: dict[Any, Any]) -> None:
        timer = info.pop("watch", None)
        if timer is not None:
            timer.cancel()

    def watch(wire: Any, info: dict[Any, Any]) -> None:
        unwatch(info)
        info["watch"] = timer = threading.Timer(SILENCE_S, _hang_up, (wire,))
        timer.daemon = True
        timer.start()

    def connected(wire: Any, record: Any, *_: Any) -> None:
        watch(wire, record.info)

    def next_statement(connection: Connection, *_: Any) -> None:
        watch(connection.connection.dbapi_connection, connection.info)

    # before the first questions, which SQLAlchemy asks as soon as it is connected
    event.listen(engine, "connect", connected, insert=True)
    event.listen(engine, "checkout", connected)
    event.listen(engine, "before_cursor_execute", next_statement)
    event.listen(engine, "commit", next_statement)
    event.listen(engine, "checkin", lambda wire, record: unwatch(record.info))


def _hang_up(connection: Any) -> None:
    """Ends the conversation from this side; whoever waits for the answer is told at once."""
    with suppress(Exception):  # it may have ended in this moment
        with socket.socket(fileno=os.dup(connection.fileno())) as wire:
            wire.shutdown(socket.SHUT_RDWR)


def _prepare(engine: Engine, name: str, *, must_exist: bool) -> None:
    """Checks what the database holds, and makes what is missing."""
    with engine.connect() as connection:
        version = _version(connection)
    if version is None and must_exist:
        raise NoStore(f"store {name} holds no rows of the harness; `harness run` adds them")
    if version is not None and version > SCHEMA_VERSION:
        raise StoreError(
            f"store {name} has schema {version}, this harness reads up to {SCHEMA_VERSION}; "
            "run pip install --upgrade model-zoo-harness"
        )
    if version is None:
        _create(engine)
    with engine.connect() as connection:
        narrow = _missing(connection)
    older = version is not None and version < SCHEMA_VERSION
    if narrow or older:
        _widen(engine, older=older)


def _version(connection: Connection) -> int | None:
    """The schema's version; None where no store has been made yet."""
    if not sa.inspect(connection).has_table(META.name):
        return None
    return connection.execute(sa.select(sa.func.max(META.c.schema_version))).scalar()


def _create(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            _patiently(connection, "PRAGMA journal_mode=WAL")
    with writing(engine, alone=True) as connection:
        METADATA.create_all(connection)
        if _version(connection) is None:
            connection.execute(sa.insert(META), {"schema_version": SCHEMA_VERSION})


def _patiently(connection: Connection, statement: str) -> None:
    """Waits for another process that has the file, without holding up Ctrl-C.

    Nor does SQLite wait by itself when two processes switch a new file to write-ahead mode,
    in which it then stays.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.exec_driver_sql(statement)
            return
        except OperationalError as error:
            if "locked" not in str(error.orig) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _missing(connection: Connection) -> list[sa.Column[Any]]:
    """Columns that this harness knows and the database does not."""
    inspector = sa.inspect(connection)
    tables = set(inspector.get_table_names())
    return [
        column
        for table in METADATA.sorted_tables
        for column in table.columns
        if table.name not in tables
        or column.name not in {known["name"] for known in inspector.get_columns(table.name)}
    ]


def _widen(engine: Engine, *, older: bool) -> None:
    """Brings an older database up to this schema, in place."""
    with writing(engine, alone=True) as connection:
        METADATA.create_all(connection)  # tables that came later
        if older:
            connection.execute(sa.update(META).values(schema_version=SCHEMA_VERSION))
        for column in _missing(connection):
            ddl = CreateColumn(column).compile(dialect=engine.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {ddl}")
        for table in METADATA.sorted_tables:
            for index in table.indexes:
                index.create(connection, checkfirst=True)
