"""What a server sends, as it comes, for as long as it is worth waiting.

Between two bytes of a body a server can send for ever what does not count: lines of a head,
marks between chunks, redirections with bodies of their own. So a thread does the reading, and
what is timed is what comes of it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    import requests

BLOCK = 2**16
REDIRECTIONS = 10
# seconds beyond a server's time in which what it sent is still taken
SLACK = 2.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a server is waited for.

    Attributes:
      connect_s: seconds until a connection is made.
      read_s: seconds between two pieces of the answer, and in which `least` bytes come.
      least: bytes; a server that sends less in `read_s` is as good as silent.
      most: bytes that are taken of a file whose length nobody says.
      attempts: transfers that may break off before the download is given up.
      pause_s: seconds before the second attempt; twice that before the third, and so on.
    """

    connect_s: float = 10.0
    read_s: float = 30.0
    least: int = 2**16
    most: int = 2**33
    attempts: int = 4
    pause_s: float = 1.0


class BrokeOff(Exception):
    """A transfer ended early for a reason that may have passed by the next attempt."""


class TooMuch(Exception):
    """More came than there should be: what is there is no part of the file."""


class Refused(Exception):
    """The server or the network gives something that another attempt would not mend."""


def answer(
    url: str, headers: dict[str, str], patience: Patience
) -> Iterator[requests.Response | bytes]:
    """The server's answer, then its body in pieces, as soon as they have come.

    Redirections are followed without reading what comes with them, which may have no end.
    """
    import requests

    class Session(requests.Session):
        """Finds no redirection: following one, requests would read its body whole."""

        def get_redirect_target(self, resp: requests.Response) -> None:
            return None

    with Session() as session:
        for _ in range(REDIRECTIONS + 1):
            with _get(session, url, headers, patience) as response:
                if not response.is_redirect:
                    yield response
                    yield from _pieces(response)
                    return
                url = _joined(url, response.headers["Location"])
    raise requests.TooManyRedirects(f"more than {REDIRECTIONS} redirections")


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise Refused(f"it redirects to {location!r:.80}, which is no address") from None


def _get(
    session: requests.Session, url: str, headers: dict[str, str], patience: Patience
) -> requests.Response:
    """Asks one address.

    Raises:
      Refused: it is none, which only a redirection can bring about.
    """
    import requests
    from urllib3.exceptions import HTTPError

    try:
        return session.get(
            url, headers=headers, stream=True,
            timeout=(patience.connect_s, patience.read_s),
        )  # fmt: skip
    except requests.RequestException:
        raise
    except (ValueError, HTTPError):
        raise Refused(f"it redirects to {url!r:.80}, which is no address") from None


def arriving(
    produce: Callable[[], Iterator[requests.Response | bytes]], url: str, patience: Patience
) -> Generator[requests.Response | bytes]:
    """What another thread produces, until too little has come for too long.

    Raises:
      Refused: there was no answer in time.
      BrokeOff: the body came too slowly; whatever `produce` raised is raised as well.
    """
    items: queue.Queue[Any] = queue.Queue(maxsize=4)
    left = threading.Event()
    threading.Thread(target=_fill, args=(items, produce, left), daemon=True).start()
    host = urlsplit(url).netloc
    since, came, first = time.monotonic(), 0, True
    try:
        while True:
            allowed = patience.read_s + (patience.connect_s if first else 0)
            try:
                item = items.get(timeout=max(0.0, since + allowed - time.monotonic()) + SLACK)
            except queue.Empty:
                raise _fell_silent(host, came, allowed, first=first) from None
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
            if first:  # the head is there: from here on bytes of the body count
                since, came, first = time.monotonic(), 0, False
                continue
            came += len(item)
            if came >= patience.least:
                since, came = time.monotonic(), 0
            elif time.monotonic() - since > allowed and items.empty():
                raise _fell_silent(host, came, allowed, first=False)
    finally:
        left.set()


def _fell_silent(host: str, came: int, seconds: float, *, first: bool) -> BrokeOff | Refused:
    if first:
        return Refused(f"{host} sent no answer for {seconds:g} s")
    return BrokeOff(f"{host} sent only {came:,} bytes in {seconds:g} s")


def _fill(
    items: queue.Queue[Any],
    produce: Callable[[], Iterator[requests.Response | bytes]],
    left: threading.Event,
) -> None:
    """Puts what is produced, an error or None at the end, as long as anyone takes it."""

    def put(item: Any) -> bool:
        while not left.is_set():
            with suppress(queue.Full):
                items.put(item, timeout=0.2)
                return True
        return False

    try:
        for item in produce():
            if not put(item):
                return
        put(None)
    except BaseException as error:
        put(error)


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """What has come, as soon as it has; `iter_content` would wait for whole blocks."""
    import requests
    from urllib3 import exceptions

    try:
        while piece := response.raw.read1(BLOCK):
            yield piece
    except exceptions.ReadTimeoutError as error:
        raise requests.ConnectionError(error) from error
    except exceptions.ProtocolError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from error
    except exceptions.SSLError as error:
        raise requests.exceptions.SSLError(error) from error
