"""A private PostgreSQL server: real binaries, a folder of its own, thrown away afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

USER = "postgres"


def binaries() -> Path | None:
    """The folder of `initdb` and `pg_ctl`; Debian keeps it off the path."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


@dataclass(frozen=True)
class Server:
    """A server that can be stopped and started again."""

    bin: Path
    folder: Path
    port: int

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"t{uuid.uuid4().hex}"
        engine = sa.create_engine(
            self.url("postgres").replace("postgresql", "postgresql+psycopg"),
            isolation_level="AUTOCOMMIT",
        )
        with closing(engine.connect()) as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return self.url(name)

    def start(self) -> None:
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off "
            f"-c unix_socket_directories={self.folder}"
        )
        self._call("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._call("pg_ctl", "-w", "-m", "immediate", "stop")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """A server that is reached, and answers nothing."""
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        processes = [first, *_children(first)]
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)

    def init(self) -> None:
        self._call("initdb", "-A", "trust", "-U", USER, "--no-sync")

    def _call(self, program: str, *words: str) -> None:
        command = [str(self.bin / program), "-D", str(self.folder / "data"), *words]
        if os.getuid() == 0:  # the server refuses to run as root
            command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
                       *command]  # fmt: skip
        with open(self.folder / "said", "ab") as said:  # the server would keep a pipe open
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=self.folder
            )
        assert done.returncode == 0, (self.folder / "said").read_text()


def _children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


@contextmanager
def running_server() -> Iterator[Server]:
    """Starts a server; where there is none to start, skips, and fails in CI."""
    where = binaries()
    if where is None:
        missing = "PostgreSQL's server is not installed; apt-get install postgresql"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # not below pytest's folder, which another user may not enter
    with tempfile.TemporaryDirectory(prefix="harness-pg-") as folder:
        if os.getuid() == 0:
            shutil.chown(folder, USER, USER)
        server = Server(where, Path(folder), port)
        server.init()
        server.start()
        try:
            yield server
        finally:
            server.stop()
