"""Confusion: counts by actual and predicted class, over all seeds."""

from __future__ import annotations

import numpy as np
from reported import answers

from harness.report.confusion import MATRIX, MOST, confusion_panels, confusions
from harness.report.look import alone


def test_rows_are_actual_classes_and_all_seeds_count():
    found = answers(label=[0, 0, 1], predicted=[[0, 1, 1], [0, 0, 0]])
    (one,) = confusions([found], ("cat", "dog"))
    assert one.counts.tolist() == [[3, 1], [1, 1]]
    np.testing.assert_allclose(one.shares, [[0.75, 0.25], [0.5, 0.5]])
    assert one.worst() == [("cat", "dog", 1, 0.25), ("dog", "cat", 1, 0.5)]


def test_a_class_without_examples_and_one_without_a_name_are_there():
    (one,) = confusions([answers(label=[0, 0], predicted=[[0, 3]])], ("cat",))
    assert one.names == ("cat", "1", "2", "3")
    assert one.shares[1].tolist() == [0, 0, 0, 0]
    assert one.is_small


def test_many_classes_have_their_worst_pairs_and_no_matrix():
    label = list(range(MATRIX + 1))
    (one,) = confusions([answers(label=label, predicted=[[0] * len(label)])], ())
    assert not one.is_small
    assert len(one.worst()) == 8 and one.worst()[0] == ("1", "0", 1, 1.0)
    assert not alone(confusion_panels([one])[0]).axes[0].texts


def test_a_matrix_in_a_file_has_its_counts_and_only_the_first_lines_have_one():
    one = answers(label=[0, 1], predicted=[[0, 0]])
    panels = confusion_panels(confusions([one] * (MOST + 1), ("cat", "dog")))
    assert len(panels) == MOST
    texts = [text.get_text() for text in alone(panels[0]).axes[0].texts]
    assert texts == ["1", "0", "1", "0"]
