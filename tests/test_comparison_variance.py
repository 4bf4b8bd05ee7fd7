"""The errors of a mean over seeds and examples, and their bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.comparison.variance import Errors, errors_of

SIZES = st.tuples(st.integers(1, 5), st.integers(2, 30), st.integers(0, 2**32 - 1))


def made(seeds: int, examples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1, 2, (1, seeds, examples), dtype=np.int8)


def test_the_mean_squares_are_those_of_an_analysis_of_variance_by_hand():
    scores = np.array([[[1.0, 0, 0, 1], [1, 1, 0, 1], [1, 0, 0, 0]]])
    mean, rows, columns = scores.mean(), scores.mean(axis=2), scores.mean(axis=1)
    among_seeds = 4 * ((rows - mean) ** 2).sum() / 2
    among_examples = 3 * ((columns - mean) ** 2).sum() / 3
    rest = ((scores - rows[..., None] - columns[:, None] + mean) ** 2).sum() / 6
    found = errors_of(scores)
    assert found.seeds[0] == pytest.approx(among_seeds / 12)
    assert found.fixed[0] == pytest.approx(among_examples / 12)
    assert found.examples[0] == pytest.approx((among_examples - rest) / 12)
    assert (found.seeds_freedom, found.fixed_freedom) == (2, 3)


def test_the_bound_of_one_seed_is_students_over_its_examples():
    scores = made(1, 20, 0)
    expected = stats.t.isf(0.025, 19) * stats.sem(scores[0, 0])
    assert errors_of(scores).bound(0.05)[0] == pytest.approx(expected)


def test_the_bound_of_seeds_that_differ_and_examples_that_do_not_is_students_over_seeds():
    rates = np.array([0.2, 0.3, 0.7])
    scores = np.broadcast_to(rates[None, :, None], (1, 3, 50))
    expected = stats.t.isf(0.025, 2) * stats.sem(rates)
    assert errors_of(scores).bound(0.05)[0] == pytest.approx(expected)


@given(SIZES)
def test_the_errors_are_of_the_table_and_not_of_the_order_in_it(sizes: tuple[int, int, int]):
    scores = made(*sizes)
    other = np.random.default_rng(1).permuted(scores, axis=2)  # each seed by itself
    turned = scores[:, ::-1, ::-1]
    first, same, mixed = errors_of(scores), errors_of(turned), errors_of(other)
    assert first.bound(0.05) == pytest.approx(same.bound(0.05))
    assert first.seeds == pytest.approx(mixed.seeds)  # seeds keep their means


@given(SIZES, st.floats(0.001, 1.0))
def test_the_p_value_is_the_alpha_at_which_the_bound_is_the_error(
    sizes: tuple[int, int, int], share: float
):
    errors = errors_of(made(*sizes))
    error = share * errors.bound(0.001)
    p = errors.p_value(error)
    if errors.bound(0.5)[0] > 0 and error[0] > 0:
        assert errors.bound(p)[0] == pytest.approx(error[0], rel=1e-4, abs=1e-9)


def test_no_error_has_p_one_and_one_without_a_bound_almost_none():
    none = Errors(
        seeds=np.zeros(2), examples=np.zeros(2), fixed=np.zeros(2), seeds_freedom=1,
        fixed_freedom=9,
    )  # fmt: skip
    first, second = none.p_value(np.array([0.0, 0.1]))
    assert first == 1.0 and second < 1e-50
