"""A table reads its own rows and no others, whatever was asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stored import make_row

from harness.errors import UsageError
from harness.rows import NAMES, Result
from harness.store import Store, open_store
from harness.table.read import read_table


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    rows: list[dict[str, Any]] = [
        {"run_id": "old", "jax_version": "1", "accuracy": 0.9},
        {"run_id": "new", "jax_version": "2", "accuracy": 0.6, "metrics": '{"test_f1": 0.5}'},
        {"run_id": "cnn", "model": "cnn", "accuracy": 0.7, "metrics": '{"test_f1": 0.8}'},
    ]
    with open_store(f"sqlite:///{tmp_path}/rows.db") as opened:
        for values in rows:
            opened.add(Result(row=make_row(**values)))
        yield opened


def read(store: Store, *conditions: str, by: bool = False) -> tuple[list[str], int]:
    found = read_table(store, conditions, by=by)
    assert list(found.frame.columns[: len(NAMES)]) == list(NAMES)
    return found.frame["run_id"].tolist(), found.rows


def test_without_conditions_the_rows_of_the_newest_code_are_read(store: Store):
    assert read(store) == (["new", "cnn"], 2)


def test_groups_hold_the_rows_of_older_code_too(store: Store):
    assert read(store, by=True) == (["old", "new", "cnn"], 3)


def test_where_conditions_take_the_newest_away_an_older_one_counts(store: Store):
    assert read(store, "accuracy > 0.65") == (["old", "cnn"], 2)
    assert read(store, "accuracy > 0.65", by=True) == (["old", "cnn"], 2)
    assert read(store, "model == 'mlp'") == (["new"], 2)
    assert read(store, "model == 'mlp'", by=True) == (["old", "new"], 2)


def test_a_metric_is_a_column_like_others(store: Store):
    assert read(store, "test_f1 > 0.6") == (["cnn"], 1)
    assert read_table(store).frame["test_f1"].tolist() == [0.5, 0.8]


def test_an_unknown_column_is_refused_as_in_a_whole_frame(store: Store):
    with pytest.raises(UsageError, match="acuracy"):
        read(store, "acuracy > 0.6")


def test_nothing_is_read_of_an_empty_store(tmp_path: Path):
    with open_store(f"sqlite:///{tmp_path}/empty.db") as empty:
        assert read(empty) == ([], 0)
