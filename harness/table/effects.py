"""The effect of a pair of lines: how much better the first is than the second, and how sure.

It is a difference in accuracy on common seeds, over test examples too where the answers of both
are stored. A task without accuracy has a difference in test loss, over seeds alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from harness.comparison import Pair, family, seeds_interval
from harness.comparison.families import Answers
from harness.comparison.intervals import EXAMPLES, SEEDS, SEEDS_AND_EXAMPLES
from harness.errors import counted

NAN = float("nan")
# of each measure, the row's column and the name of its difference
MEASURES: dict[Measure, tuple[str, str]] = {
    "accuracy": ("test_accuracy", "difference"),
    "loss": ("test_loss", "loss_difference"),
}
# no difference lies beyond
WITHIN: dict[Measure, tuple[float, float]] = {
    "accuracy": (-1.0, 1.0),
    "loss": (-float("inf"), float("inf")),
}
Measure = Literal["accuracy", "loss"]
BothAnswers = tuple[Answers | None, Answers | None]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The first line against the second.

    Attributes:
      measure: what the difference is in.
      means: of both lines, on common seeds; on all of each where there are none.
      seeds: how many are in common.
      estimate, low, high: the difference and its 95 % interval, NaN where there is none.
      over: what the interval is over, as in `Interval`; "" where there is none.
      p: of "no difference"; NaN where answers do not tell.
      notes: what a reader has to know of it.
    """

    measure: Measure
    means: tuple[float, float]
    seeds: int = 0
    estimate: float = NAN
    low: float = NAN
    high: float = NAN
    over: str = ""
    p: float = NAN
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> dict[str, Any]:
        """What a line says of it, by names that tell the measures apart."""
        name, (a, b) = MEASURES[self.measure][1], self.means
        told = {
            "seeds": self.seeds, name: self.estimate, f"{name}_low": self.low,
            f"{name}_high": self.high, f"{self.measure}_a": a, f"{self.measure}_b": b,
        }  # fmt: skip
        if self.measure == "loss":
            return told
        over = {"difference_over": self.over or None, "p": self.p}
        errors = ratio(1 - a, 1 - b) if self.seeds else NAN
        return told | over | {"error_ratio": errors}


def ratio(first: Any, second: Any) -> float:
    if pd.isna(first) or pd.isna(second) or second == 0:
        return NAN
    return float(first) / float(second)


def effect_of(
    runs: tuple[pd.DataFrame, pd.DataFrame], answers: BothAnswers, *, other: str = ""
) -> Effect:
    """The effect of two lines.

    Args:
      runs: the `ok` runs of each, one a seed.
      answers: of each, if all of its runs have some.
      other: of the data, what is not the same for both; then nothing is paired.
    """
    accurate = any(bool(some["test_accuracy"].notna().any()) for some in runs)
    measure: Measure = "accuracy" if accurate else "loss"
    a, b = (_by_seed(some, MEASURES[measure][0]) for some in runs)
    common = [seed for seed in a if seed in b]
    if other or not common:
        why = f"other {other}" if other else _unpaired(measure, a, b)
        means = _mean(a), _mean(b)
        return Effect(measure=measure, means=means, notes=(f"{why}, so nothing is paired",))
    first, second = ({seed: some[seed] for seed in common} for some in (a, b))
    told = _of_answers(answers) if accurate else None
    told = told or _of_seeds(np.subtract([*first.values()], [*second.values()]), measure)
    more = [len(some) - len(common) for some in runs]
    return Effect(
        measure=measure, means=(_mean(first), _mean(second)), **told.values,
        notes=(*told.notes, *_beside(measure, len(common), more)),
    )  # fmt: skip


def _by_seed(runs: pd.DataFrame, column: str) -> dict[int, float]:
    told = runs[["seed", column]].itertuples(index=False, name=None)
    return {seed: float(value) for seed, value in told if not pd.isna(value)}


def _mean(values: Mapping[int, float]) -> float:
    return float(np.mean([*values.values()])) if values else NAN


@dataclass(frozen=True)
class _Told:
    values: dict[str, Any]
    notes: tuple[str, ...]


def _of_answers(answers: BothAnswers) -> _Told | None:
    """Over seeds and examples, if the answers of both are stored and of as many examples."""
    first, second = answers
    if first is None or second is None:
        return None
    pair: Pair | None = family({0: first, 1: second}).get((0, 1))
    if pair is None:
        return None
    one = pair.seeds == 1
    values = {
        "seeds": pair.seeds, "estimate": pair.estimate, "low": pair.low, "high": pair.high,
        "over": EXAMPLES if one else SEEDS_AND_EXAMPLES, "p": pair.p,
    }  # fmt: skip
    return _Told(values, ("one seed: about these two trained models",) if one else ())


def _of_seeds(differences: np.ndarray, measure: Measure) -> _Told:
    """Over seeds alone: Student's interval, which a single one does not have."""
    told = seeds_interval(differences, within=WITHIN[measure])
    values = {
        "seeds": len(differences), "estimate": told.estimate, "low": told.low,
        "high": told.high, "over": told.over,
    }  # fmt: skip
    if told.over == SEEDS:
        notes = () if measure == "loss" else ("over seeds only: answers are not stored",)
        return _Told(values, notes)
    without = "" if measure == "loss" else " without stored answers"
    return _Told(values, (f"one seed{without}, so nothing is known beside the difference",))


def _unpaired(measure: Measure, a: Mapping[int, float], b: Mapping[int, float]) -> str:
    lacking = [name for name, values in (("A", a), ("B", b)) if not values]
    has = "has" if len(lacking) == 1 else "have"
    return f"{' and '.join(lacking)} {has} no {measure}" if lacking else "no common seed"


def _beside(measure: Measure, common: int, more: Sequence[int]) -> list[str]:
    """That the sides have other seeds as well, over which times are and means are not."""
    if not any(more):
        return []
    means = "accuracies" if measure == "accuracy" else "losses"
    a, b = (str(number) if number else "none" for number in more)
    return [
        f"{means} are over {counted(common, 'common seed')}, times over all; A has {a} "
        f"beside, B {b}"
    ]
