"""Hashes of files that users have, remembered while a file does not change."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import harness
from harness_datasets._ragged import open_or_make

BLOCK = 2**20


def content_hash(path: Path) -> str:
    """SHA-256 of a file in hexadecimal; it is read again once its length or a time differs.

    Raises:
      DataError: it cannot be read.
    """

    def digest() -> dict[str, np.ndarray]:
        found = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while block := file.read(BLOCK):
                    found.update(block)
        except OSError as error:
            raise _unreadable(path, error) from None
        return {"sha256": np.frombuffer(found.digest(), dtype=np.uint8)}

    known = f"{path.resolve()} {' '.join(map(str, _state(path)))}"
    name = hashlib.sha256(known.encode(errors="surrogateescape")).hexdigest()[:16]
    folder = harness.cache_dir() / "prepared" / "hashes" / name
    return open_or_make(folder, ["sha256"], digest)["sha256"].tobytes().hex()


class Unchanged:
    """Files as they are before they are hashed, to be compared once they have been read.

    What is prepared is kept under the hash: of another content it would be wrong for ever.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._states = {path: _state(path) for path in paths}

    def check(self) -> None:
        """Raises DataError if a file is no longer what it was."""
        for path, before in self._states.items():
            if _state(path) != before:
                raise harness.DataError(
                    f"{path} changed while it was read; start again once nothing writes to it"
                )


def _state(path: Path) -> tuple[int, ...]:
    """What differs once a file was written; a copy can bring its time along, hence two more."""
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _unreadable(path: Path, error: OSError) -> harness.DataError:
    return harness.DataError(
        f"{path} cannot be read ({error.strerror or error}); make it readable"
    )
