"""Two ways to measure a quadruple: both sides at once, or one at a time.

At once, each side has half of the cores, and they change places in the middle of the
quadruple, so that a faster core favours neither; what disturbs the machine meets both at
the same moment (Bulej et al. 2020, "duet"). A side that is done trains on until the other is,
so that neither ever has the machine for itself. One at a time, each has all cores, in the
order ABBA or BAAB as drawn: on an accelerator, which the sides cannot share, and where there
is one core.

How much pairs vary in either way: `benchmarks/results/gate.md`. What pairs at once cannot see
is a program that makes worse use of all cores together; and what takes more of a cache or a
bus that both sides share slows the other side too, so that the ratio is nearer to one than
it would be alone.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple, Protocol

from harness.gate.blocks import Block
from harness.gate.cores import Usage, between, halves, pin, read, usable
from harness.gate.workers import Worker, ask_all

KERNELS = ("compute", "memory")
# how long both sides are watched at rest, behind each half of a quadruple
REST_S = 0.05
Workers = Mapping[str, Worker]


class Work(NamedTuple):
    """What a block is: so many epochs, and on the head so many more that do not count."""

    epochs: int
    more: int = 0

    def of(self, side: str) -> int:
        return self.epochs + (self.more if side == "head" else 0)


class Quadruple(NamedTuple):
    """Four blocks in order, and the calibration kernels' log-ratios, head over base."""

    blocks: Sequence[Block]
    calibration: Mapping[str, float]


class Way(Protocol):
    """How a quadruple is measured."""

    @property
    def words(self) -> str: ...

    def quadruple(self, workers: Workers, work: Work, draw: random.Random) -> Quadruple: ...


@dataclass(frozen=True)
class InTurn:
    """One side computes, the other waits on its pipe."""

    words: str = "one at a time"

    def quadruple(self, workers: Workers, work: Work, draw: random.Random) -> Quadruple:
        order = draw.choice((("base", "head"), ("head", "base")))
        blocks = [self._block(workers, side, work) for side in (*order, *reversed(order))]
        told = {side: workers[side].ask(do="calibrate") for side in order}
        return Quadruple(blocks, _log_ratios(told))

    def _block(self, workers: Workers, side: str, work: Work) -> Block:
        first = read(workers)
        told = workers[side].ask(do="block", epochs=work.of(side))
        used = between(first, read(workers))
        idle = max(share for name, share in used.cpu.items() if name != side)
        return _made(side, told, work, used, idle=idle)


@dataclass(frozen=True)
class AtOnce:
    """Both sides compute at the same time, each on its half of the cores."""

    places: tuple[frozenset[int], frozenset[int]]
    words: str = "both at once"

    def quadruple(self, workers: Workers, work: Work, draw: random.Random) -> Quadruple:
        places = list(self.places)
        draw.shuffle(places)
        with _unpinned_at_the_end(workers):
            halves = [self._half(workers, work, at) for at in (places, places[::-1])]
        ratios = [_log_ratios(told) for _, told in halves]
        calibration = {name: fmean(r[name] for r in ratios) for name in KERNELS}
        return Quadruple([block for blocks, _ in halves for block in blocks], calibration)

    def _half(
        self, workers: Workers, work: Work, places: Sequence[frozenset[int]]
    ) -> tuple[list[Block], dict[str, dict[str, float]]]:
        """A block of each side, and what the calibration kernels took."""
        for worker, cores in zip(workers.values(), places, strict=True):
            pin(worker, cores)
        first = read(workers)
        for side, worker in workers.items():
            worker.send(do="block", epochs=work.of(side), beyond=True)
        told = {side: worker.answer() for side, worker in workers.items()}
        last = read(workers)
        time.sleep(REST_S)
        rest = between(last, read(workers))
        used = between(first, last)
        blocks = [
            _made(side, told[side], work, used, idle=max(rest.cpu.values())) for side in told
        ]
        return blocks, ask_all(workers, do="calibrate")


@contextmanager
def _unpinned_at_the_end(workers: Workers) -> Iterator[None]:
    try:
        yield
    finally:
        for worker in workers.values():
            pin(worker, frozenset(usable()))


def _made(
    side: str, told: Mapping[str, float], work: Work, used: Usage, *, idle: float
) -> Block:
    return Block(
        side=side, seconds=told["s"], epochs=work.epochs, done=int(told["epochs"]),
        steps=int(told["steps"] // told["epochs"]), steal=used.steal, idle_cpu=idle,
        others=used.others, switches=int(told["switches"]),
    )  # fmt: skip


def _log_ratios(told: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {name: math.log(told["head"][name] / told["base"][name]) for name in KERNELS}


def fitting(device_kinds: set[str]) -> Way:
    """The way that a machine with such devices allows."""
    places = halves()
    return AtOnce(places) if places is not None and device_kinds == {"cpu"} else InTurn()
