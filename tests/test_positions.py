"""Places, waves, turns, slopes and windows, each against a plain definition."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from small import normal

from harness_models import _positions
from harness_models._positions import Relations

pytestmark = pytest.mark.usefixtures("strict_jax")


def test_places_are_counted_from_the_end_and_a_class_position_is_at_none():
    np.testing.assert_array_equal(_positions.places(4), [3, 2, 1, 0])
    np.testing.assert_array_equal(_positions.places(4, class_first=True), [0, 2, 1, 0])


@pytest.mark.parametrize("width", [6, 7, 1])
def test_sinusoids_are_the_papers_waves(width: int):
    waves = _positions.sinusoids(5, width)
    assert waves.shape == (5, width) and waves.dtype == jnp.float32
    half = -(-width // 2)
    for row, place in enumerate([4, 3, 2, 1, 0]):
        angles = [place / 10_000 ** (2 * i / width) for i in range(half)]
        expected = [*np.sin(angles), *np.cos(angles)][:width]
        np.testing.assert_allclose(waves[row], expected, atol=1e-6)


def test_a_token_keeps_its_sinusoids_in_a_shorter_batch():
    np.testing.assert_array_equal(_positions.sinusoids(9, 8)[-5:], _positions.sinusoids(5, 8))


def test_rotation_turns_pairs_of_channels_by_the_place():
    x = np.asarray(normal(2, 3, 4, 6))
    turned = np.asarray(_positions.rotate(jnp.asarray(x), jnp.arange(4)))
    for place in range(4):
        for i in range(3):
            angle = place / 10_000 ** (2 * i / 6)
            pair = x[:, :, place, i] + 1j * x[:, :, place, i + 3]
            expected = pair * np.exp(1j * angle)
            np.testing.assert_allclose(turned[:, :, place, i], expected.real, atol=1e-5)
            np.testing.assert_allclose(turned[:, :, place, i + 3], expected.imag, atol=1e-5)


def test_scores_of_turned_vectors_depend_on_the_distance_alone():
    query, key = normal(1, 1, 1, 6, seed=1), normal(1, 1, 1, 6, seed=2)

    def score(query_at: int, key_at: int) -> float:
        q = _positions.rotate(query, jnp.array([query_at]))
        k = _positions.rotate(key, jnp.array([key_at]))
        return float((q * k).sum())

    assert score(3, 1) == pytest.approx(score(13, 11), abs=1e-4)
    assert score(3, 1) != pytest.approx(score(1, 3), abs=1e-2)
    assert score(3, 1) != pytest.approx(score(4, 1), abs=1e-2)


def test_rotation_keeps_the_dtype_and_the_length_of_a_vector():
    x = normal(1, 1, 3, 4)
    turned = _positions.rotate(x, jnp.arange(3))
    np.testing.assert_allclose((turned**2).sum(-1), (x**2).sum(-1), rtol=1e-5)
    assert _positions.rotate(x.astype(jnp.bfloat16), jnp.arange(3)).dtype == jnp.bfloat16


@pytest.mark.parametrize("heads", [1, 2, 3, 8])
def test_slopes_are_the_geometric_series_of_the_paper(heads: int):
    expected = [2 ** (-8 * (i + 1) / heads) for i in range(heads)]
    np.testing.assert_allclose(_positions.slopes(heads), expected, rtol=1e-6)


def test_alibi_falls_with_the_distance_alike_to_both_sides():
    bias = Relations(alibi=True).bias(2, 4)
    assert bias is not None and bias.shape == (1, 2, 4, 4) and bias.dtype == jnp.float32
    apart = np.abs(np.arange(4)[:, None] - np.arange(4))
    for head, slope in enumerate([2**-4, 2**-8]):
        np.testing.assert_allclose(bias[0, head], -slope * apart)


def test_a_class_position_is_at_no_distance_and_sees_all_through_a_window():
    relations = Relations(alibi=True, window=1, class_first=True)
    bias, near = relations.bias(1, 4), relations.near(4)
    assert bias is not None and near is not None
    np.testing.assert_array_equal(np.flatnonzero(bias[0, 0, 0]), [])
    np.testing.assert_array_equal(np.flatnonzero(bias[0, 0, :, 0]), [])
    np.testing.assert_allclose(bias[0, 0, 1], [0, 0, -(2**-8), -2 * 2**-8])
    expected = [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1], [1, 0, 1, 1]]
    np.testing.assert_array_equal(near[0, 0], np.array(expected, bool))


def test_a_class_position_is_not_turned():
    x = normal(1, 2, 4, 6)
    turned = Relations(rotary=True, class_first=True).turned(x)
    np.testing.assert_array_equal(turned[:, :, 0], x[:, :, 0])
    without = Relations(rotary=True).turned(x[:, :, 1:])
    np.testing.assert_array_equal(turned[:, :, 1:], without)


def test_without_relations_nothing_is_added_masked_or_turned():
    x = normal(1, 1, 3, 5)
    relations = Relations()
    assert relations.bias(2, 3) is None and relations.near(3) is None
    assert relations.turned(x) is x
