"""Brings one published file into the cache, whole or not at all.

What has come is kept in a `.part` file beside the target, so that a broken transfer goes
on where it stopped. Only a part with the published length and checksum is moved into
place, in one step. A lock file makes a second process wait for the first instead of
downloading too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from harness import digests
from harness.errors import DataError, first_line
from harness.progress import Tell, note, task
from harness.specs import DataFile

if TYPE_CHECKING:
    import requests

BLOCK = 2**16
RETRIED = (429, 500, 502, 503, 504)


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


class _BrokeOff(Exception):
    """A transfer ended early for a reason that may have passed by the next attempt."""


class _Refused(Exception):
    """The server or the network gives something that another attempt would not mend."""


def download(
    file: DataFile, target: Path, *, what_else: str = "", patience: Patience = Patience()
) -> None:
    """Downloads `file` to `target`; does nothing if another process has done so.

    Args:
      what_else: what the user can do instead, ends the message of an error.

    Raises:
      DataError: no connection, an HTTP error, a page of HTML, another length or checksum,
        or the disk is full. A part stays only where a connection was lost.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target, waiting=f"waiting for another process that downloads {file.name}"):
            if not target.is_file():
                _download(file, target, patience)
    except (_BrokeOff, _Refused) as error:
        advice = f"; {what_else}" if what_else else ""
        raise DataError(
            f"{file.name} cannot be downloaded from {file.url}: {error}{advice}"
        ) from None
    except OSError as error:
        raise DataError(
            f"{target} cannot be written ({error.strerror or first_line(error)}); free the "
            "disk or set HARNESS_CACHE_DIR to a folder that can be written"
        ) from None


