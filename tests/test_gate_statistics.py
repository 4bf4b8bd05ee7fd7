"""The gate's test on simulated noise: its errors, its power, its interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness.gate.statistics import (
    LOOKS,
    PROFILES,
    Decision,
    decide,
    estimate,
    looks_for,
    p_values,
    rank_sum_distribution,
)

Noise = Callable[[np.random.Generator, int], np.ndarray]


def spikes(draw: np.random.Generator, n: int) -> np.ndarray:
    """One pair in ten is hit by a neighbour, either way."""
    hit = draw.random(n) < 0.1
    return 0.02 * draw.standard_normal(n) + hit * 0.1 * draw.choice([-1.0, 1.0], n)


def drift(draw: np.random.Generator, n: int) -> np.ndarray:
    """The machine warms up; which process of a pair runs what is drawn, so signs are too."""
    slope = np.linspace(0.05, 0.0, n)
    return draw.choice([-1.0, 1.0], n) * slope + 0.01 * draw.standard_normal(n)


NOISES: dict[str, Noise] = {
    "normal": lambda draw, n: 0.03 * draw.standard_normal(n),
    "heavy tails": lambda draw, n: 0.03 * draw.standard_t(3, n) / math.sqrt(3),
    "spikes": spikes,
    "drift": drift,
    "two modes": lambda draw, n: (
        0.04 * draw.choice([-1.0, 1.0], n) + 0.005 * draw.standard_normal(n)
    ),
}


def ended(
    noise: Noise, *, slower: float, runs: int, profile: str = "default"
) -> list[Decision]:
    """How many gate runs end, each with pairs of its own and up to three looks."""
    draw, ends = np.random.default_rng(0), []
    for run in range(runs):
        values = (math.log1p(slower) + noise(draw, LOOKS[-1].pairs))[:, None]
        end = Decision.GO_ON
        for look in LOOKS:
            (end,) = decide(values[: look.pairs], profile=PROFILES[profile], seed=run)
            if end is not Decision.GO_ON:
                break
        ends.append(end)
    return ends


def share(ends: list[Decision], wanted: Decision) -> float:
    return sum(end is wanted for end in ends) / len(ends)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("profile", PROFILES)
def test_equal_programs_are_called_slower_in_under_one_per_cent_of_runs(
    noise: str, profile: str
):
    runs = 500
    ends = ended(NOISES[noise], slower=0.0, runs=runs, profile=profile)
    bound = 0.01 + 3 * math.sqrt(0.01 * 0.99 / runs)
    assert share(ends, Decision.SLOWER) <= bound


@pytest.mark.parametrize("noise", ["normal", "heavy tails", "spikes"])
def test_ten_per_cent_are_found(noise: str):
    assert share(ended(NOISES[noise], slower=0.10, runs=300), Decision.SLOWER) >= 0.95


def test_five_per_cent_are_found_where_pairs_vary_by_three():
    assert share(ended(NOISES["normal"], slower=0.05, runs=300), Decision.SLOWER) >= 0.9


def test_noise_that_hides_the_answer_is_inconclusive():
    ends = ended(lambda draw, n: 0.2 * draw.standard_normal(n), slower=0.05, runs=200)
    assert share(ends, Decision.INCONCLUSIVE) > 0.85
    # a bound of 97.5 % at each of three looks
    assert share(ends, Decision.PASS) < 3 * 0.025 + 0.02


def test_a_pass_comes_at_the_first_look_where_nothing_changed():
    draw = np.random.default_rng(1)
    values = 0.01 * draw.standard_normal((10, 1))
    assert decide(values, profile=PROFILES["default"], seed=0) == [Decision.PASS]
    assert decide(values[:9], profile=PROFILES["default"], seed=0) == [Decision.GO_ON]


def test_swapped_programs_swap_the_verdict():
    draw = np.random.default_rng(2)
    values = 0.2 + 0.01 * draw.standard_normal((10, 1))
    assert decide(values, profile=PROFILES["default"], seed=0) == [Decision.SLOWER]
    assert decide(-values, profile=PROFILES["default"], seed=0) == [Decision.PASS]


def test_a_sure_slowdown_that_is_too_small_is_not_called():
    values = np.full((24, 1), math.log(1.012)) + np.linspace(-1e-4, 1e-4, 24)[:, None]
    assert p_values(values, margin=0.01, seed=0)[0] < 0.001
    assert decide(values, profile=PROFILES["default"], seed=0) == [Decision.PASS]


def wilcoxon(values: np.ndarray) -> float:
    """SciPy's exact p-value for "greater than 0"."""
    found: Any = stats.wilcoxon(values, alternative="greater", method="exact")
    return float(found.pvalue)


