"""One side of a comparison: a Python, and the source tree that it is to run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
      name: "base" or "head".
      revision: what it is, for a reader: a commit, "working tree", or an environment.
      python: the interpreter that runs it.
      roots: folders that are put in front of its import path, and whose files are its own;
        none where all that its environment imports is.
      folder: its source tree; None where the side is an environment.
      origin: the repository that the tree is of. Nothing may be imported from there.
    """

    name: str
    revision: str
    python: str
    roots: tuple[Path, ...]
    folder: Path | None = None
    origin: Path | None = None

    def environment(self) -> dict[str, str]:
        """The environment of its processes."""
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        # JAX's notes of transfers are warnings of its C++ side; 2 would silence them
        kept["TF_CPP_MIN_LOG_LEVEL"] = "1"
        if self.folder is None:
            return kept  # an environment is what is installed in it, and nothing else
        before = os.environ.get("PYTHONPATH")
        path = [*(str(root) for root in self.roots), *([before] if before else [])]
        return {**kept, "PYTHONPATH": os.pathsep.join(path)}

    def question(self) -> dict[str, object]:
        """What its processes have to know of it, as JSON."""
        return {
            "roots": [str(root) for root in self.roots],
            "origin": None if self.origin is None else str(self.origin),
        }
