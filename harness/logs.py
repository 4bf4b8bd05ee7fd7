"""A run's log: all that its worker says, as long as that is a reasonable amount.

The log is written through a pipe, so that a plugin that prints without end fills neither
the disk nor the memory: of what is too long, the beginning and the end are kept.
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
    path.parent.mkdir(parents=True, exist_ok=True)
    reading, writing = os.pipe()
    # opened here, so that a folder that cannot be written is told before anything runs
    file = open(path, "wb", buffering=0)
    thread = threading.Thread(target=_pump, args=(reading, file), daemon=True)
    thread.start()
    try:
        yield writing
    finally:
        with suppress(OSError):
            os.close(writing)
        thread.join(PATIENCE)


def _pump(reading: int, file: IO[bytes]) -> None:
    """Copies until the pipe ends; closes both."""
    head, left_out = HEAD_BYTES, 0
    tail: deque[bytes] = deque()
    with file, os.fdopen(reading, "rb", buffering=0) as pipe:
        while data := pipe.read(1 << 16):
            if head > 0:
                _write(file, data[:head])
            rest, head = data[head:] if head > 0 else data, head - len(data)
            if rest:
                tail.append(rest)
            while tail and sum(map(len, tail)) - len(tail[0]) > TAIL_BYTES:
                left_out += len(tail.popleft())
        if left_out:
            _write(file, f"\n[{left_out:,} bytes are left out here]\n".encode())
        for data in tail:
            _write(file, data)


def _write(file: IO[bytes], data: bytes) -> None:
    # a full disk costs the log, not the run: whoever writes must not be held up
    with suppress(OSError):
        file.write(data)


def last_line(path: Path) -> str:
    """The last line of a log that is not empty."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 65536))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError as error:
        return f"its log cannot be read ({error.strerror})"
    return lines[-1].strip() if lines else "it said nothing"