@pytest.mark.parametrize("pairs", [5, 10, 16])
def test_one_cell_is_the_exact_signed_rank_test(pairs: int):
    values = np.random.default_rng(pairs).normal(0.02, 0.03, pairs)
    wanted = wilcoxon(values - math.log1p(0.01))
    (own,) = p_values(values[:, None], margin=0.01, seed=0)
    assert own == pytest.approx(wanted)


def test_drawn_flips_come_close_to_the_exact_test():
    values = np.random.default_rng(3).normal(0.015, 0.03, 24)
    wanted = wilcoxon(values)
    (own,) = p_values(values[:, None], margin=0.0, seed=0)
    assert own == pytest.approx(wanted, abs=4 * math.sqrt(wanted / 20_000))


def test_a_family_of_equal_cells_pays_nothing_and_one_of_strangers_pays():
    draw = np.random.default_rng(4)
    one = draw.normal(0.02, 0.03, (10, 1))
    alone = p_values(one, margin=0.0, seed=0)
    equal = p_values(np.repeat(one, 8, axis=1), margin=0.0, seed=0)
    np.testing.assert_allclose(equal, np.repeat(alone, 8))
    others = draw.normal(0.0, 0.03, (10, 7))
    assert p_values(np.hstack([one, others]), margin=0.0, seed=0)[0] > alone[0]


def test_a_family_errs_no_more_often_than_one_cell():
    draw = np.random.default_rng(5)
    called = [
        Decision.SLOWER
        in decide(0.03 * draw.standard_normal((13, 6)), profile=PROFILES["strict"], seed=run)
        for run in range(2000)
    ]
    assert sum(called) / len(called) <= 0.001 + 3 * math.sqrt(0.001 / 2000)


def test_the_first_look_at_a_family_comes_when_it_could_find_anything():
    draw = np.random.default_rng(9)
    for cells in (1, 2, 3, 8, 40):
        first = looks_for(cells)[0]
        assert first.pairs <= 16 and cells / 2**first.pairs <= first.alpha
        # one cell is twice as slow, the others are not
        values = 0.01 * draw.standard_normal((first.pairs, cells))
        values[:, 0] += math.log(2)
        ends = decide(values, profile=PROFILES["default"], seed=0)
        assert ends[0] is Decision.SLOWER and Decision.SLOWER not in ends[1:]
    assert sum(look.alpha for look in looks_for(3)) <= 0.01


def test_intervals_hold_the_truth_as_often_as_they_say():
    draw, truth = np.random.default_rng(6), math.log(1.05)
    for noise in ("normal", "heavy tails"):
        held = 0
        for _ in range(1000):
            about = estimate(truth + NOISES[noise](draw, 16), margin=0.0, alpha=0.01)
            held += about.low <= 1.05 <= about.high
        assert 0.93 <= held / 1000 <= 0.97


def test_what_is_visible_is_found_nine_times_out_of_ten():
    draw = np.random.default_rng(7)
    some = draw.standard_normal(16)
    spread = 0.03 * some / some.std(ddof=1)  # pairs that vary by exactly three per cent
    size = estimate(spread, margin=0.01, alpha=0.003).visible
    p = [
        p_values((math.log1p(size) + 0.03 * draw.standard_normal(16))[:, None],
                 margin=0.01, seed=0)[0]
        for _ in range(200)
    ]  # fmt: skip
    assert 0.8 < np.mean(np.array(p) <= 0.003) < 0.97


def test_with_many_pairs_whatever_is_beyond_the_margin_is_visible():
    draw = np.random.default_rng(8)
    seen = estimate(0.03 * draw.standard_normal(2000), margin=0.01, alpha=0.006).visible
    assert 0.01 < seen < 0.015


def test_the_distribution_of_rank_sums_is_the_textbooks():
    np.testing.assert_allclose(rank_sum_distribution(3) * 8, [1, 1, 1, 2, 1, 1, 1])
    assert rank_sum_distribution(10)[:9].sum() < 0.025 < rank_sum_distribution(10)[:10].sum()


def test_few_pairs_say_nothing():
    about = estimate(np.array([0.1, 0.1, 0.1]), margin=0.0, alpha=0.01)
    assert (about.low, about.high) == (0.0, math.inf)


@pytest.mark.parametrize("cells", [1, 3, 20, 1000])
def test_all_looks_together_spend_one_per_cent(cells: int):
    looks = looks_for(cells)
    assert math.isclose(sum(look.alpha for look in LOOKS), 0.01)
    assert sum(look.alpha for look in looks) <= 0.01 + 1e-12
    # the first can find something: no family has a p-value below cells / 2 ** pairs
    assert cells / 2 ** looks[0].pairs <= looks[0].alpha
