"""What lies in the cache folder, part by part; everything in it can be made again.

Everything but one part: the spool holds rows that no store has taken yet.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError, did_you_mean
from harness.paths import cache_dir

PARTS = {
    "downloads": ("data", "files of data sets, downloaded or imported"),
    "prepared": ("prepared", "arrays of data sets, prepared"),
    "compiled": ("xla", "compiled programs"),
    "checkpoints": ("checkpoints", "runs that were killed and can go on"),
    "logs": ("logs", "what workers printed"),
    "index": ("index.json", "names and signatures of plugins"),
    "spool": ("spool", "rows that no store has taken yet"),
}


@dataclass(frozen=True)
class Part:
    """One part of the cache: its name, what it is, its files and their size."""

    name: str
    about: str
    path: Path
    files: int
    size_bytes: int


def parts() -> list[Part]:
    """All parts, empty ones too."""
    found = []
    for name, (place, about) in PARTS.items():
        path = cache_dir() / place
        # what says only that something is in use is nothing that the cache holds
        sizes = [
            size
            for file, size, _ in _files(path)
            if ".lock" not in (file.suffix, f".{file.name}")
        ]
        found.append(Part(name, about, path, len(sizes), sum(sizes)))
    return found


def _files(path: Path) -> Iterator[tuple[Path, int, float]]:
    """Files with size and time of last change; what goes away meanwhile is not there."""
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        try:
            status = file.lstat()
        except FileNotFoundError:
            continue
        if not file.is_dir():
            yield file, status.st_size, status.st_mtime


def clean(names: Sequence[str], *, older_than_days: float = 0.0) -> list[Part]:
    """Throws parts of the cache away; returns what of each is gone.

    Args:
      names: keys of `PARTS`.
      older_than_days: keeps files that were written later.

    Raises:
      UsageError: there is no such part.
    """
    for name in names:
        if name not in PARTS:
            raise UsageError(f"no part {name!r}; {did_you_mean(name, PARTS, what='parts')}")
    return [_clean(name, time.time() - 86400 * older_than_days) for name in names]


def _clean(name: str, before: float) -> Part:
    place, about = PARTS[name]
    path, count, size = cache_dir() / place, 0, 0
    for file, bytes_, written in _files(path):
        if written <= before:
            file.unlink(missing_ok=True)
            count, size = count + 1, size + bytes_
    _drop_empty_folders(path)
    return Part(name, about, path, count, size)


def _drop_empty_folders(path: Path) -> None:
    """Removes folders in which nothing is; one that is being written to refuses to go."""
    for folder, _, _ in os.walk(path, topdown=False):
        with suppress(OSError):
            os.rmdir(folder)
