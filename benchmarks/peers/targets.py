"""The targets, and how far the rounds came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.peers.summary import (
    Figure,
    Record,
    epoch_s,
    of_arm,
    overhead,
    paired,
    spread,
    step_ms,
)

TUTORIAL = ("tutorial loop, 0 workers", "tutorial loop, 4 workers")
KERAS = ("Keras 3 on JAX, 1 step", "Keras 3 on JAX, 16 steps")


@dataclass(frozen=True)
class Target:
    """A ratio that should be at least (`faster`) or at most so much."""

    name: str
    must: float
    goal: float
    ratios: list[float]
    faster: bool = False

    def verdict(self) -> str:
        if not self.ratios:
            return "not measured"
        reached = median(self.ratios)
        for word, bound in (("goal", self.goal), ("must", self.must)):
            if (reached >= bound) if self.faster else (reached <= bound):
                return word
        return "missed"


def best(records: Sequence[Record], arms: Sequence[str], model: str, figure: Figure):
    """The best of some arms, round by round."""
    found: dict[int, float] = {}
    for arm in arms:
        for number, record in of_arm(records, arm, model).items():
            found[number] = min(figure(record), found.get(number, float("inf")))
    return found


def targets(records: Sequence[Record]) -> list[Target]:
    def against(arms: Sequence[str], model: str, figure: Figure) -> list[float]:
        own = best(records, ("harness",), model, figure)
        return paired(best(records, arms, model, figure), own)

    def share(arms: Sequence[str], model: str, figure: Figure) -> list[float]:
        return [1 / ratio for ratio in against(arms, model, figure)]

    epoch = "train and evaluate an epoch: times faster than the best tutorial loop"
    return [
        Target(f"transformer, {epoch}", 4, 6, against(TUTORIAL, "transformer", epoch_s), True),
        Target(f"mean_pool, {epoch}", 40, 80, against(TUTORIAL, "mean_pool", epoch_s), True),
        Target("transformer, step time over PyTorch eager's", 1.0, 0.75,
               share(("PyTorch eager",), "transformer", step_ms)),
        Target("transformer, step time over Keras 3's better one", 0.45, 0.35,
               share(KERAS, "transformer", step_ms)),
        Target("transformer, wall time of an epoch over its bare scan", 1.03, 1.01,
               overhead(records, "transformer")),
        Target("mean_pool, wall time of an epoch over its bare scan", 1.3, 1.1,
               overhead(records, "mean_pool")),
    ]  # fmt: skip


def target_table(records: Sequence[Record]) -> str:
    lines = ["| figure | must | goal | measured | reached |\n|---|---:|---:|---:|---|"]
    lines += [
        f"| {t.name} | {t.must:g} | {t.goal:g} | {spread(t.ratios)} | {t.verdict()} |"
        for t in targets(records)
    ]
    return "\n".join(lines)
