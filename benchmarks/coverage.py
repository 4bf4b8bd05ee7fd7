"""Do intervals cover, and do tests keep their level? Simulated stores, several methods.

    python -m benchmarks.coverage -o benchmarks/results/coverage.md
    python -m benchmarks.coverage --one-seed       the last part of it alone

A run of seed s is right on test example i if `mean + a_s + b_i + e_si > 0`, with normal
seeds a, examples b and rest e: a probit model with crossed random effects, whose true accuracy
is known in closed form. Seeds and examples are drawn anew in every repetition. Data of this
shape are what a store holds; nothing is trained and no clock is read.

What the harness says of one seed is about that trained model. The last part holds it against
the accuracy over seeds all the same, to show how wrong it is to read it so.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import special, stats

from harness.comparison.families import holm
from harness.comparison.intervals import differences_of, intervals_of
from harness.comparison.variance import errors_of
from harness.machine import cpu_model

Floats = NDArray[np.float64]
Ends = tuple[Floats, Floats]
Method = Callable[[NDArray[np.bool_]], Ends]

EXAMPLE_SD = 2.0  # of b, where e has 1: most examples are easy or hard for every seed
ACCURACIES = (0.6, 0.9, 0.99)
SEED_SDS = {"none": 0.0, "small": 0.1, "large": 0.4}
SEEDS = (1, 2, 3, 5, 10)
REPEATS = {60: 1000, 400: 1000, 25_000: 300}
# of tables with one seed a line, whose seeds differ
ONE_SEED = {60: 400, 400: 400, 25_000: 100}
# bootstraps of more test examples take hours
BOOTSTRAPPED = 400
RESAMPLES = 400


def draw(
    rng: np.random.Generator,
    *,
    repeats: int,
    seeds: int,
    examples: int,
    accuracy: float,
    seed_sd: float,
    lines: int = 1,
) -> NDArray[np.bool_]:
    """Which examples are right: bool [repeats, lines, seeds, examples].

    Lines have the same examples, seeds of their own, and the same true accuracy.
    """
    mean = special.ndtri(accuracy) * np.sqrt(1 + EXAMPLE_SD**2 + seed_sd**2)

    def normal(*shape: int) -> NDArray[np.float32]:
        return rng.standard_normal(shape, dtype=np.float32)

    score = normal(repeats, lines, seeds, examples)
    score += np.float32(seed_sd) * normal(repeats, lines, seeds, 1)
    score += np.float32(EXAMPLE_SD) * normal(repeats, 1, 1, examples)
    return score + np.float32(mean) > 0


def analysis_of_variance(right: NDArray[np.bool_]) -> Ends:
    """Mean and variance components, t with Satterthwaite's degrees of freedom: [r, s, n]."""
    errors, mean = errors_of(right), right.mean(axis=(1, 2))
    variance = np.maximum(errors.seeds + errors.examples, errors.fixed)
    parts = errors.seeds**2 / errors.seeds_freedom + errors.examples**2 / errors.fixed_freedom
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = (errors.seeds + errors.examples) ** 2 / parts
    freedom = np.maximum(np.nan_to_num(freedom, nan=errors.fixed_freedom), 1.0)
    error = stats.t.isf(0.025, freedom) * np.sqrt(variance)
    return mean - error, mean + error


def korn_graubard(right: NDArray[np.bool_]) -> Ends:
    """Clopper and Pearson's interval for the number of examples that has the same error."""
    mean, size = right.mean(axis=(1, 2)), right.shape[1] * right.shape[2]
    variance = (errors_of(right).bound(0.05) / stats.norm.isf(0.025)) ** 2
    known = variance > 0
    effective = mean * (1 - mean) / np.where(known, variance, 1.0)
    effective = np.where(known, np.minimum(effective, size), right.shape[2])
    hits = mean * effective
    low = special.betaincinv(np.maximum(hits, 1e-9), effective - hits + 1, 0.025)
    high = special.betaincinv(hits + 1, np.maximum(effective - hits, 1e-9), 0.975)
    return np.where(hits > 0, low, 0.0), np.where(hits < effective, high, 1.0)


