"""What a pair measures: blocks, quadruples of them, and the pair's one value.

A quadruple has two blocks of each side; its value is the difference of the mean logarithms of
its two sides' times. A pair's value is the median over its quadruples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

# a quadruple is dropped, whatever it says, beyond these shares
STEAL_SHARE, IDLE_SHARE, OTHERS_SHARE = 0.05, 0.02, 0.10


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block of one side.

    Attributes:
      side: "base" or "head".
      seconds: of the whole block.
      epochs: how many its work counts as.
      done: how many it did; more than it counts as where a slowdown is known.
      steps: training steps in an epoch.
      steal: share of the machine's time that its host took away meanwhile.
      idle_cpu: share of the time in which a side used a core while it was to wait.
      others: share of the machine's time that other processes used meanwhile.
      switches: involuntary context switches of the process.
    """

    side: str
    seconds: float
    epochs: int
    done: int
    steps: int
    steal: float
    idle_cpu: float
    others: float
    switches: int

    @property
    def disturbed(self) -> bool:
        return any(share > limit for share, limit, _ in self.disturbances())

    def disturbances(self) -> tuple[tuple[float, float, str], ...]:
        """Shares of the time with the largest that is good, and in words what they are."""
        return (
            (self.steal, STEAL_SHARE, "the machine's host took it away"),
            (self.idle_cpu, IDLE_SHARE, "a side went on computing where it was to wait"),
            (self.others, OTHERS_SHARE, "other processes computed"),
        )


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

    def step_ms(self, side: str) -> float:
        """Milliseconds that a side took for a step, with its share of the evaluations."""
        own = [b for b in self.blocks if b.side == side]
        return median(1e3 * b.seconds / (b.epochs * b.steps) for b in own)


def _ratio(quadruple: Sequence[Block]) -> float:
    logs = {side: [math.log(b.seconds / b.epochs) for b in quadruple if b.side == side]
            for side in ("base", "head")}  # fmt: skip
    return fmean(logs["head"]) - fmean(logs["base"])


def what_disturbed(blocks: Sequence[Block]) -> str:
    """The disturbance that most of these blocks had, in words and with its median share."""
    found: dict[str, list[float]] = {}
    for block in blocks:
        for share, limit, words in block.disturbances():
            if share > limit:
                found.setdefault(words, []).append(share)
    if not found:
        return ""
    words, shares = max(found.items(), key=lambda entry: len(entry[1]))
    return f"{words} ({median(shares):.0%} of the time)"
