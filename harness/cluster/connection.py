"""The connection to Dask's scheduler, which may go away and come back."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
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
        self._noted = -1  # the last of `times` of which it was told that it is lost
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
            if self._noted < times and is_wanted():
                self._noted = times
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
        # whatever goes wrong, and another service at the port may say anything, it is not back
        with suppress(Exception):
            if self.client.status == "running":
                self.client.unsubscribe_topic(TOPIC)
                self.client.subscribe_topic(TOPIC, self._told)
                return True
            if self.client.status == "closed":
                say_hello(self._address, within_s=CONNECT_S)
                self.client = self._new()
                return True
        return False

    def workers(self) -> Mapping[str, Mapping[str, Any]]:
        """What the scheduler says of its workers, by their addresses.

        Raises:
          OSError: it cannot be asked now, or does not answer.
        """
        if self.client.status != "running":
            raise OSError("not connected")
        # `scheduler_info` gives what its client keeps, which a heartbeat of the client's
        # empties now and then, as if all workers had gone
        told = self.client.sync(
            self.client.scheduler.identity, n_workers=-1, callback_timeout=CONNECT_S
        )
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
                say_hello(asked.scheduler, within_s=CONNECT_S + HELLO_S)
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
        with suppress(Exception):  # the scheduler may have gone, and another service be there
            found.client.close(timeout=CONNECT_S)


def say_hello(address: str, *, within_s: float) -> None:
    """Asks who listens at an address, and does not wait for ever for an answer.

    A client of Dask's does, once anything has taken the connection: with the port of the
    dashboard, say, it would never come to be.

    Raises:
      OSError: nobody took the connection, or whoever did is no scheduler of Dask's.
      TypeError: Dask has no settings of TLS.
    """
    from distributed import Security, rpc

    async def ask() -> Any:
        theirs = Security().get_connection_args("client")
        async with rpc(address, timeout=CONNECT_S, connection_args=theirs) as scheduler:
            return await asyncio.wait_for(scheduler.identity(), within_s)

    answer: Future[Any] = Future()

    def work() -> None:
        try:
            answer.set_result(asyncio.run(ask()))
        except BaseException as error:
            answer.set_exception(error)

    # in a thread: a notebook has a loop of its own in this one, and Ctrl-C need not wait
    threading.Thread(target=work, daemon=True).start()
    try:
        kind = answer.result()["type"]
    except TimeoutError:
        raise OSError(
            f"what took the connection has not answered within {within_s:g} s; "
            "8787 is by default the port of the dashboard"
        ) from None
    except (OSError, ValueError):
        raise
    except Exception as error:
        if isinstance(error, TypeError) and address.startswith("tls:"):
            raise
        raise OSError("what listens there does not speak as Dask does") from None
    if kind != "Scheduler":
        raise OSError(f"a {kind.lower()} of Dask's listens there")


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
    import distributed  # noqa: F401  it gives some of its loggers levels of their own

    logs = [
        log for name, log in logging.root.manager.loggerDict.items()
        if name.partition(".")[0] == "distributed" and isinstance(log, logging.Logger)
        and log.level
    ]  # fmt: skip
    before = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for log, level in zip(logs, before, strict=True):
            log.setLevel(level)
