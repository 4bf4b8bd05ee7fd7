"""Answers of lines: which runs have some, and what a line says by its seeds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from reported import lines_of
from stored import make_answered, make_result, make_row, npy

from harness.report.answers import Answers, read_answers
from harness.rows import Result
from harness.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/rows.db") as opened:
        yield opened


def answers_of(store: Store) -> list[Answers]:
    return read_answers(store, lines_of(store.rows()))


def test_the_seeds_of_a_line_are_rows_and_their_majority_its_vote(store: Store):
    label = [0, 1, 2, 2]
    for seed, predicted in enumerate(([0, 1, 1, 2], [0, 2, 1, 0], [1, 2, 2, 1])):
        store.add(make_answered(make_row(seed=seed), label=label, predicted=predicted))
    (found,) = answers_of(store)
    assert found.predicted.shape == (3, 4) and found.label.tolist() == label
    assert found.votes.tolist() == [0, 2, 1, 0]  # of equally many the smallest
    assert found.classes == 3
    assert found.probability is not None and found.probability.shape == (3, 4)


def test_runs_without_labels_and_of_other_tasks_have_no_answers(store: Store):
    store.add(make_result(make_row("old")))
    both = {"test_predicted": npy([[0, 1]], "uint8"), "test_label": npy([[0, 1]], "uint8")}
    store.add(Result(row=make_row("labels", task="multi_label"), arrays=both))
    store.add(Result(row=make_row("flat", task=None), arrays=both))
    assert answers_of(store) == []


def test_without_every_probability_there_is_none(store: Store):
    store.add(make_answered(make_row(seed=0), label=[0], predicted=[0]))
    whole = make_answered(make_row(seed=1), label=[0], predicted=[0])
    arrays = {k: v for k, v in whole.arrays.items() if k != "test_probability"}
    store.add(Result(row=whole.row, arrays=arrays))
    (found,) = answers_of(store)
    assert found.probability is None and len(found.predicted) == 2


def test_a_seed_with_another_test_set_is_left_out(store: Store):
    store.add(make_answered(make_row(seed=0), label=[0, 1], predicted=[0, 0]))
    store.add(make_answered(make_row(seed=1), label=[1, 0], predicted=[0, 0]))
    (found,) = answers_of(store)
    np.testing.assert_array_equal(found.label, [0, 1])
    assert len(found.predicted) == 1