@contextmanager
def locked(target: Path, *, waiting: str) -> Iterator[None]:
    """Holds the lock file of `target`; tells `waiting` if another process has it."""
    from filelock import FileLock, Timeout

    lock = FileLock(target.with_name(f"{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        note(waiting)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(file: DataFile, target: Path, patience: Patience) -> None:
    part = target.with_name(f"{target.name}.part")
    with task(f"downloading {file.name}") as tell:
        resumed = _transfer(file, part, tell, patience)
        wrong = _mismatch(file, part)
        if wrong and resumed:
            # the part may stem from an older edition of the file
            part.unlink()
            _transfer(file, part, tell, patience)
            wrong = _mismatch(file, part)
    if wrong:
        part.unlink()
        raise _Refused(wrong)
    os.replace(part, target)


def _mismatch(file: DataFile, part: Path) -> str | None:
    difference = digests.compare(file, digests.digest_file(part))
    if difference is None:
        return None
    with part.open("rb") as content:
        page = content.read(64).lstrip().lower().startswith((b"<!doctype", b"<html"))
    kind = "it is a page of HTML" if page else "the bytes that came are not the published ones"
    return f"{kind} ({difference})"


def _transfer(file: DataFile, part: Path, tell: Tell, patience: Patience) -> bool:
    """Attempts until the part is complete; says whether the last one went on with a part."""
    for attempt in range(patience.attempts):
        if attempt:
            time.sleep(patience.pause_s * 2 ** (attempt - 1))
        try:
            return _attempt(file, part, tell, patience)
        except _BrokeOff as error:
            if attempt + 1 == patience.attempts:
                kept = f", {_length(part):,} bytes are kept" if _length(part) else ""
                raise _BrokeOff(
                    f"{error} ({patience.attempts} attempts{kept}); run it again to go on"
                ) from None
    raise AssertionError("Patience.attempts is less than 1")


def _attempt(file: DataFile, part: Path, tell: Tell, patience: Patience) -> bool:
    import requests

    start = _length(part)
    if file.size is not None and start >= file.size:
        part.unlink()
        start = 0
    # compressed on the way, lengths and ranges would count other bytes than the file's
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        with requests.get(
            file.url,
            headers=headers,
            stream=True,
            timeout=(patience.connect_s, patience.read_s),
        ) as response:
            _check_status(response, part)
            resumed = bool(start) and _starts_at(response, start)
            total = _check_length(response, file, start if resumed else 0)
            _receive(response, file, part, total, tell, patience, resumed=resumed)
            return resumed
    except requests.RequestException as error:
        raise _explain(error, file, patience, came=_length(part) > start) from None


def _length(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _check_status(response: requests.Response, part: Path) -> None:
    status = f"HTTP {response.status_code} {response.reason}".strip()
    if response.status_code == 416:  # no such range: the part is no part of this file
        with suppress(FileNotFoundError):
            part.unlink()
        raise _BrokeOff(status)
    if response.status_code in RETRIED:
        raise _BrokeOff(status)
    if response.status_code not in (200, 206):
        raise _Refused(status)
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise _Refused("a page of HTML came in place of the file")


def _starts_at(response: requests.Response, start: int) -> bool:
    """Whether the answer is the rest that was asked for; 200 means the whole file."""
    given = response.headers.get("Content-Range", "")
    if response.status_code == 206 and not given.startswith(f"bytes {start}-"):
        raise _Refused(f"bytes from {start} were asked for, the server sent {given!r}")
    return response.status_code == 206


def _check_length(response: requests.Response, file: DataFile, start: int) -> int | None:
    """The length the whole file will have, None if neither side knows it."""
    text = response.headers.get("Content-Length", "")
    offered = start + int(text) if text.isdecimal() else None
    if file.size is not None and offered is not None and offered != file.size:
        raise _Refused(
            f"the server offers {offered:,} bytes, the published file has {file.size:,}"
        )
    return file.size if file.size is not None else offered


def _receive(
    response: requests.Response,
    file: DataFile,
    part: Path,
    total: int | None,
    tell: Tell,
    patience: Patience,
    *,
    resumed: bool,
) -> None:
    most = patience.most if total is None else total
    with part.open("ab" if resumed else "wb") as out:
        done = out.tell()
        tell(done, total)
        for block in _paced(_pieces(response), urlsplit(file.url).netloc, patience):
            out.write(block)
            done += len(block)
            tell(done, total)
            if done > most:
                break
    if done > most:
        part.unlink()
        published = "published " if total is not None else ""
        raise _Refused(f"more than the {published}{most:,} bytes came")
    if total is not None and done < total:
        raise _BrokeOff(f"only {done:,} of {total:,} bytes came")


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


def _paced(pieces: Iterator[bytes], host: str, patience: Patience) -> Iterator[bytes]:
    """The pieces, until too little has come for too long."""
    since, came = time.monotonic(), 0
    for piece in pieces:
        yield piece
        came += len(piece)
        passed = time.monotonic() - since
        if came >= patience.least:
            since, came = time.monotonic(), 0
        elif passed > patience.read_s:
            raise _BrokeOff(f"{host} sent only {came:,} bytes in {passed:.3g} s")


def _explain(
    error: requests.RequestException, file: DataFile, patience: Patience, *, came: bool
) -> _BrokeOff | _Refused:
    """Sorts a fault of the transfer; `came` says whether this attempt brought any bytes."""
    import requests
    from urllib3.exceptions import MaxRetryError, NewConnectionError, ReadTimeoutError

    host = urlsplit(file.url).netloc
    # requests hands on what urllib3 raised, as its only argument
    cause = error.args[0] if error.args else None
    if isinstance(error, requests.ReadTimeout) or isinstance(cause, ReadTimeoutError):
        text = f"{host} sent nothing for {patience.read_s:g} s"
        return _BrokeOff(text) if came else _Refused(text)
    if isinstance(error, requests.ConnectTimeout):
        return _Refused(f"no connection to {host} within {patience.connect_s:g} s")
    if isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError):
        return _Refused(f"no connection to {host}")
    if isinstance(error, requests.exceptions.ProxyError):
        return _Refused(f"the proxy on the way to {host} gives no connection")
    if isinstance(error, requests.exceptions.SSLError):
        return _Refused(f"the certificate of {host} is not accepted")
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return _BrokeOff(f"the connection to {host} was lost")
    return _Refused(first_line(error))
