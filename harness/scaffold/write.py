"""Writes the first files of a plugin; what is there already stays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.errors import UsageError


def write(texts: Mapping[str, str], folder: Path) -> list[Path]:
    """Writes all files or none.

    Args:
      texts: by path below `folder`.

    Raises:
      UsageError: one of them is there already, or cannot be written.
    """
    paths = [folder / place for place in texts]
    # the first part is the file itself, or the folder of a distribution
    there = [str(path) for path in (folder / Path(p).parts[0] for p in texts) if path.exists()]
    if there:
        raise UsageError(f"{there[0]} is there already; choose another name, or move it away")
    for path, text in zip(paths, texts.values(), strict=True):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    return paths
