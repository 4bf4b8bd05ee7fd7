"""What stands below two sides."""

from __future__ import annotations

import json
from typing import Any

from answered import answered_rows, bare_side, side_of
from stored import make_row

from harness.table.beside import beside, beside_text
from harness.table.beside_caption import beside_caption
from harness.table.sides import Side


def below(first: Side, second: Side) -> list[str]:
    return beside_caption(first, second, beside(first, second)).splitlines()


def tuned(model: str, rate: float, **values: Any) -> Any:
    tune = {"space": {"learning_rate": "0.001:0.1"}, "budget": 4, "chosen":
            {"learning_rate": rate}}  # fmt: skip
    return answered_rows(model, 0.9, tune=json.dumps(tune), tune_trials=4, learning_rate=rate,
                         **values)  # fmt: skip


def test_sides_examples_place_recipe_and_the_meaning_of_p_are_told():
    values = {"epochs": 3, "cpu_model": "EPYC"}
    head, recipe, legend, ratios = below(
        side_of(answered_rows("a", 0.9, **values), name="a"),
        side_of(answered_rows("b", 0.6, **values), name="b"),
    )
    assert head == "A is a, B is b; 400 test examples; processor EPYC"
    assert recipe == "recipe: epochs 3, untuned"
    assert "p of no difference is of this pair alone" in legend
    assert ratios.startswith("error A/B is the ratio of 1 - accuracy")


def test_chosen_values_and_notes_are_told_and_several_pairs_are_adjusted():
    one = side_of(tuned("a", 0.01), tuned("a", 0.01, dataset="imdb"), name="a")
    two = side_of(tuned("b", 0.1), tuned("b", 0.1, dataset="imdb", host="y"), name="b")
    text = below(one, two)
    assert text[1] == "recipe: defaults, best of 4 trials"
    assert text[2] == "chosen: learning_rate=0.01 (A), learning_rate=0.1 (B)"
    assert "adjusted over these 2 pairs" in text[3]
    assert text[-1] == "note: imdb: times not comparable: host differs"


def test_values_that_differ_from_data_set_to_data_set_are_told_with_it():
    one = side_of(tuned("a", 0.01), tuned("a", 0.03, dataset="imdb"), name="a")
    two = side_of(tuned("b", 0.1), tuned("b", 0.1, dataset="imdb"), name="b")
    assert below(one, two)[2] == (
        "chosen: learning_rate=0.01 on digits or learning_rate=0.03 on imdb (A), "
        "learning_rate=0.1 (B)"
    )


def test_nothing_is_said_of_runs_that_no_line_compares():
    more: Any = {"dataset": "imdb", "jax_version": "0.9", "cpu_model": "EPYC"}
    few = {run: (row, right[:100]) for run, (row, right) in tuned("a", 0.01, **more).items()}
    one = side_of(answered_rows("a", 0.9, jax_version="0.10", epochs=3), few, name="a")
    two = side_of(answered_rows("b", 0.6, jax_version="0.10", epochs=3), name="b")
    text = below(one, two)
    assert text[0] == "A is a, B is b; 400 test examples; jax 0.10"
    assert text[1] == "recipe: epochs 3, untuned"
    assert not [line for line in text if line.startswith("chosen")]


def test_the_marks_in_the_lines_are_explained_and_no_others():
    one = side_of(answered_rows("a", 0.9), name="a")
    bare = [make_row("b", seed=seed, accuracy=0.5) for seed in range(2)]
    for two, mark, words in (
        (side_of(answered_rows("b", 0.6)), "", "over common seeds and test examples; p of"),
        (side_of(answered_rows("b", 0.6, seeds=[1])), "§", "over test examples only, and ab"),
        (bare_side(*bare), "¶", "over common seeds only, not test examples: seeds"),
    ):  # fmt: skip
        lines = beside(one, two)
        shown, legend = beside_text(lines, "text", below=""), below(one, two)[2]
        assert [sign for sign in "§¶" if sign in shown] == list(mark)
        assert [sign for sign in "§¶" if sign in legend] == list(mark) and words in legend
    # without an interval nothing is said of one
    assert below(one, bare_side(bare[0]))[2].startswith("error A/B is the ratio")


def test_intervals_over_more_and_over_less_are_told_apart_by_their_marks():
    one = side_of(answered_rows("a", 0.9), answered_rows("a", 0.9, dataset="imdb"))
    two = side_of(answered_rows("b", 0.6), answered_rows("b", 0.6, dataset="imdb", seeds=[1]))
    text = below(one, two)
    assert text[2].startswith(
        "[low, high] is the 95 % interval over common seeds and test examples; § one "
    )
    assert text[-1].startswith("note: imdb: one seed: about these two trained models")


def test_a_loss_is_explained_where_there_is_one():
    def side(model: str, seeds: int) -> Side:
        rows = [make_row(model, seed=s, accuracy=None, test_loss=s / 4) for s in range(seeds)]
        return bare_side(*rows, name=model)

    said = (
        "loss A - B is the difference in test loss over common seeds, below 0 where A is better"
    )
    assert below(side("a", 3), side("b", 3))[2:] == [
        f"{said}; [low, high] is its 95 % interval over these seeds"
    ]
    assert below(side("a", 1), side("b", 1))[2] == said


def test_lines_of_one_side_that_are_not_compared_are_named():
    tune = {"space": {"model.width": "8:16"}, "budget": 2, "chosen": {"model.width": 8}}
    one = side_of(
        answered_rows("a", 0.9, params={"width": 32}),
        answered_rows("a", 0.8, params={"width": 8}, tune=json.dumps(tune), tune_trials=2),
        name="a",
    )
    other = side_of(answered_rows("b", 0.6), name="b")
    [note] = [line for line in below(one, other) if line.startswith("note")]
    assert note.startswith("note: 1 line of A without a like one on the other side, left out: ")
    assert note.endswith(": digits a[width=8] tune_trials=2")
    assert not [line for line in below(other, other) if line.startswith("note")]
