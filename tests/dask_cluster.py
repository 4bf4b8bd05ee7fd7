"""A Dask cluster on loopback: a real scheduler and real workers, each a process of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.store import open_store

PATIENCE_S = 120.0
PLUGIN = Path(__file__).parent / "waiting_plugin.py"
TINY = ("-d", "digits", "--epochs", "1", "--limit", "200", "--batch-size", "50")


def wait_until(true, *, what: str) -> None:
    """Waits for something to be so, and says what it was if it never is."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"after {PATIENCE_S:g} s: {what}"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@dataclass
class Cluster:
    """A scheduler and its workers, all of which can be killed."""

    folder: Path
    port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def _start(self, name: str, *words: str, environment: Mapping[str, str] = {}) -> None:
        given = {**os.environ, **self.apart, **environment}
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *words], stdout=log, stderr=log,
                env=given, cwd=self.folder, start_new_session=True,
            )  # fmt: skip

    @property
    def apart(self) -> dict[str, str]:
        """A folder for what marks shared machines: other tests go on beside."""
        folder = self.folder / "tmp"
        folder.mkdir(exist_ok=True)
        return {"TMPDIR": str(folder)}

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def start_scheduler(self) -> None:
        self._start(
            "scheduler", "distributed.cli.dask_scheduler", "--host", "127.0.0.1",
            "--port", str(self.port), "--no-dashboard",
        )  # fmt: skip
        wait_until(self._answers, what="no scheduler")

    def _answers(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def start_worker(self, name: str, *words: str, environment: Mapping[str, str] = {}) -> None:
        """A worker of one thread with a cache folder of its own."""
        own = {"HARNESS_CACHE_DIR": str(self.folder / f"cache-{name}"), **environment}
        self._start(
            name, "distributed.cli.dask_worker", self.address, "--nthreads", "1",
            "--no-nanny", "--no-dashboard", "--name", name, *words, environment=own,
        )  # fmt: skip
        wait_until(lambda: self._registered(name), what=f"no worker {name}")

    def _registered(self, name: str) -> bool:
        return bool(re.search(r"Registered to:", self.log(name)))

    def performed(self, name: str) -> set[str]:
        """The identities of the runs that a worker has begun."""
        return {log.stem for log in (self.folder / f"cache-{name}" / "logs").glob("*.log")}

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        process = self.processes.pop(name)
        process.send_signal(number)
        process.wait()


@contextmanager
def running_cluster(folder: Path, *workers: str) -> Iterator[Cluster]:
    """A scheduler with some workers, all ended afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(folder)
    try:
        cluster.start_scheduler()
        for name in workers:
            cluster.start_worker(name)
        yield cluster
    finally:
        for name in list(cluster.processes):
            cluster.kill(name)


@dataclass
class Command:
    """`harness run` as a process of its own."""

    process: subprocess.Popen[str]

    def ended(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def command(folder: Path, *words: str, environment: Mapping[str, str] = {}) -> Command:
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "run", *words], text=True, cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment},
    )  # fmt: skip
    return Command(process)


def rows_of(store: str) -> list[dict]:
    with open_store(store) as opened:
        return opened.rows()


def asked(cluster: Cluster, store: str, *words: str) -> list[str]:
    where = ("--executor", "dask", "--scheduler", cluster.address, "--store", store)
    return [*TINY, *words, *where]


def waiting(folder: Path, *, seeds: int = 1) -> list[str]:
    """Runs that wait in their middle until `folder` has a file named open."""
    folder.mkdir(exist_ok=True)
    return ["--plugin", str(PLUGIN), "-m", f"waits[gate={folder}]", "--seeds", str(seeds)]


def begun(folder: Path) -> int:
    return len(list(folder.glob("begun-*")))


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
