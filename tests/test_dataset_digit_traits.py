from __future__ import annotations

import numpy as np
import pytest
from small import arrays

from harness_datasets.digit_traits import TRAITS, digit_traits
from harness_datasets.digits import digits


@pytest.mark.parametrize("split", ["train", "test"])
def test_each_image_has_the_traits_of_its_number(split: str):
    data = digit_traits()
    ours, theirs = arrays(getattr(data, split)), arrays(getattr(digits(), split))
    np.testing.assert_array_equal(ours["x"], theirs["x"])
    assert ours["y"].shape == (len(theirs["y"]), 4) and ours["y"].dtype == np.int32
    even, prime, above_four, loop = ours["y"].T
    number = theirs["y"]
    np.testing.assert_array_equal(even, number % 2 == 0)
    np.testing.assert_array_equal(above_four, number > 4)
    np.testing.assert_array_equal(prime, [n in (2, 3, 5, 7) for n in number])
    np.testing.assert_array_equal(loop, [n in (0, 6, 8, 9) for n in number])


def test_its_spec_says_what_is_asked():
    spec = digit_traits().spec
    assert (spec.task, spec.num_classes, spec.class_names) == ("multi_label", 4, tuple(TRAITS))
    assert spec.fingerprint != digits().spec.fingerprint
