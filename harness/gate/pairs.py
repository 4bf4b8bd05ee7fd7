"""Tier 1: fresh pairs of processes that take turns.

A pair is two processes, one a side, that both import, compile and warm up; then only one
runs at a time, the other waits on its pipe. Blocks come in quadruples, ABBA or BAAB as
drawn; a quadruple's value is the difference of the mean logarithms of its two sides' times,
a pair's the median over its quadruples. Then both processes end, and the next pair is
fresh: what a process's memory layout does to its speed is drawn anew.
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

from harness.allocator import worker_environment
from harness.children import timer
from harness.gate import probe, timed
from harness.gate.trees import Side
from harness.worker import compilation_cache

TIMED, PROBE = Path(timed.__file__), Path(probe.__file__)
BLOCK_S = 0.25
QUADRUPLES = 5
# a block has a multiple of so many epochs, of at most so many steps each
EPOCHS, STEPS = 10, 8
# a quadruple is dropped, whatever it says, beyond these
STEAL_SHARE, IDLE_SHARE = 0.05, 0.02
CORES = os.cpu_count() or 1
# seconds that a worker may take for one answer
PATIENCE_S = 600.0


class Broken(Exception):
    """A pair could not be measured: this says nothing about speed."""


@dataclass(frozen=True)
class Block:
    """One block of one side.

    Attributes:
      side: "base" or "head".
      seconds: of the whole block.
      epochs: how many its work counts as.
      done: how many it did; more than it counts as where a slowdown is known.
      steal: share of the machine's time that its host took away meanwhile.
      idle_cpu: share of the time in which the waiting side used a core.
      switches: involuntary context switches of the process.
    """

    side: str
    seconds: float
    epochs: int
    done: int
    steal: float
    idle_cpu: float
    switches: int

    @property
    def disturbed(self) -> bool:
        return self.steal > STEAL_SHARE or self.idle_cpu > IDLE_SHARE


@dataclass(frozen=True)
class Pair:
    """What one fresh pair measured of one cell.

    Attributes:
      blocks: all of them, in order, four a quadruple.
      calibration: log-ratios head over base by kernel, one a quadruple.
    """

    cell: str
    blocks: Sequence[Block]
    calibration: Mapping[str, Sequence[float]]

    def quadruples(self) -> Iterator[Sequence[Block]]:
        for at in range(0, len(self.blocks), 4):
            yield self.blocks[at : at + 4]

    def value(self) -> float | None:
        """The pair's log-ratio, head over base; None if every quadruple was disturbed."""
        kept = [_ratio(q) for q in self.quadruples() if not any(b.disturbed for b in q)]
        return median(kept) if kept else None

    def dropped(self) -> float:
        """The share of quadruples that were disturbed."""
        marks = [any(block.disturbed for block in q) for q in self.quadruples()]
        return sum(marks) / len(marks)

    def epoch_s(self, side: str) -> float:
        return median(b.seconds / b.epochs for b in self.blocks if b.side == side)


def _ratio(quadruple: Sequence[Block]) -> float:
    logs = {side: [math.log(b.seconds / b.epochs) for b in quadruple if b.side == side]
            for side in ("base", "head")}  # fmt: skip
    return fmean(logs["head"]) - fmean(logs["base"])


@dataclass
class Worker:
    """A process of one side."""

    side: str
    process: subprocess.Popen[str]

    def ask(self, **order: Any) -> dict[str, Any]:
        """Sends one order and waits for its answer.

        Raises:
          Broken: it died, takes longer than `PATIENCE_S`, or answers with an error.
        """
        self.send(**order)
        return self.answer()

    def send(self, **order: Any) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # that it died is said by its missing answer
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        with _patience(self.process) as late:
            line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            how = f"gave no answer for {PATIENCE_S:g} s" if late.is_set() else f"died ({code})"
            raise Broken(f"the {self.side}'s worker {how}")
        values = json.loads(line)
        if "error" in values:
            raise Broken(f"the {self.side}'s worker failed: {values['error']}")
        return values


