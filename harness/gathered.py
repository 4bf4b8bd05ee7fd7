"""The results of runs that one program trains, folded from what it says.

What is said of one seed goes to that seed's run, everything else to all of them: the clocks
of the program are on every row. How a seed ended by itself stands, whatever ends the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.events import Again, Collector, Ended, Event, Of, Phase
from harness.plan import Run


@dataclass
class Gathered:
    """The results of runs by seed.

    Attributes:
      over: the seeds that ended by themselves.
    """

    collectors: Mapping[int, Collector]
    over: set[int] = field(default_factory=set)

    @property
    def _going_on(self) -> list[Collector]:
        return [one for seed, one in self.collectors.items() if seed not in self.over]

    def add(self, event: Event) -> None:
        if isinstance(event, Again):
            self.over.clear()
        if not isinstance(event, Of):
            # where the others are is no phase of one that is over
            only = isinstance(event, Phase | Ended)
            for one in self._going_on if only else self.collectors.values():
                one.add(event)
        elif event.seed in self.collectors:
            self.collectors[event.seed].add(event.said)
            if isinstance(event.said, Ended):
                self.over.add(event.seed)

    @property
    def ended(self) -> Ended | None:
        """How the last of them ended; None while one goes on."""
        ends = [one.ended for one in self.collectors.values()]
        return ends[-1] if all(ends) else None

    @ended.setter
    def ended(self, ended: Ended | None) -> None:
        for one in self._going_on:
            one.ended = ended


def programs_of(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs, in order, with those in one list that one program trains."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.program_key if run.together else run.run_id, []).append(run)
    return list(found.values())


def as_one(runs: Sequence[Run]) -> Run:
    """The run that stands for a program: it brings the others of all its seeds with it.

    Those of its seeds that are not among `runs` are trained too, because only then the bits
    are the same, and nobody hears of them.
    """
    first = runs[0]
    if not first.together:
        return first
    asked = {run.seed: run for run in runs}
    every = [asked.get(k) or replace(first.with_seed(k), observers=()) for k in first.together]
    return replace(every[0], others=tuple(every[1:]))
