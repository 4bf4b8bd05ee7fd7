"""Where the files of a data set are: with the user, in the cache, or still to download.

A data set plugin names the files it needs and asks for their paths. A file in
`HARNESS_DATA_DIR/<data set>/` is used as it is, whatever its checksum; next comes the
cache, filled by an earlier download or by `harness data import`; only then the network.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness import digests
from harness.download import download, locked
from harness.errors import DataError, Unavailable, UsageError
from harness.paths import cache_dir, data_dir
from harness.progress import note
from harness.specs import DataFile

Origin = Literal["data folder", "cache", "download"]

_may_download: ContextVar[bool] = ContextVar("harness_may_download", default=True)


@contextmanager
def without_downloads() -> Iterator[None]:
    """Inside the block a file that is not there is `Unavailable`, and not downloaded."""
    token = _may_download.set(False)
    try:
        yield
    finally:
        _may_download.reset(token)


def may_download() -> bool:
    """Whether a data set may download what is not here: not inside `without_downloads`."""
    return _may_download.get()


@dataclass(frozen=True)
class LocatedFile:
    """A file that is there.

    Attributes:
      path: where it lies; it is only ever read.
      sha256: of this very file, published or not.
      origin: how it was found.
    """

    path: Path
    sha256: str
    origin: Origin


def locate_files(dataset_name: str, files: Sequence[DataFile]) -> dict[str, LocatedFile]:
    """Finds or downloads the files of a data set.

    Call it inside the data set's function, for those files only that are needed then.

    Args:
      dataset_name: the name the data set is registered under.
      files: what is needed.

    Returns:
      The located files by their `DataFile.name`.

    Raises:
      DataError: a file is nowhere and its download failed; the message says why, and how
        to give the file by hand.
      Unavailable: a file is nowhere and the block is one of `without_downloads`.
    """
    return {file.name: _locate(dataset_name, file) for file in files}


def _locate(dataset_name: str, file: DataFile) -> LocatedFile:
    path, origin = _find(dataset_name, file)
    if wrong := _wrong_folder():
        note(f"{dataset_name}: {wrong}")
    if origin == "download":
        advice = f"{_by_hand(dataset_name, file)}, or run "
        advice += f"`harness data import {dataset_name} PATH`"
        if not _may_download.get():
            raise Unavailable(
                f"{dataset_name} needs {file.name}, and nothing is downloaded here; {advice}"
            )
        download(file, path, what_else=advice)
    found = digests.remembered_digests(path, memo=cache_dir() / "data" / "hashes.json")
    difference = digests.compare(file, found)
    if origin == "data folder" or difference:
        own = f"HARNESS_DATA_DIR/{dataset_name}/{file.name}"
        shown = own if origin == "data folder" else f"the cache's {file.name}"
        note(f"{dataset_name}: using {shown} ({difference or f'sha256 {found.sha256[:12]}'})")
    return LocatedFile(path=path, sha256=found.sha256, origin=origin)


def _wrong_folder() -> str:
    """What is wrong with the data folder that the environment names; "" if nothing is."""
    own = data_dir()
    if own is None or own.is_dir():
        return ""
    what = "that is no folder" if own.exists() else "there is no such folder"
    return f"HARNESS_DATA_DIR is {own}, and {what}"


def _by_hand(dataset_name: str, file: DataFile) -> str:
    """Where the user can put a file."""
    own = data_dir()
    if own is None:
        return f"set HARNESS_DATA_DIR to a folder that has {dataset_name}/{file.name}"
    if wrong := _wrong_folder():
        return f"{wrong}: set it to one that has {dataset_name}/{file.name}"
    return f"put the file at {own / dataset_name / file.name} (in HARNESS_DATA_DIR)"


def _find(dataset_name: str, file: DataFile) -> tuple[Path, Origin]:
    own = data_dir()
    if own is not None and (own / dataset_name / file.name).is_file():
        return own / dataset_name / file.name, "data folder"
    cached = _cached(dataset_name, file)
    return cached, "cache" if cached.is_file() else "download"


def _cached(dataset_name: str, file: DataFile) -> Path:
    return cache_dir() / "data" / dataset_name / file.name


def import_files(
    dataset_name: str, files: Sequence[DataFile], paths: Sequence[str | Path]
) -> list[Path]:
    """Copies files of the user's into the cache, after a look inside each.

    Args:
      files: what the data set needs; `DataFile.check` looks inside a file.
      paths: the user's files; each is recognised by its name, or else by its suffix.

    Returns:
      Where each of `paths` now is in the cache.

    Raises:
      UsageError: a path is no file, or it is not clear which file of the data set it is.
      DataError: a file is foreign or truncated; then none of them is copied.
    """
    pairs = [(Path(path).expanduser(), _recognise(dataset_name, files, path)) for path in paths]
    names = [file.name for _, file in pairs]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{names.count(name)} paths are given for {name}; give one")
    for path, file in pairs:
        if not path.is_file():
            raise UsageError(f"no file {str(path)!r} to import; give the path of {file.name}")
        if file.check is not None:
            file.check(path)
    return [_copy(path, _cached(dataset_name, file)) for path, file in pairs]


def _recognise(dataset_name: str, files: Sequence[DataFile], path: str | Path) -> DataFile:
    given = Path(path)
    named = [file for file in files if file.name == given.name]
    alike = [file for file in files if Path(file.name).suffix == given.suffix]
    found = named or alike
    if len(found) != 1:
        known = ", ".join(file.name for file in files) or "no files at all"
        raise UsageError(
            f"{str(path)!r} is not clearly a file of {dataset_name}, which needs {known}; "
            "give it one of those names"
        )
    return found[0]


def _copy(source: Path, target: Path) -> Path:
    part = target.with_name(f"{target.name}.import")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target, waiting=f"waiting for another process that writes {target}"):
            try:
                shutil.copyfile(source, part)
                os.replace(part, target)
            finally:
                with suppress(FileNotFoundError):
                    part.unlink()
    except OSError as error:
        raise DataError(
            f"{source} cannot be copied to {target} ({error.strerror}); make the one "
            "readable and the other's folder writable"
        ) from None
    return target
