"""The pieces in `harness_models._mixing`, each against a plain definition of what it does."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from small import mask_of, new_rngs, normal

import harness
from harness_models import _mixing

WIDTH = 4


pytestmark = pytest.mark.usefixtures("strict_jax")


def test_vectors_of_padding_become_zero_and_others_stay():
    x = normal(2, 3, WIDTH)
    zeroed = np.asarray(_mixing.zero_padding(x, mask_of("..x", "xxx")))
    np.testing.assert_array_equal(zeroed[0, :2], np.zeros((2, WIDTH)))
    np.testing.assert_array_equal(zeroed[0, 2], x[0, 2])
    np.testing.assert_array_equal(zeroed[1], x[1])
    assert _mixing.zero_padding(x, None) is x


def test_a_shorter_input_gets_zeros_in_front_that_do_not_count():
    x = normal(2, 3, WIDTH)
    longer, mask = _mixing.lengthen(x, mask_of(".xx", "xxx"), length=5)
    np.testing.assert_array_equal(longer[:, :2], np.zeros((2, 2, WIDTH)))
    np.testing.assert_array_equal(longer[:, 2:], x)
    np.testing.assert_array_equal(mask, mask_of("...xx", "..xxx"))
    _, unpadded = _mixing.lengthen(x, None, length=5)
    np.testing.assert_array_equal(unpadded, mask_of("..xxx", "..xxx"))


def test_an_input_of_the_length_is_left_alone():
    x, mask = normal(2, 3, WIDTH), mask_of("..x", "xxx")
    assert _mixing.lengthen(x, mask, length=3) == (x, mask)
    assert _mixing.lengthen(x, None, length=3) == (x, None)


def test_a_longer_input_is_refused_in_one_line():
    with pytest.raises(harness.UsageError, match="4 positions.*built for 3") as caught:
        _mixing.lengthen(normal(2, 4, WIDTH), None, length=3)
    assert "\n" not in str(caught.value)
    with pytest.raises(harness.UsageError, match="4 positions.*built for 3"):
        _mixing.Positions(3, WIDTH, rngs=new_rngs())(normal(2, 4, WIDTH))


def test_positions_are_counted_from_the_end():
    positions = _mixing.Positions(5, WIDTH, rngs=new_rngs())
    table = np.asarray(positions.table.embedding[...])
    x = normal(2, 3, WIDTH)
    np.testing.assert_allclose(positions(x), np.asarray(x) + table[2:], rtol=1e-6)
    added = positions(jnp.zeros((1, 5, WIDTH)))[0]
    np.testing.assert_array_equal(added, table)
