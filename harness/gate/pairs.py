"""Tier 1: fresh pairs of processes.

A pair is two processes, one a side, that both import, compile and warm up; then quadruples
of blocks are measured, in one of two `ways`. Then both processes end, and the next pair is
fresh: what a process's memory layout does to its speed is drawn anew.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from harness.gate.blocks import Pair
from harness.gate.side import Side
from harness.gate.ways import KERNELS, Way, Work
from harness.gate.workers import Broken, Worker, ask_all, started

BLOCK_S = 0.25
QUADRUPLES = 5
# a block has a multiple of so many epochs, of at most so many steps each
EPOCHS, STEPS = 10, 8


@dataclass
class Pairing:
    """How pairs are made: both sides, the cells, and what is drawn.

    Attributes:
      extra: per cent by which the head side of a cell does more epochs than it is asked
        for: the known slowdown.
      multiple: of so many epochs is every block.
      sources: the files that each side had imported when it was compiled, with their
        hashes: what is timed must be the same.
    """

    base: Side
    head: Side
    questions: Mapping[str, Mapping[str, Any]]
    draw: random.Random
    way: Way
    extra: Mapping[str, int] = field(default_factory=dict)
    multiple: int = EPOCHS
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def pair(self, cells: Sequence[str]) -> list[Pair]:
        """One fresh pair of processes goes through the cells.

        Raises:
          Broken: a worker could not be measured.
        """
        with ExitStack() as stack:
            sides = [self.base, self.head]
            self.draw.shuffle(sides)  # neither is always the first to start
            workers = {
                side.name: stack.enter_context(started(side, self.questions[side.name]))
                for side in sides
            }
            return [self._measure(cell, workers) for cell in cells]

    def _measure(self, cell: str, workers: Mapping[str, Worker]) -> Pair:
        epochs = _warm_up(workers, multiple=self.multiple)
        for name, worker in workers.items():
            _check_sources(worker, self.sources.get(name, {}))
        work = Work(epochs, self.extra.get(cell, 0) * epochs // 100)
        measured = [self.way.quadruple(workers, work, self.draw) for _ in range(QUADRUPLES)]
        for worker in workers.values():
            worker.send(do="next")
        calibration = {name: [one.calibration[name] for one in measured] for name in KERNELS}
        return Pair(cell, [block for one in measured for block in one.blocks], calibration)


def _warm_up(workers: Mapping[str, Worker], *, multiple: int) -> int:
    """Lets both run until they are warm; returns how many epochs a block has."""
    ask_all(workers, do="block", epochs=2)  # compiles, or takes from the cache
    seconds = [worker.ask(do="block", epochs=2)["s"] / 2 for worker in workers.values()]
    return max(1, round(BLOCK_S / max(seconds) / multiple)) * multiple


def _check_sources(worker: Worker, compiled: Mapping[str, str]) -> None:
    """Refuses a worker that runs other code than its side was compiled from.

    Raises:
      Broken: names a file.
    """
    here = worker.ask(do="sources")
    other = [name for name in sorted(here) if compiled.get(name, here[name]) != here[name]]
    if other:
        raise Broken(f"the {worker.side}'s worker runs another {other[0]} than was compiled")


def scout(side: Side, question: Mapping[str, Any]) -> list[int]:
    """How many steps an epoch of each cell is to have: as many as fit a tenth of a block.

    Args:
      question: as for a pair, with one step an epoch in every cell.
    """
    found = []
    with started(side, question) as worker:
        for _ in question["cells"]:
            worker.ask(do="block", epochs=2)
            epoch_s = worker.ask(do="block", epochs=4)["s"] / 4
            found.append(max(1, min(STEPS, round(BLOCK_S / EPOCHS / epoch_s))))
            worker.send(do="next")
    return found
