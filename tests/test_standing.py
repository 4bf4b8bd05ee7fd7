"""Where a row stands: which cell it is of, what made it, and which rows of a cell count."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stored import failed_row, make_row, make_trial, make_tuned

from harness.standing import TRIAL, Line, counting, made_by, names_of, shape_of, standing_of


def line(sequence: int, seed: int = 0, *, ok: int = 1, choice: str = "", **made: str) -> Line:
    return Line(sequence, seed, ok, made, choice)


def cell(**values: Any) -> str:
    return standing_of(make_row(**values)).cell


def test_rows_that_differ_in_their_seed_are_of_one_cell_and_no_others():
    usual = cell()
    assert cell(seed=5, jax_version="9", host="elsewhere", test_loss=3.0) == usual
    for other in (
        {"model": "cnn"}, {"params": {"width": 64}}, {"dataset": "imdb"}, {"limit": 10},
        {"learning_rate": 0.5}, {"device_count": 2}, {"process_count": 2}, {"vmap_seeds": 2},
    ):  # fmt: skip
        assert cell(**other) != usual, other


def test_what_an_older_harness_did_not_say_is_what_it_had():
    assert cell(device_count=None, vmap_seeds=None) == cell(device_count=1, vmap_seeds=1)
    assert cell(learning_rate=-0.0) == cell(learning_rate=0.0)


def test_values_that_tuning_chose_are_no_part_of_the_cell():
    one, other = (make_tuned("mlp", {"learning_rate": rate}) for rate in (0.1, 0.2))
    assert standing_of(one).cell == standing_of(other).cell
    assert standing_of(one).choice != standing_of(other).choice
    assert standing_of(one).cell != cell()
    assert standing_of(make_trial("mlp", 0.5, {"learning_rate": 0.1})).cell == TRIAL


def test_repeats_are_of_one_key_and_the_same_data():
    told = [
        standing_of(make_row(run_key="k", data_fingerprint=print)).repeat for print in "aab"
    ]
    assert told[0] == told[1] != told[2]
    assert len({standing_of(make_row(run_key=None)).repeat for _ in range(2)}) == 2


def test_what_made_a_row_is_its_versions_and_the_hashes_of_its_sources():
    parts = {
        "model": {"source": {"source_hash": "m"}}, "machine": {"harness_code": "h"},
        "tasks": {"classification": "t", "regression": "r"},
        "metrics": {"f1": {"source": {"source_hash": "f"}}},
    }  # fmt: skip
    row = make_row(key_parts=json.dumps(parts), task="classification", jax_version="1")
    assert made_by(row) == {
        "jax_version": "1", "model source": "m", "optimizer source": "optax",
        "task source": "t", "harness code": "h", "metric f1 source": "f",
    }  # fmt: skip
    assert made_by(make_row(key_parts="no JSON", jax_version="1")).keys() >= {"jax_version"}
    assert shape_of({"a": "1", "b": "2"}) == shape_of({"b": "3", "a": "4"}) != shape_of({})


@pytest.mark.parametrize(
    ("lines", "counts"),
    [
        ([], []),
        ([line(1), line(2, 1)], [1, 2]),
        # the newest of a seed, but no failure in place of a result
        ([line(1), line(2)], [2]),
        ([line(1), line(2, ok=0)], [1]),
        ([line(1, ok=0), line(2, ok=0)], [2]),
        # of the newest code alone; a failure does not say what that is
        ([line(1, v="1"), line(2, 1, v="2")], [2]),
        ([line(1, v="1"), line(2, 1, ok=0, v="2")], [1]),
        ([line(1, ok=0, v="1"), line(2, 1, ok=0, v="2")], [2]),
        # what only one of two tells does not tell them apart
        ([line(1), line(2, 1, v="2")], [1, 2]),
        # of one choice of tuning
        ([line(1, choice="a"), line(2, 1, choice="b")], [2]),
    ],
)
def test_rows_that_count_are_of_one_code_and_choice_one_a_seed(
    lines: list[Line], counts: list[int]
):
    assert counting(lines) == counts


def test_only_a_run_that_trained_tells_how_long_one_takes():
    done = make_row(train_s=1.0)
    assert len(names_of(done)) == 4 and len(names_of(failed_row(train_s=1.0))) == 1
    assert names_of(done)[1:] == names_of(make_row(seed=1, train_s=1.0))[1:]
    # of a part of the data set it does not tell how long the whole takes
    assert len(names_of(make_row(seed=1, train_s=1.0, limit=10))) == 3
    assert names_of(done)[0] != names_of(make_row(seed=1, train_s=1.0))[0]
