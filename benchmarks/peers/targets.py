"""The targets, and how far the rounds came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.peers.arms import MODELS
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
EAGER = ("PyTorch eager", "PyTorch eager, huge pages")
KERAS = (
    "Keras 3 on JAX, 1 step",
    "Keras 3 on JAX, 16 steps",
    "Keras 3 on JAX, 16 steps, huge pages",
)


@dataclass(frozen=True)
class Target:
    """A ratio, or seconds, that should be at least (`faster`) or at most so much."""

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
        Target("transformer, step time over PyTorch eager's better one", 1.0, 0.75,
               share(EAGER, "transformer", step_ms)),
        Target("transformer, step time over Keras 3's best one", 0.45, 0.35,
               share(KERAS, "transformer", step_ms)),
        Target("transformer, wall time of an epoch over its bare scan", 1.03, 1.01,
               overhead(records, "transformer")),
        Target("mean_pool, wall time of an epoch over its bare scan", 1.3, 1.1,
               overhead(records, "mean_pool")),
        *_starts(records),
    ]  # fmt: skip


def _starts(records: Sequence[Record]) -> list[Target]:
    """Times until something happens, from the records that measured them."""
    found = [record["start"] for record in records if "start" in record]
    loads = [start["loading"] for start in found]
    again = "process start to first training step, second time over the first"
    return [
        Target(f"{model}, {again}", 0.6, 0.4,
               [s[model]["second"] / s[model]["first"] for s in found if model in s])
        for model in MODELS
    ] + [
        Target("loading IMDB the first time over the tutorial's preparation", 0.5, 0.2,
               [load["first"] / load["tutorial"] for load in loads]),
        Target("loading IMDB the second time, s", 0.1, 0.02,
               [load["second"] for load in loads]),
    ]  # fmt: skip


def target_table(records: Sequence[Record]) -> str:
    lines = ["| figure | must | goal | measured | reached |\n|---|---:|---:|---:|---|"]
    lines += [
        f"| {t.name} | {t.must:g} | {t.goal:g} | {spread(t.ratios)} | {t.verdict()} |"
        for t in targets(records)
    ]
    return "\n".join(lines)
