"""Tuned cells are compared as they were asked for, and show what was chosen."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from stored import make_row

from harness.frames import frame_of
from harness.rows import Row
from harness.table import caption, tabulate, to_text
from harness.table.tuned import as_asked, chosen_parameters, without_trials


def tuned(model: str = "mlp", variant: str = "", *, rate: float, **values: Any) -> Row:
    """A run whose learning rate, and dropout if it is given, were chosen among 8."""
    dropout = values.pop("dropout", None)
    space, chosen = {"learning_rate": "0.0001:0.01:log"}, {"learning_rate": rate}
    params: dict[str, Any] = {"width": 32}
    if dropout is not None:
        space["model.dropout"], chosen["model.dropout"] = "0.0:0.5", dropout
        params["dropout"] = dropout
    tune = {"space": space, "budget": 8, "epochs": 24, "chosen": chosen}
    return make_row(
        model, variant, params=params, learning_rate=rate, tune_trials=8,
        tune=json.dumps(tune), **values,
    )  # fmt: skip


def lines_of(*rows: Row) -> list[dict[Any, Any]]:
    return tabulate(frame_of(rows)).to_dict(orient="records")


def test_a_trial_makes_no_line():
    trial = make_row(kind="trial", accuracy=None)
    assert [line["n"] for line in lines_of(make_row(kind="run"), trial)] == [1]
    assert without_trials(frame_of([trial])).empty


def test_rows_from_before_there_were_trials_are_runs():
    assert len(without_trials(frame_of([make_row(kind=None)]))) == 1


def test_each_tuned_line_shows_the_values_that_were_chosen():
    first, second = lines_of(tuned(rate=1e-3, dropout=0.1), tuned("rnn", rate=1e-2))
    assert (first["model"], first["learning_rate"]) == ("mlp[dropout=0.1]", 1e-3)
    assert (second["model"], second["learning_rate"]) == ("rnn", 1e-2)


def test_a_variant_meets_its_parent_at_another_learning_rate_if_both_were_tuned_alike():
    parent = tuned(rate=1e-3, dropout=0.1, accuracy=0.8)
    child = tuned(variant="wide", rate=1e-2, dropout=0.3, accuracy=0.9,
                  variant_params='{"width": 32}')  # fmt: skip
    assert lines_of(parent, child)[1]["vs_parent"] == pytest.approx(0.1)
    alone = tuned(variant="wide", rate=1e-2, accuracy=0.9)
    assert "vs_parent" not in lines_of(make_row(learning_rate=1e-2), alone)[1]


def test_a_cell_that_was_tuned_again_is_the_same_cell():
    again = [tuned(rate=rate, seed=0, accuracy=rate) for rate in (1e-3, 1e-2)]
    [line] = lines_of(*again)
    assert (line["n"], line["accuracy"]) == (1, 1e-2)


def test_no_line_mixes_runs_with_different_choices():
    """Tuned again, and only one seed of the new choice is stored."""
    old = [tuned(rate=1e-3, seed=seed, accuracy=0.5) for seed in (0, 1, 2)]
    stopped = tuned(rate=1e-4, seed=2, status="failed", accuracy=None)
    [line] = lines_of(*old, tuned(rate=1e-2, seed=0, accuracy=0.9), stopped)
    assert (line["n"], line["accuracy"], line.get("status", "ok")) == (1, 0.9, "ok")
    # where no run is ok, the newest says what was chosen
    failed = [tuned(rate=r, status="failed", accuracy=None) for r in (1e-3, 1e-2)]
    assert lines_of(*failed, make_row("rnn"))[0]["learning_rate"] == 1e-2


def test_where_nothing_was_chosen_no_value_is_shown():
    tune = json.dumps(
        {"space": {"learning_rate": "0.0001:0.01:log"}, "budget": 8, "chosen": {}}
    )
    hopeless = make_row("bad", tune=tune, tune_trials=8, status="failed", accuracy=None)
    first, second = lines_of(hopeless, tuned("good", rate=1e-2))
    assert math.isnan(first["learning_rate"]) and second["learning_rate"] == 1e-2
    text = to_text(tabulate(frame_of([hopeless, tuned("good", rate=1e-2)])), "text")
    assert text.splitlines()[2].split()[2] == "-"
    frame = frame_of([{**hopeless, "learning_rate": None}, tuned("good", rate=1e-2)])
    assert tabulate(frame)["learning_rate"].isna().tolist() == [True, False]


def told(row: Row, **more: Any) -> Row:
    return {**row, "tune": json.dumps({**json.loads(row["tune"]), **more})}


def test_trials_that_failed_are_counted():
    rows = [
        told(tuned(rate=1e-3), ok=5),
        tuned("all", rate=1e-3),
        told(tuned("8", rate=1), ok=8),
    ]
    frame = frame_of([*rows, make_row("none")])
    lines = tabulate(frame)
    assert lines["tune_ok"].astype(object).where(lines["tune_ok"].notna(), None).tolist() == [
        5, None, None, None,
    ]  # fmt: skip
    assert "8 (5 ok)" in to_text(lines, "text") and "tune_ok" not in tabulate(
        frame_of(rows[1:])
    )
    assert "best of 8 trials (5 to 8 ok)" in caption(frame_of(rows))
    assert "best of 8 trials (5 ok)" in caption(frame_of(rows[:1]))
    assert "ok)" not in caption(frame_of(rows[1:]))


def test_a_value_at_the_end_of_its_range_is_marked():
    ends = told(tuned(rate=1e-2, dropout=0.5), at_end=["learning_rate", "model.dropout"])
    frame = frame_of([ends, tuned("inside", rate=1e-3)])
    lines = tabulate(frame)
    text = to_text(lines, "text").splitlines()
    assert "mlp[dropout=0.5]‖" in text[2] and "0.01‖" in text[2] and "‖" not in text[3]
    assert "‖ the best value lies at the end of its range" in caption(frame, lines)
    assert "learning_rate, model.dropout of mlp[dropout=0.5]" in caption(frame, lines)


def test_a_tuned_and_an_untuned_line_are_told_apart():
    lines = tabulate(frame_of([tuned(rate=1e-3), make_row()]))
    assert lines["tune_trials"].tolist() == [8, 0]
    assert "untuned" in to_text(lines, "text")


def test_what_was_asked_for_leaves_out_what_was_chosen():
    frame = frame_of([tuned(rate=1e-3, dropout=0.1), make_row(learning_rate=1e-2)])
    asked = as_asked(frame)
    assert asked["learning_rate"].isna().tolist() == [True, False]
    assert json.loads(asked["model_params"].tolist()[0]) == {"width": 32}
    assert "dropout" in asked["tuning"][0] and "dropout" not in asked["recipe_tuning"][0]
    assert frame["learning_rate"].tolist() == [1e-3, 1e-2]


def test_parameters_of_the_model_are_told_from_hyper_parameters():
    row = tuned(rate=1e-3, dropout=0.2)
    assert chosen_parameters(row["tune"]) == {"dropout": 0.2}
    assert chosen_parameters(None) == {}


def space_of(row: Row, space: dict[str, str], *, budget: int = 8) -> Row:
    return told(row, space=space, budget=budget) | {"tune_trials": budget}


NARROW, WIDE = ({"learning_rate": f"0.0001:{high}:log"} for high in ("0.01", "0.1"))


def test_lines_of_one_model_that_were_tuned_over_other_spaces_are_told_apart():
    rows = [space_of(tuned(rate=1e-2, seed=s), NARROW) for s in range(2)]
    again = [space_of(tuned(rate=1e-2, seed=s), WIDE) for s in range(2)]
    lines = tabulate(frame_of([*rows, *again, make_row("untuned", learning_rate=1e-2)]))
    assert lines["n"].tolist() == [2, 2, 1]
    assert lines["tune"].tolist()[:2] == [
        "learning_rate=0.0001:0.01:log, budget 8", "learning_rate=0.0001:0.1:log, budget 8",
    ]  # fmt: skip
    assert lines["tune"].isna().tolist() == [False, False, True]
    assert "learning_rate=0.0001:0.1:log, budget 8" in to_text(lines, "text").splitlines()[3]


def test_another_budget_or_another_space_of_another_model_is_said():
    first = space_of(tuned(rate=1e-2), NARROW)
    for other in (
        space_of(tuned(rate=1e-2), NARROW, budget=4),
        space_of(tuned("rnn", rate=1e-2), WIDE),
        space_of(tuned("rnn", rate=1e-2), {"batch_size": "16:64:linear"}),
        space_of(tuned(rate=1e-2), {**NARROW, "model.dropout": "0:0.5:linear"}),
    ):
        assert tabulate(frame_of([first, other]))["tune"].notna().tolist() == [True, True]


def test_lines_that_were_tuned_alike_need_no_column_of_it():
    both = {**NARROW, "model.units": "8:32:log"}
    rows = [
        space_of(tuned(rate=1e-2), both), space_of(tuned("rnn", rate=1e-3), both),
        # a model may lack a key
        space_of(tuned("bag", rate=1e-3), NARROW), make_row("majority"),
        # and what is tuned on other data is compared with none of them
        space_of(tuned(dataset="imdb", rate=1e-3), WIDE),
    ]  # fmt: skip
    assert "tune" not in tabulate(frame_of(rows))
    assert lines_of() == []


def test_a_caption_says_of_how_many_examples_trials_saw_the_first():
    rows = [told(tuned(rate=1e-3), limit=500), told(tuned("rnn", rate=1e-2), limit=500)]
    frame = frame_of(rows)
    assert "best of 8 trials on the first 500 examples at most" in caption(frame)
    assert "tune" not in tabulate(frame)  # all lines were given the same
    mixed = frame_of([*rows, tuned("cnn", rate=1e-2)])
    assert "best of 8 trials on the first 500 examples at most, some on all" in caption(mixed)
    assert tabulate(mixed)["tune"].tolist() == [
        *["learning_rate=0.0001:0.01:log, budget 8 on the first 500 examples at most"] * 2,
        "learning_rate=0.0001:0.01:log, budget 8",
    ]


def test_a_caption_tells_the_limit_of_trials_beside_an_untuned_line():
    rows = [told(tuned(rate=1e-3), limit=500), make_row("majority")]
    text = caption(frame_of(rows))
    assert "recipe: defaults, trials on the first 500 examples at most" in text
    assert "trials" not in caption(frame_of([tuned(rate=1e-3), make_row("majority")]))


def test_a_caption_gives_trials_no_more_examples_than_their_runs():
    limited = [told(tuned(rate=1e-3, limit=number), limit=9999) for number in (100, 2000)]
    assert "limit 100, best of 8 trials on the first 100 examples" in caption(
        frame_of(limited[:1])
    )
    assert "on the first 100 or 2,000 examples at most" in caption(frame_of(limited))
