"""What other processes print, kept in a file as long as that is a reasonable amount.

It comes through a pipe, so that a plugin that prints without end fills neither the disk nor
the memory: of what is too long, the beginning and the end are kept.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

HEAD_BYTES = 4 << 20
TAIL_BYTES = 1 << 20
# a child that left its worker's group may hold the pipe open for ever
PATIENCE = 2.0


@contextmanager
def kept(path: Path) -> Iterator[int]:
    """Gives the end of a pipe to write to; what comes out of it is in `path` afterwards."""
    log = _Log(_open(path))
    reading, writing = os.pipe()
    thread = threading.Thread(target=_pump, args=(reading, log), daemon=True)
    thread.start()
    try:
        yield writing
    finally:
        with suppress(OSError):
            os.close(writing)
        thread.join(PATIENCE)
        log.close()


def _open(path: Path) -> IO[bytes]:
    """The file, or nowhere: a log that cannot be written costs no run."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "wb", buffering=0)
    except OSError:
        return open(os.devnull, "wb", buffering=0)


class _Log:
    """The head goes to the file at once; the tail waits for the end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._left = HEAD_BYTES
        self._tail: deque[bytes] = deque()
        self._waiting = self._dropped = 0

    def write(self, data: bytes) -> None:
        with self._lock:
            head, rest = data[: self._left], data[self._left :]
            self._left -= len(head)
            self._write(head)
            if rest:
                self._tail.append(rest)
                self._waiting += len(rest)
            while self._tail and self._waiting - len(self._tail[0]) > TAIL_BYTES:
                self._dropped += len(self._tail[0])
                self._waiting -= len(self._tail.popleft())

    def close(self) -> None:
        with self._lock:
            if self._dropped:
                self._write(f"\n[{self._dropped:,} bytes are left out here]\n".encode())
            for data in self._tail:
                self._write(data)
            self._tail.clear()
            self._file.close()

    def _write(self, data: bytes) -> None:
        # a full disk costs the log, not the run, and what comes late is for nobody
        with suppress(OSError, ValueError):
            self._file.write(data)


def _pump(reading: int, log: _Log) -> None:
    """Copies until the pipe ends."""
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while data := pipe.read(1 << 16):
            log.write(data)


def last_line(path: Path) -> str:
    """The last line of a log that is not empty."""
    return last_lines(path, 1).splitlines()[-1].strip()


def last_lines(path: Path, count: int) -> str:
    """The end of a log, or in one line why there is none to show."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 65536))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError as error:
        return f"its log cannot be read ({error.strerror})"
    return "\n".join(lines[-count:]) if lines else "it said nothing"
