"""What the user says of a cluster."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import UsageError

# Dask takes an address without a protocol for one of tcp
ADDRESS = re.compile(r"((tcp|tls|ucx|ucxx|ws|wss)://)?(\[[^\]]+\]|[^/:\s]+):\d+")


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where runs are performed as tasks of Dask's.

    Attributes:
      scheduler: address of one that goes on already, as in "tcp://head:8786".
      workers: so many workers are started on this machine instead, and ended with the command.
      resources: what a run takes of its worker, by the names that the workers were given.
      ship: files and folders of data that workers get a copy of.
    """

    scheduler: str | None = None
    workers: int | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    ship: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.scheduler is None and self.workers is None:
            raise UsageError(
                "--executor dask needs --scheduler tcp://HOST:PORT, of a scheduler that goes "
                "on, or --workers N, to start some here; give one of them"
            )
        if self.scheduler is not None and self.workers is not None:
            raise UsageError(
                "--scheduler and --workers are both given: workers that are started here have "
                "a scheduler of their own; drop one of them"
            )
        if self.scheduler is not None and not ADDRESS.fullmatch(self.scheduler):
            raise UsageError(
                f"--scheduler {self.scheduler!r}: expected tcp://HOST:PORT, as `dask "
                "scheduler` prints it"
            )
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers {self.workers}: expected 1 or more")
        if self.workers is not None and self.resources:
            raise UsageError(
                "--resource with --workers: workers that are started here have none; start "
                "them with `dask worker ADDRESS --resources NAME=AMOUNT`, and give --scheduler"
            )
        for path in self.ship:
            if not Path(path).expanduser().exists():
                raise UsageError(f"--ship {path!r}: there is no such file or folder")


def parse_resources(texts: tuple[str, ...]) -> dict[str, float]:
    """Resources from the command line.

    >>> parse_resources(("gpu=1", "memory=8e9"))
    {'gpu': 1.0, 'memory': 8000000000.0}

    Raises:
      UsageError: a text is no name with an amount above 0.
    """
    found: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            amount = float(value)
        except ValueError:
            amount = 0.0
        if not name or not 0 < amount < math.inf:
            raise UsageError(
                f"--resource {text!r}: expected NAME=AMOUNT with an amount above 0, as in gpu=1"
            )
        if name in found:
            raise UsageError(
                f"--resource {text!r}: {name} is given twice; give what one run takes of it"
            )
        found[name] = amount
    return found