def percentile_bootstrap(right: NDArray[np.bool_], *, inflated: bool = False) -> Ends:
    """Seeds and examples resampled independently (Owen 2007): quantiles of the means.

    Args:
      right: bool [r, s, n].
      inflated: makes the seeds' deviations larger by sqrt(s / (s - 1)).
    """
    rng = np.random.default_rng(0)
    _, seeds, examples = right.shape
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) / seeds
    weights = rng.multinomial(examples, np.full(examples, 1 / examples), RESAMPLES)
    of_examples = weights.astype(np.float32).T / np.float32(examples)  # [n, b]
    by_seed = right.astype(np.float32) @ of_examples  # [r, s, b]
    middle = by_seed.mean(axis=1, keepdims=True)
    scale = np.sqrt(seeds / (seeds - 1)) if inflated and seeds > 1 else 1.0
    spread = middle + scale * (by_seed - middle)
    means = np.einsum("rsb,bs->rb", spread, of_seeds)
    low, high = np.quantile(means, (0.025, 0.975), axis=1)
    return low, high


def inflated_bootstrap(right: NDArray[np.bool_]) -> Ends:
    return percentile_bootstrap(right, inflated=True)


METHODS: dict[str, Method] = {
    "harness": intervals_of,
    "variance components, Satterthwaite": analysis_of_variance,
    "Korn-Graubard": korn_graubard,
    "percentile bootstrap": percentile_bootstrap,
    "inflated bootstrap": inflated_bootstrap,
}


def conditions(examples: int, seeds: int) -> Iterator[tuple[float, str]]:
    """Accuracies and seed spreads; with one seed, that model's own accuracy is what counts."""
    sds = SEED_SDS if seeds > 1 else ["none"]
    yield from product(ACCURACIES, sds)


def coverage(
    examples: int, seeds: int
) -> dict[tuple[float, str], dict[str, tuple[float, float]]]:
    """Per condition and method: the share of intervals that cover, and their half-width."""
    rng = np.random.default_rng([examples, seeds])
    found = {}
    for accuracy, spread in conditions(examples, seeds):
        right = draw(
            rng, repeats=REPEATS[examples], seeds=seeds, examples=examples,
            accuracy=accuracy, seed_sd=SEED_SDS[spread],
        )[:, 0]  # fmt: skip
        found[accuracy, spread] = {
            name: _judged(method(right), accuracy)
            for name, method in METHODS.items()
            if examples <= BOOTSTRAPPED or "bootstrap" not in name
        }
    return found


def _judged(ends: Ends, truth: float) -> tuple[float, float]:
    low, high = ends
    covered = (low <= truth) & (truth <= high)
    return float(covered.mean()), float((high - low).mean() / 2)


def levels(
    *, seeds: int, examples: int, seed_sd: float, repeats: int = 400
) -> tuple[float, float]:  # fmt: skip
    """Five lines of one true accuracy of 0.9: how often a test says that they differ.

    Returns:
      The share of pairs with p at most 0.05, and the share of tables with any pair that is
      significant after Holm.
    """
    rng = np.random.default_rng([seeds, examples, int(100 * seed_sd)])
    right = draw(
        rng, repeats=repeats, lines=5, seeds=seeds, examples=examples, accuracy=0.9,
        seed_sd=seed_sd,
    ).astype(np.int8)  # fmt: skip
    first, second = np.triu_indices(5, k=1)
    p = np.stack(
        [differences_of(table[first] - table[second])[2] for table in right]
    )  # [repeats, 10]
    adjusted = np.stack([holm(some) for some in p])
    return float((p <= 0.05).mean()), float((adjusted.min(axis=1) <= 0.05).mean())


def report() -> Iterator[str]:
    """The lines of the page, as they are computed."""
    yield "# Coverage of intervals, levels of tests\n"
    yield f"{printed('python -m benchmarks.coverage')}\n"
    yield (
        "Accuracies 0.6, 0.9 and 0.99; the spread of accuracy over seeds none, small or large "
        "(standard deviation 0, 0.1 or 0.4 in probit units, at accuracy 0.9 about 0, 0.8 and 3 "
        f"points). Repetitions a condition: {_told(REPEATS)}. With 1000 repetitions an exact "
        "method shows 0.936 to 0.964 in 95 of 100 conditions, with 300 0.925 to 0.975.\n"
    )
    everything = {(n, s): coverage(n, s) for n in REPEATS for s in SEEDS}
    yield "## Intervals: lowest coverage, and mean half-width in points\n"
    yield from _grid(everything)
    yield "\n## Every condition: coverage and half-width in points\n"
    yield from _listing(everything)
    yield "\n## Tests: five lines without a difference\n"
    heading = "pairs with p <= 0.05 | tables with any after Holm"
    yield f"| test examples | seeds | seed spread | {heading} |"
    yield "|--:|--:|:--|--:|--:|"
    for examples, seeds, spread in product((60, 400), SEEDS, SEED_SDS):
        if seeds > 1 or spread == "none":
            each, any_ = levels(seeds=seeds, examples=examples, seed_sd=SEED_SDS[spread])
            yield f"| {examples} | {seeds} | {spread} | {each:.3f} | {any_:.3f} |"
    yield ""
    yield from of_one_seed()