@contextmanager
def _patience(process: subprocess.Popen[str]) -> Iterator[threading.Event]:
    """Kills a process that keeps the block waiting; whether it had to is in the event."""
    late = threading.Event()

    def give_up() -> None:
        late.set()
        process.kill()

    with timer(PATIENCE_S, give_up):
        yield late


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
    extra: Mapping[str, int] = field(default_factory=dict)
    multiple: int = EPOCHS
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def pair(self, cells: Sequence[str]) -> list[Pair]:
        """One fresh pair of processes goes through the cells."""
        with ExitStack() as stack:
            sides = [self.base, self.head]
            self.draw.shuffle(sides)  # neither is always the first to start
            workers = {
                side.name: stack.enter_context(_worker(side, self.questions[side.name]))
                for side in sides
            }
            return [self._measure(cell, workers) for cell in cells]

    def _measure(self, cell: str, workers: Mapping[str, Worker]) -> Pair:
        epochs = self._warm_up(workers)
        for name, worker in workers.items():
            _check_sources(worker, self.sources.get(name, {}))
        blocks: list[Block] = []
        calibration: dict[str, list[float]] = {"compute": [], "memory": []}
        for _ in range(QUADRUPLES):
            order = self.draw.choice((("base", "head"), ("head", "base")))
            for side in (*order, *reversed(order)):
                more = self.extra.get(cell, 0) * epochs // 100 if side == "head" else 0
                blocks.append(_block(workers, side, epochs, more))
            first, second = (workers[name].ask(do="calibrate") for name in order)
            told = dict(zip(order, (first, second), strict=True))
            for kernel, ratios in calibration.items():
                ratios.append(math.log(told["head"][kernel] / told["base"][kernel]))
        for worker in workers.values():
            worker.send(do="next")
        return Pair(cell, blocks, calibration)

    def _warm_up(self, workers: Mapping[str, Worker]) -> int:
        """Lets both run alone until they are warm; returns how many epochs a block has."""
        seconds = []
        for worker in workers.values():
            worker.ask(do="block", epochs=2)
            seconds.append(worker.ask(do="block", epochs=2)["s"] / 2)
        return max(1, round(BLOCK_S / max(seconds) / self.multiple)) * self.multiple


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
    with _worker(side, question) as worker:
        for _ in question["cells"]:
            worker.ask(do="block", epochs=2)
            epoch_s = worker.ask(do="block", epochs=4)["s"] / 4
            found.append(max(1, min(STEPS, round(BLOCK_S / EPOCHS / epoch_s))))
            worker.send(do="next")
    return found


def _block(workers: Mapping[str, Worker], side: str, epochs: int, more: int) -> Block:
    other = workers["base" if side == "head" else "head"]
    idle, stolen, start = other.ask(do="rest")["cpu_s"], _stolen_s(), time.monotonic()
    told = workers[side].ask(do="block", epochs=epochs + more)
    passed = time.monotonic() - start
    return Block(
        side, told["s"], epochs, told["epochs"],
        steal=(_stolen_s() - stolen) / passed / CORES,
        idle_cpu=(other.ask(do="rest")["cpu_s"] - idle) / passed,
        switches=told["switches"],
    )  # fmt: skip


def _stolen_s() -> float:
    """Seconds that the machine's host has taken from it so far; 0 where nothing tells."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
        return int(fields[8]) / 100
    except (OSError, IndexError, ValueError):
        return 0.0


@contextmanager
def _worker(side: Side, question: Mapping[str, Any]) -> Iterator[Worker]:
    # memory as a run's worker has it; compiled once for all pairs, but laid out anew in each
    environment = {**compilation_cache(), **worker_environment(side.environment())}
    process = subprocess.Popen(
        [side.python, "-P", str(TIMED)], text=True, env=environment, cwd=side.folder,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    worker = Worker(side.name, process)
    worker.send(**question, probe=str(PROBE), roots=[str(root) for root in side.roots])
    try:
        yield worker
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
