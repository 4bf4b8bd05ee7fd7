"""The connection to Dask's scheduler, which may go away and come back."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from harness.cluster.asked import Cluster
from harness.cluster.order import TOPIC
from harness.errors import UsageError, first_line, pip_line

CONNECT_S = 10.0
# seconds in which a scheduler that took a connection says hello: a busy one may be late
HELLO_S = 20.0
# seconds that runs wait for a scheduler that has gone
PATIENCE_S = 600.0
PAUSE_S = 0.5


class Connection:
    """A client of Dask's, made again where it has given up.

    Args:
      hear: is told each message of the workers' topic.
    """

    def __init__(
        self, address: str, *, hear: Callable[[Mapping[str, Any]], None],
        note: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._address, self._hear, self._note = address, hear, note
        self._lock = threading.Lock()
        self.client = self._new()
        self.lost = False  # for good
        self.times = 0  # that it was made again

    def _new(self) -> Any:
        from distributed import Client

        client = Client(self._address, timeout=CONNECT_S, set_as_default=False)
        client.subscribe_topic(TOPIC, self._told)
        return client

    def _told(self, event: tuple[float, Any]) -> None:
        # whoever knows the scheduler may send anything there
        with suppress(KeyError, TypeError, ValueError):
            self._hear(event[1])

    def restored(self, times: int, is_wanted: Callable[[], bool]) -> bool:
        """Waits for the scheduler to come back; whether it did.

        Args:
          times: what `times` was when the connection was seen to be lost.
        """
        with self._lock:
            if self.times > times or self.lost:
                return not self.lost
            self._note(f"the scheduler {self._address} has gone; runs wait for it")
            deadline = time.monotonic() + PATIENCE_S
            while is_wanted() and time.monotonic() < deadline:
                if self._again():
                    self.times += 1
                    self._note("the scheduler is back; runs that it lost begin again")
                    return True
                time.sleep(PAUSE_S)
            self.lost = is_wanted()
            return False

    def _again(self) -> bool:
        with suppress(OSError, TimeoutError, asyncio.TimeoutError):
            if self.client.status == "running":
                self.client.unsubscribe_topic(TOPIC)
                self.client.subscribe_topic(TOPIC, self._told)
                return True
            if self.client.status == "closed":
                self.client = self._new()
                return True
        return False

    def workers(self) -> Mapping[str, Mapping[str, Any]]:
        """What the scheduler says of its workers, by their addresses.

        Raises:
          OSError: it cannot be asked now.
        """
        if self.client.status != "running":
            raise OSError("not connected")
        # `scheduler_info` gives what its client keeps, which a heartbeat of the client's
        # empties now and then, as if all workers had gone
        told = self.client.sync(self.client.scheduler.identity, n_workers=-1)
        return told["workers"]


@contextmanager
def connection(
    asked: Cluster, *, hear: Callable[[Mapping[str, Any]], None], note: Callable[[str], None]
) -> Iterator[Connection]:
    """Connects to a scheduler, or starts one with some workers here.

    Raises:
      UsageError: Dask is not installed, or nothing answers at the address.
    """
    try:
        from distributed import LocalCluster
    except ImportError:
        raise UsageError(
            f"--executor dask needs Dask; {pip_line(['model-zoo-harness[dask]'])}"
        ) from None
    with _quiet():
        if asked.scheduler is not None:
            with _told_in_a_line(asked.scheduler):
                _say_hello(asked.scheduler)
            yield from _connected(asked.scheduler, hear, note)
            return
        # a worker only waits for the process of a run, which has limits of its own
        cluster: Any = LocalCluster(
            n_workers=asked.workers, threads_per_worker=1, memory_limit=0,
            dashboard_address="127.0.0.1:0",
        )  # fmt: skip
        with cluster:
            yield from _connected(cluster.scheduler_address, hear, note)


def _connected(
    address: str, hear: Callable[[Mapping[str, Any]], None], note: Callable[[str], None]
) -> Iterator[Connection]:
    with _told_in_a_line(address):
        found = Connection(address, hear=hear, note=note)
    try:
        yield found
    finally:
        with suppress(OSError, TimeoutError):
            found.client.close(timeout=CONNECT_S)


def _say_hello(address: str) -> None:
    """Connects as a client of Dask's would, but does not wait for ever for an answer.

    Dask itself does, once anything has taken the connection: with the port of the dashboard,
    say, a client would never come to be.

    Raises:
      OSError: nobody took the connection, or whoever did says nothing.
    """
    from distributed import Security, connect

    async def hello() -> None:
        theirs = Security().get_connection_args("client")
        greeting = connect(address, timeout=CONNECT_S, **theirs)
        comm = await asyncio.wait_for(greeting, CONNECT_S + HELLO_S)
        await comm.close()

    # in a thread: a notebook has a loop of its own in this one
    with ThreadPoolExecutor(1) as thread:
        try:
            thread.submit(asyncio.run, hello()).result()
        except TimeoutError:
            raise OSError(
                f"what took the connection said nothing for {HELLO_S:g} s; "
                "8787 is by default the port of the dashboard"
            ) from None


@contextmanager
def _told_in_a_line(address: str) -> Iterator[None]:
    """Makes what Dask raises while a connection comes to be an error of the user's."""
    try:
        yield
    except TypeError as error:  # Dask's, of an address tls://
        raise UsageError(
            f"--scheduler {address}: Dask has no settings of TLS here ({first_line(error)}); "
            "set DASK_DISTRIBUTED__COMM__TLS__CA_FILE and the client's certificate and key"
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--scheduler {address}: no scheduler answers there ({first_line(error)}); "
            "start one with `dask scheduler`, which prints its address"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask tells its own story on standard error; what matters of it is told as notes."""
    log = logging.getLogger("distributed")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)
