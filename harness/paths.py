"""The folders that the environment names: what the user has, and what may be thrown away."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import UsageError

DEFAULT_STORE = "sqlite:///harness.db"


def store_url(given: str | None) -> str:
    """The store that a command or a call names, `HARNESS_STORE`, or the default."""
    return given or os.environ.get("HARNESS_STORE") or DEFAULT_STORE


def cache_dir() -> Path:
    """`HARNESS_CACHE_DIR`, or the platform's cache folder; created if absent.

    It holds downloads, prepared arrays, compiled programs, checkpoints, logs and the index
    of plugins. Everything in it can be made again, but for the spool: rows that no store
    has taken yet.

    Raises:
      UsageError: the folder cannot be created or written.
    """
    named = os.environ.get("HARNESS_CACHE_DIR")
    if named:
        folder = _absolute(named)
    else:
        import platformdirs

        folder = platformdirs.user_cache_path("model-zoo-harness")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"the cache folder {folder} cannot be created ({error.strerror}); "
            "set HARNESS_CACHE_DIR to a folder that can be written"
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(
            f"the cache folder {folder} cannot be written; "
            "set HARNESS_CACHE_DIR to a folder that can be written"
        )
    return folder


def checkpoint_folder(run_key: str) -> Path:
    """Where the checkpoints of a run are, if it has left any."""
    return cache_dir() / "checkpoints" / run_key[:32]


def data_dir() -> Path | None:
    """`HARNESS_DATA_DIR`, the data the user has; it is only ever read."""
    named = os.environ.get("HARNESS_DATA_DIR")
    return _absolute(named) if named else None


def _absolute(path: str) -> Path:
    # unlike Path.expanduser, it leaves the home of nobody as it is
    return Path(os.path.expanduser(path)).absolute()


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file that is whole or not there, whenever the process dies."""
    with written_atomically(path) as part:
        part.write_bytes(content)


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """A name to write a file under; unless something is raised it is moved to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # opened by name, not by mkstemp, so that the file has the user's usual permissions
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