def printed(command: str) -> str:
    """By which command, when, where and with which versions the figures came about."""
    versions = f"numpy {np.__version__}, scipy {scipy.__version__}"
    return (
        f"Printed by `{command}` on {datetime.now(UTC):%Y-%m-%d} ({cpu_model()}, "
        f"{os.cpu_count()} cores); Python {platform.python_version()}, {versions}."
    )


def of_one_seed() -> Iterator[str]:
    """The part of the page on what one seed cannot say."""
    yield "## One seed: what is not guaranteed\n"
    yield (
        "One run a line, at accuracy 0.9. Intervals and tests are about trained models; here "
        "they are held against the accuracy over seeds, which is the same for all five lines. "
        f"Repetitions a condition: {_told(ONE_SEED)}.\n"
    )
    heading = "pairs with p <= 0.05 | tables with any after Holm"
    yield f"| test examples | seed spread | intervals that hold it | {heading} |"
    yield "|--:|:--|--:|--:|--:|"
    for (examples, repeats), spread in product(ONE_SEED.items(), SEED_SDS):
        sd = SEED_SDS[spread]
        covered = covered_by_one(examples, seed_sd=sd, repeats=repeats)
        each, any_ = levels(seeds=1, examples=examples, seed_sd=sd, repeats=repeats)
        yield f"| {examples:,} | {spread} | {covered:.3f} | {each:.3f} | {any_:.3f} |"


def one_seed_alone() -> Iterator[str]:
    """That part without the others."""
    yield f"{printed('python -m benchmarks.coverage --one-seed')}\n"
    yield from of_one_seed()


def covered_by_one(examples: int, *, seed_sd: float, repeats: int) -> float:
    """The share of one run's intervals that hold the accuracy of 0.9 over seeds."""
    rng = np.random.default_rng([examples, int(100 * seed_sd)])
    right = draw(
        rng, repeats=repeats, seeds=1, examples=examples, accuracy=0.9, seed_sd=seed_sd
    )[:, 0]  # fmt: skip
    return _judged(intervals_of(right), 0.9)[0]


def _told(repeats: dict[int, int]) -> str:
    return ", ".join(f"{r} of {n:,} test examples" for n, r in repeats.items())


def _grid(everything: dict) -> Iterator[str]:
    yield f"| test examples | seeds | {' | '.join(METHODS)} |"
    yield "|--:|--:|" + "--:|" * len(METHODS)
    for (examples, seeds), found in everything.items():
        cells = []
        for name in METHODS:
            judged = [by_method[name] for by_method in found.values() if name in by_method]
            worst = min((c for c, _ in judged), default=0.0)
            width = float(np.mean([w for _, w in judged])) if judged else 0.0
            cells.append(f"{worst:.3f}, {100 * width:.2f}" if judged else "-")
        yield f"| {examples:,} | {seeds} | {' | '.join(cells)} |"


def _listing(everything: dict) -> Iterator[str]:
    yield f"| test examples | seeds | accuracy | seed spread | {' | '.join(METHODS)} |"
    yield "|--:|--:|--:|:--|" + "--:|" * len(METHODS)
    for (examples, seeds), found in everything.items():
        for (accuracy, spread), judged in found.items():
            cells = [
                f"{judged[m][0]:.3f}, {100 * judged[m][1]:.2f}" if m in judged else "-"
                for m in METHODS
            ]
            start = f"| {examples:,} | {seeds} | {accuracy} | {spread} |"
            yield f"{start} {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="write the page to a file")
    parser.add_argument("--one-seed", action="store_true", help="only the part on one seed")
    asked = parser.parse_args()
    lines: list[str] = []
    for line in one_seed_alone() if asked.one_seed else report():
        print(line, flush=True)
        lines.append(line)
    if asked.output:
        asked.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
