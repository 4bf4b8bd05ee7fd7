"""Files that travel to workers: plugins that are files, and data that the user names.

A root is a file or a folder of this machine. Its listing has the SHA-256 of every file, and
its place on a worker is named by the SHA-256 of the listing, in the cache folder there: a
root that is there already is not sent, and one that differs by a byte lies elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError, UsageError
from harness.paths import cache_dir

# what passes through the scheduler's memory for each worker
MOST_BYTES = 2 << 30


@dataclass(frozen=True)
class Root:
    """A file or a folder to ship.

    Attributes:
      path: absolute, on this machine.
      files: the SHA-256 of each file by its path below `path`'s folder.
    """

    path: Path
    files: Mapping[str, str]

    @property
    def place(self) -> str:
        """Where it lies on a worker, below the cache folder."""
        listing = json.dumps(dict(sorted(self.files.items())))
        return f"shipped/{hashlib.sha256(listing.encode()).hexdigest()[:16]}"

    def content(self, name: str) -> bytes:
        """The bytes of one of its files.

        Raises:
          UsageError: the file has changed or gone since it was listed.
        """
        try:
            content = (self.path.parent / name).read_bytes()
        except OSError as error:
            raise UsageError(f"--ship {name!r} cannot be read ({error.strerror})") from None
        if sha256(content) != self.files[name]:
            raise UsageError(f"{name!r} changed while it was shipped; run again")
        return content


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def root_of(path: Path) -> Root:
    """A file or folder with the hashes of all that is in it.

    Raises:
      UsageError: it cannot be read, or is too large to pass through a scheduler.
    """
    path = path.expanduser().absolute()
    found = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    try:
        size = sum(file.stat().st_size for file in found)
        if size > MOST_BYTES:
            raise UsageError(
                f"--ship {str(path)!r} has {size / 2**30:.1f} GiB and every byte goes through "
                "the scheduler; put it where all workers can read it"
            )
        files = {str(f.relative_to(path.parent)): sha256(f.read_bytes()) for f in found}
    except OSError as error:
        raise UsageError(f"--ship {str(path)!r} cannot be read ({error.strerror})") from None
    return Root(path, files)


def places(roots: Iterable[Root], values: Iterable[str]) -> dict[str, str]:
    """Where workers find what some texts name, for those that name something shipped.

    Args:
      values: paths as the user wrote them, and texts that are none.
    """
    found: dict[str, str] = {}
    for root in roots:
        for value in values:
            path = Path(os.path.abspath(os.path.expanduser(value)))
            if path == root.path or root.path in path.parents:
                found[value] = f"{root.place}/{path.relative_to(root.path.parent)}"
    return found


def missing(place: str, files: Mapping[str, str]) -> bool:
    """On a worker: whether a root is not there, or not as it was."""
    folder = cache_dir() / place
    try:
        return any(sha256((folder / n).read_bytes()) != digest for n, digest in files.items())
    except OSError:
        return True


def receive(place: str, files: Mapping[str, str], contents: Mapping[str, bytes]) -> None:
    """On a worker: writes a root, as a whole or not at all.

    Raises:
      DataError: what arrived is not what was sent.
    """
    folder = cache_dir() / place
    part = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}")
    for name, digest in files.items():
        if sha256(contents[name]) != digest:
            raise DataError(f"{name!r} did not arrive as it was sent; run again")
        (part / name).parent.mkdir(parents=True, exist_ok=True)
        (part / name).write_bytes(contents[name])
    try:
        part.rename(folder)
    except OSError:  # another worker of this machine was faster, or a damaged one lies there
        if missing(place, files):
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
        shutil.rmtree(part, ignore_errors=True)
