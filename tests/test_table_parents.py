"""Which cell a variant is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from harness.table.parents import Cell, differences, parents


def base(key: int, params: Mapping[str, Any], *, setting: int = 0, model: str = "mlp") -> Cell:
    return Cell(
        key=key, setting=setting, model=model, variant="", parent="", params=dict(params)
    )


def child(key: int, params: Mapping[str, Any], *, setting: int = 0, name: str = "v") -> Cell:
    """A cell of a variant that changes `p`."""
    return Cell(
        key=key, setting=setting, model="mlp", variant=name, parent="mlp",
        params=dict(params), changes=frozenset({"p"}),
    )  # fmt: skip


def test_the_parent_is_the_entry_without_a_variant():
    cells = [base(0, {"p": 1}), base(1, {"p": 1}, model="rnn"), child(2, {"p": 2})]
    assert parents(cells) == {2: 0}


def test_the_parent_is_in_the_same_setting():
    cells = [base(0, {"p": 1}), base(1, {"p": 1}, setting=1), child(2, {"p": 2}, setting=1)]
    assert parents(cells) == {2: 1}


def test_in_a_grid_each_cell_has_the_parent_with_its_own_parameters():
    cells = [
        base(0, {"w": 8, "p": 1}), base(1, {"w": 16, "p": 1}),
        child(2, {"w": 8, "p": 2}), child(3, {"w": 16, "p": 2}),
    ]  # fmt: skip
    assert parents(cells) == {2: 0, 3: 1}


def test_a_cell_that_differs_in_more_than_the_variant_has_no_parent():
    cells = [base(0, {"w": 8, "p": 1}), child(1, {"w": 8, "p": 2}), child(2, {"w": 16, "p": 2})]
    assert parents(cells) == {1: 0}


def test_a_parent_with_another_value_of_another_parameter_is_none():
    assert parents([base(0, {"w": 64, "p": 1}), child(1, {"w": 8, "p": 2})]) == {}


def test_two_cells_that_could_be_the_parent_are_none():
    cells = [base(0, {"w": 8, "p": 1}), base(1, {"w": 8, "p": 3}), child(2, {"w": 8, "p": 2})]
    assert parents(cells) == {}


def test_a_variant_that_changes_nothing_here_still_has_its_parent():
    assert parents([base(0, {"w": 8, "p": 2}), child(1, {"w": 8, "p": 2})]) == {1: 0}


def test_a_parameter_that_only_one_side_has_differs():
    assert parents([base(0, {"p": 1}), child(1, {"w": 8, "p": 2})]) == {}


def test_no_cells_have_no_parents():
    assert parents([]) == {}


def test_differences_are_paired_over_common_seeds():
    ok = pd.DataFrame(
        {
            "cell": [0, 0, 1, 1, 1],
            "seed": [0, 1, 1, 0, 2],
            "test_accuracy": [0.5, 0.6, 0.9, 0.7, 0.1],
        }
    )
    found = differences(ok, {1: 0})
    assert found.index.tolist() == [1]
    assert found["vs_parent"].tolist() == pytest.approx([0.25])  # 0.2 and 0.3
    assert found["vs_parent_sd"].tolist() == pytest.approx([0.1 / 2**0.5])
    assert found["vs_parent_n"].tolist() == [2]


def test_cells_without_a_common_seed_have_no_difference():
    ok = pd.DataFrame({"cell": [0, 1], "seed": [0, 1], "test_accuracy": [0.5, 0.6]})
    assert differences(ok, {1: 0}).empty


def test_a_parent_on_other_data_of_that_name_is_none():
    cells = [replace(base(0, {"p": 1}), data="old"), replace(child(1, {"p": 2}), data="new")]
    assert parents(cells) == {}
    assert parents([cells[0], replace(cells[1], data="old")]) == {1: 0}
    # a run that never read its data may have been on the same
    assert parents([cells[0], replace(cells[1], data=None)]) == {1: 0}
