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
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from harness import digests
from harness.arriving import BrokeOff, Patience, Refused, TooMuch, answer, arriving
from harness.errors import DataError, first_line
from harness.progress import Tell, note, task
from harness.specs import DataFile

if TYPE_CHECKING:
    import requests

RETRIED = (429, 500, 502, 503, 504)
PATIENCE = Patience()


def download(
    file: DataFile, target: Path, *, what_else: str = "", patience: Patience = PATIENCE
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
    except (BrokeOff, Refused) as error:
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
        raise Refused(wrong)
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
        except BrokeOff as error:
            if attempt + 1 == patience.attempts:
                kept = f", {_length(part):,} bytes are kept" if _length(part) else ""
                raise BrokeOff(
                    f"{error} ({patience.attempts} attempts{kept}); run it again to go on"
                ) from None
    raise AssertionError("Patience.attempts is less than 1")


def _attempt(file: DataFile, part: Path, tell: Tell, patience: Patience) -> bool:
    import requests

    start = _length(part)
    if file.size is not None and start == file.size:
        return True  # whole, if its checksum says so
    if file.size is not None and start > file.size:
        part.unlink()
        start = 0
    # compressed on the way, lengths and ranges would count other bytes than the file's
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    pieces = arriving(lambda: answer(file.url, headers, patience), file.url, patience)
    try:
        response = next(pieces)
        assert isinstance(response, requests.Response)
        _check_status(response, part)
        resumed = bool(start) and _starts_at(response, start)
        total = _check_length(response, file, start if resumed else 0, patience)
        with part.open("ab" if resumed else "wb") as out:
            _receive(pieces, out, total, tell, patience)
        return resumed
    except TooMuch as error:
        part.unlink()
        raise Refused(str(error)) from None
    except requests.RequestException as error:
        raise _explain(error, file, patience, came=_length(part) > start) from None
    finally:
        pieces.close()


def _length(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _check_status(response: requests.Response, part: Path) -> None:
    status = f"HTTP {response.status_code} {response.reason}".strip()
    if response.status_code == 416:  # no such range: the part is no part of this file
        with suppress(FileNotFoundError):
            part.unlink()
        raise BrokeOff(status)
    if response.status_code in RETRIED:
        raise BrokeOff(status)
    if response.status_code not in (200, 206):
        raise Refused(status)
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise Refused("a page of HTML came in place of the file")


def _starts_at(response: requests.Response, start: int) -> bool:
    """Whether the answer is the rest that was asked for; 200 means the whole file."""
    given = response.headers.get("Content-Range", "")
    if response.status_code == 206 and not given.startswith(f"bytes {start}-"):
        raise Refused(f"bytes from {start} were asked for, the server sent {given!r}")
    return response.status_code == 206


def _check_length(
    response: requests.Response, file: DataFile, start: int, patience: Patience
) -> int | None:
    """The length the whole file will have, None if neither side knows it."""
    text = response.headers.get("Content-Length", "")
    offered = start + int(text) if text.isdecimal() and len(text) < 20 else None
    if file.size is not None and offered is not None and offered != file.size:
        raise Refused(
            f"the server offers {offered:,} bytes, the published file has {file.size:,}"
        )
    if file.size is None and offered is not None and offered > patience.most:
        raise Refused(
            f"the server offers {offered:,} bytes, more than the {patience.most:,} that are "
            "taken of a file whose length is not published"
        )
    return file.size if file.size is not None else offered


def _receive(
    pieces: Iterator[requests.Response | bytes],
    out: IO[bytes],
    total: int | None,
    tell: Tell,
    patience: Patience,
) -> None:
    """Writes the body down.

    Raises:
      TooMuch: more came than there should be.
      BrokeOff: less.
    """
    most = patience.most if total is None else total
    done = out.tell()
    tell(done, total)
    while done != total and (block := next(pieces, None)) is not None:
        assert isinstance(block, bytes)
        out.write(block)
        done += len(block)
        tell(done, total)
        if done > most:
            break
    if done == total and next(pieces, None):
        done += 1  # the file is whole, and still more comes
    if done > most:
        published = "published " if total is not None else ""
        raise TooMuch(f"more than the {published}{most:,} bytes came")
    if total is not None and done < total:
        raise BrokeOff(f"only {done:,} of {total:,} bytes came")


def _explain(
    error: requests.RequestException, file: DataFile, patience: Patience, *, came: bool
) -> BrokeOff | Refused:
    """Sorts a fault of the transfer; `came` says whether this attempt brought any bytes."""
    import requests
    from urllib3.exceptions import MaxRetryError, NewConnectionError, ReadTimeoutError

    asked = error.request.url if error.request is not None else None
    host = urlsplit(asked or file.url).netloc  # a redirection may have led elsewhere
    # requests hands on what urllib3 raised, as its only argument
    cause = error.args[0] if error.args else None
    if isinstance(error, requests.ReadTimeout) or isinstance(cause, ReadTimeoutError):
        text = f"{host} sent nothing for {patience.read_s:g} s"
        return BrokeOff(text) if came else Refused(text)
    if isinstance(error, requests.ConnectTimeout):
        return Refused(f"no connection to {host} within {patience.connect_s:g} s")
    if isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError):
        return Refused(f"no connection to {host}")
    if isinstance(error, requests.exceptions.ProxyError):
        return Refused(f"the proxy on the way to {host} gives no connection")
    if isinstance(error, requests.exceptions.SSLError):
        return Refused(f"the certificate of {host} is not accepted")
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return BrokeOff(f"the connection to {host} was lost")
    return Refused(first_line(error))
