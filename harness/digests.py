"""Checksums of files, remembered while a file does not change.

A data set's rows are keyed by the hash of the file they came from, so every load needs
it. Reading 17 MB again each time would cost more than the rest of the load: the cache
keeps the hashes by path, length, times and place on the disk: a copy may bring its time of
modification along.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.paths import write_atomically
from harness.specs import DataFile

BLOCK = 2**20


@dataclass(frozen=True)
class Digests:
    """Checksums of one file, in hexadecimal; the two kinds that files are published with."""

    sha256: str
    md5: str


def digest_file(path: Path) -> Digests:
    """Reads a file once for both checksums.

    Raises:
      OSError: it cannot be read.
    """
    sha256 = hashlib.sha256()
    md5 = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            sha256.update(block)
            md5.update(block)
    return Digests(sha256=sha256.hexdigest(), md5=md5.hexdigest())


def remembered_digests(path: Path, *, memo: Path) -> Digests:
    """The checksums of `path`, from the file `memo` if `path` has not changed since.

    Raises:
      DataError: the file cannot be read.
    """
    try:
        status = path.stat()
        state = {
            "size": status.st_size, "mtime_ns": status.st_mtime_ns,
            "ctime_ns": status.st_ctime_ns, "inode": status.st_ino,
        }  # fmt: skip
        known = _read(memo)
        found = known.get(str(path))
        if isinstance(found, dict) and {k: found.get(k) for k in state} == state:
            with suppress(KeyError):
                return Digests(sha256=found["sha256"], md5=found["md5"])
        digests = digest_file(path)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); make it readable or remove it"
        ) from None
    known[str(path)] = state | asdict(digests)
    with suppress(OSError):  # a cache that cannot be written costs time, not the result
        write_atomically(memo, json.dumps(known).encode())
    return digests


def _read(memo: Path) -> dict[str, Any]:
    try:
        content = json.loads(memo.read_bytes())
    except (OSError, ValueError):  # absent or damaged: fill it again
        return {}
    return content if isinstance(content, dict) else {}


def published(file: DataFile) -> tuple[str, str] | None:
    """The kind and value of the published checksum; None if there is none."""
    if file.sha256 is not None:
        return "sha256", file.sha256.lower()
    if file.md5 is not None:
        return "md5", file.md5.lower()
    return None


def compare(file: DataFile, digests: Digests) -> str | None:
    """How a file differs from the published one, in a few words; None if it does not.

    Without a published checksum nothing can differ.
    """
    wanted = published(file)
    if wanted is None:
        return None
    kind, value = wanted
    found = digests.sha256 if kind == "sha256" else digests.md5
    return (
        None if found == value else f"{kind} {found[:12]}, the published file is {value[:12]}"
    )
