"""Hashes of files that users have, remembered while a file does not change."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

import harness
from harness_datasets._ragged import open_or_make

BLOCK = 2**20


def content_hash(path: Path) -> str:
    """SHA-256 of a file in hexadecimal; it is read again once its length or time differs.

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
            raise harness.DataError(
                f"{path} cannot be read ({error.strerror}); make it readable"
            ) from None
        return {"sha256": np.frombuffer(found.digest(), dtype=np.uint8)}

    state = path.stat()
    known = f"{path.resolve()} {state.st_size} {state.st_mtime_ns}"
    name = hashlib.sha256(known.encode(errors="surrogateescape")).hexdigest()[:16]
    folder = harness.cache_dir() / "prepared" / "hashes" / name
    return open_or_make(folder, ["sha256"], digest)["sha256"].tobytes().hex()
