"""What stands below two sides."""

from __future__ import annotations

import json
from typing import Any

from answered import answered_rows, stored

from harness.table.beside import beside
from harness.table.beside_caption import beside_caption
from harness.table.sides import Side


def side(*several: Any, name: str) -> Side:
    frame, evidence = stored(*several)
    return Side(name=name, kind="model", frame=frame, evidence=evidence)


def below(first: Side, second: Side) -> list[str]:
    return beside_caption(first, second, beside(first, second)).splitlines()


def test_sides_examples_place_recipe_and_the_meaning_of_p_are_told():
    values = {"epochs": 3, "cpu_model": "EPYC"}
    head, recipe, legend, ratios = below(
        side(answered_rows("a", 0.9, **values), name="a"),
        side(answered_rows("b", 0.6, **values), name="b"),
    )
    assert head == "A is a, B is b; 400 test examples; processor EPYC"
    assert recipe == "recipe: epochs 3, untuned"
    assert "p of no difference is of this pair alone" in legend
    assert ratios.startswith("error A/B is the ratio of 1 - accuracy")


def test_chosen_values_and_notes_are_told_and_several_pairs_are_adjusted():
    def tuned(model: str, rate: float, **values: Any) -> Any:
        tune = {"space": {"learning_rate": "0.001:0.1"}, "budget": 4, "chosen":
                {"learning_rate": rate}}  # fmt: skip
        return answered_rows(model, 0.9, tune=json.dumps(tune), tune_trials=4,
                             learning_rate=rate, **values)  # fmt: skip

    one = side(tuned("a", 0.01), tuned("a", 0.01, dataset="imdb"), name="a")
    two = side(tuned("b", 0.1), tuned("b", 0.1, dataset="imdb", host="y"), name="b")
    text = below(one, two)
    assert text[1] == "recipe: defaults, best of 4 trials"
    assert text[2] == "chosen: learning_rate=0.01 (A), learning_rate=0.1 (B)"
    assert "adjusted over these 2 pairs" in text[3]
    assert text[-1] == "note: imdb: times not comparable: host differs"
