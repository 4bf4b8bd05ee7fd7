"""Runs that go on for a command that has gone.

On a cluster a run may outlive the command that asked for it. A command that resumes gives the
run the identity under which it was planned: then the same task stands for both, and its row
cannot be stored twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.plan import Run


@dataclass(frozen=True)
class TakenUp:
    """Gives planned runs that left no row their identity back.

    Attributes:
      lost: the run_id by run_key of what was planned and has no row.
    """

    lost: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, runs: Sequence[Run]) -> list[Run]:
        """The runs, those that were planned before under the identity that they had."""
        return [replace(run, run_id=self.lost.get(run.run_key, run.run_id)) for run in runs]

    def new(self, runs: Iterable[Run]) -> list[Run]:
        """Those of the runs that are planned for the first time."""
        return [run for run in runs if self.lost.get(run.run_key) != run.run_id]
