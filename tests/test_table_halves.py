"""Which lines of two sides meet."""

from __future__ import annotations

import json
from typing import Any

import pytest
from answered import answered_rows, side_of

from harness.errors import UsageError
from harness.table.beside import beside
from harness.table.sides import Side


def commit(*params: dict[str, Any], **values: Any) -> Side:
    rows = [answered_rows("a", 0.9 - i / 10, params=p, **values) for i, p in enumerate(params)]
    return side_of(*rows, name="c", kind="commit")


def test_a_parameter_that_one_commit_alone_knows_keeps_no_lines_apart_and_is_named():
    lines = beside(commit({"w": 1}), commit({"w": 1, "dropout": 0.1}))
    assert lines["model"].tolist() == ["a"] and lines["seeds"].tolist() == [3]
    assert lines["note"].tolist() == ["B alone has model.dropout=0.1"]
    turned = beside(commit({"w": 1, "deep": True}), commit({"w": 1, "dropout": 0.1}))
    assert turned["note"].tolist() == ["A alone has model.deep=true; B alone has "
                                       "model.dropout=0.1"]  # fmt: skip


def test_that_holds_for_a_data_set_too():
    one = side_of(answered_rows("a", 0.9, dataset_params='{"n": 8}'))
    two = side_of(answered_rows("b", 0.8, dataset_params='{"n": 8, "flip": false}'))
    assert beside(one, two)["note"].tolist() == ["B alone has dataset.flip=false"]
    other = side_of(answered_rows("b", 0.8, dataset_params='{"n": 9}'), name="y")
    with pytest.raises(UsageError, match=r"x and y differ in dataset\.n \(8; 9\); run both"):
        beside(one, other)


def test_each_value_of_such_a_parameter_is_a_line_and_its_label():
    lines = beside(commit({"w": 1}), commit({"w": 1, "d": 0.1}, {"w": 1, "d": 0.5}))
    assert lines["model"].tolist() == ["a[d=0.1]", "a[d=0.5]"]
    assert lines["difference"].tolist() == pytest.approx([0.0, 0.1])


def test_lines_that_one_side_alone_cannot_tell_apart_have_the_names_of_both():
    one, two = commit({"w": 1, "a": 8}), commit({"w": 1, "d": 0.1}, {"w": 1, "d": 0.5})
    assert beside(one, two)["model"].tolist() == ["a / a[d=0.1]", "a / a[d=0.5]"]
    assert beside(two, one)["model"].tolist() == ["a[d=0.1]", "a[d=0.5]"]
    # one side may hold runs of two versions of an entry, too
    both = commit({"w": 1}, {})
    assert beside(both, commit({"w": 1, "d": 0.5}))["model"].tolist() == ["a[w=1] / a", "a"]


def test_a_line_that_is_there_as_it_is_meets_no_other():
    one, two = commit({"w": 1}, {"w": 1, "d": 0.1}), commit({"w": 1, "d": 0.1})
    lines = beside(one, two)
    assert lines["model"].tolist() == ["a[d=0.1]"] and "note" not in lines
    assert lines["difference"].tolist() == pytest.approx([-0.1])


def test_a_parameter_that_both_know_keeps_lines_apart_and_is_named():
    with pytest.raises(UsageError) as caught:
        beside(commit({"w": 1, "d": 0.0}), commit({"w": 2, "e": 1}))
    assert (
        str(caught.value)
        == "nothing to compare: c and c differ in model.w (1; 2); run both with the same"
    )


def test_sides_without_a_common_data_set_say_what_they_have_and_not_what_they_lack():
    one = side_of(answered_rows("a", 0.9), answered_rows("a", 0.9, limit=100), name="a")
    two = side_of(answered_rows("b", 0.9, dataset="imdb"), name="b")
    with pytest.raises(UsageError) as caught:
        beside(one, two)
    assert str(caught.value).startswith(
        "nothing to compare: a has digits a, digits a limit=100 (epochs 10, batch size 128, "
        "learning rate 0.001); b has imdb b ("
    )


def test_a_commits_rows_of_uncommitted_changes_are_noted():
    clean, dirty = commit({"w": 1}, dirty=False), commit({"w": 1}, dirty=True)
    assert beside(clean, dirty)["note"].tolist() == ["B holds rows of uncommitted changes"]
    assert "note" not in beside(clean, clean)
    models = (side_of(answered_rows(name, 0.9, dirty=True)) for name in "ab")
    assert "note" not in beside(*models)


def test_a_recipe_column_of_one_side_tells_which_line_met():
    one = side_of(answered_rows("a", 0.9), answered_rows("a", 0.8, epochs=3))
    lines = beside(one, side_of(answered_rows("b", 0.6, epochs=3)))
    assert lines["epochs"].tolist() == [3]


def test_a_tuned_parameter_of_a_model_is_told_where_lines_differ_in_it():
    tune = {"space": {"model.width": "8:16"}, "budget": 2, "chosen": {"model.width": 8}}
    rows = answered_rows("a", 0.8, params={"width": 8}, tune=json.dumps(tune), tune_trials=2)
    one, two = side_of(rows, name="a"), side_of(answered_rows("b", 0.6), name="b")
    with pytest.raises(UsageError) as caught:
        beside(one, two)
    assert str(caught.value) == (
        "nothing to compare: a and b differ in tune (model.width=8:16, budget 2; untuned); "
        "run both with the same"
    )
