"""Pairs whose two sides run at once: what the gate does not do, to be compared with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from harness.gate.pairs import QUADRUPLES, Block, Pair, Pairing, Worker


class AtOnce(Pairing):
    """Both sides run each block at the same time, pinned to a core each.

    In the middle of a quadruple they change places, so that a faster core favours neither.
    """

    def _measure(self, cell: str, workers: Mapping[str, Worker]) -> Pair:
        epochs = self._warm_up(workers)
        blocks: list[Block] = []
        for _ in range(QUADRUPLES):
            cores = sorted(os.sched_getaffinity(0))[:2]
            self.draw.shuffle(cores)
            for places in (cores, cores[::-1]):
                blocks += self._both(
                    cell, workers, dict(zip(workers, places, strict=True)), epochs
                )
        everywhere = os.sched_getaffinity(0)
        for worker in workers.values():
            pin(worker, everywhere)
            worker.send(do="next")
        return Pair(cell, blocks, {"compute": [0.0], "memory": [0.0]})

    def _both(
        self, cell: str, workers: Mapping[str, Worker], places: Mapping[str, int], epochs: int
    ) -> list[Block]:
        more = self.extra.get(cell, 0) * epochs // 100
        for name, worker in workers.items():
            pin(worker, {places[name]})
        for name, worker in workers.items():
            worker.send(do="block", epochs=epochs + (more if name == "head" else 0))
        told = {name: worker.answer() for name, worker in workers.items()}
        return [
            Block(name, t["s"], epochs, t["epochs"], 0.0, 0.0, t["switches"])
            for name, t in told.items()
        ]


def pin(worker: Worker, cores: Iterable[int]) -> None:
    """Puts all threads of a worker on these cores."""
    for task in Path(f"/proc/{worker.process.pid}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), cores)
