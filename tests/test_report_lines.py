"""Lines with their runs: names, places, and what tells them apart."""

from __future__ import annotations

import json
from dataclasses import replace

from reported import lines_of
from stored import failed_row, make_row

from harness.report.lines import chosen, datasets, printable, printable_lines
from harness.rows import Row


def test_a_line_has_its_runs_and_its_place_within_its_data_set():
    rows = [
        make_row("mlp", seed=0, run_id="a"), make_row("mlp", seed=1, run_id="b"),
        make_row("rnn", run_id="c"), make_row("mlp", dataset="imdb", run_id="d"),
        failed_row("rnn", 1, run_id="e"),
    ]  # fmt: skip
    lines = lines_of(rows)
    assert [(one.dataset, one.model, one.place) for one in lines] == [
        ("digits", "mlp", 0), ("digits", "rnn", 1), ("imdb", "mlp", 0),
    ]  # fmt: skip
    assert [[row["run_id"] for row in one.rows] for one in lines] == [
        ["a", "b"], ["c", "e"], ["d"],
    ]  # fmt: skip
    assert [row["run_id"] for row in lines[1].ok] == ["c"]
    assert lines[0].seeds("test_accuracy") == [0.8, 0.8]
    assert list(datasets(lines)) == ["digits", "imdb"]


def test_hyper_parameters_stand_behind_the_name_where_they_tell_lines_apart():
    lines = lines_of([
        make_row(learning_rate=1e-3), make_row(learning_rate=1e-2),
        make_row(dataset="imdb", learning_rate=3e-3, epochs=4),
    ])  # fmt: skip
    assert [one.model for one in lines] == [
        "mlp, learning rate 0.001", "mlp, learning rate 0.01", "mlp",
    ]  # fmt: skip
    assert [one.settings for one in lines] == ["", "", "learning rate 0.003, epochs 4"]


def test_parts_of_a_data_set_are_data_sets_of_their_own():
    lines = lines_of([make_row(limit=2000), make_row(limit=None)])
    assert [one.dataset for one in lines] == ["digits, first 2,000 examples", "digits"]


def test_versions_of_a_data_set_are_told_apart_by_their_fingerprint():
    old, new = ("0123456789", "abcdef0123")
    lines = lines_of([
        make_row("mlp", data_fingerprint=old), make_row("rnn", data_fingerprint=new),
        make_row("mlp", dataset="imdb", data_fingerprint=new), failed_row("cnn"),
    ])  # fmt: skip
    assert [(one.dataset, one.model) for one in lines] == [
        ("digits (data 01234567)", "mlp"), ("digits (data 01234567)", "cnn"),
        ("digits (data abcdef01)", "rnn"), ("imdb", "mlp"),
    ]  # fmt: skip


def test_what_tuning_chose_is_no_part_of_a_name():
    tune = {"space": {"learning_rate": "1e-4:1e-2:log"}, "budget": 8}
    lines = lines_of([
        make_row(model, learning_rate=rate, tune_trials=8,
                 tune=json.dumps(tune | {"chosen": {"learning_rate": rate}}))
        for model, rate in (("mlp", 1e-3), ("rnn", 1e-2))
    ])  # fmt: skip
    assert [one.model for one in lines] == ["mlp", "rnn"]
    assert [chosen(one.rows) for one in lines] == [
        {"learning_rate": 1e-3}, {"learning_rate": 1e-2},
    ]  # fmt: skip


def test_lines_that_only_their_tuning_tells_apart_have_it_in_their_names():
    def tuned(model: str, high: str) -> Row:
        tune = {"space": {"learning_rate": f"0.0001:{high}:log"}, "budget": 8,
                "chosen": {"learning_rate": 1e-2}}  # fmt: skip
        return make_row(model, learning_rate=1e-2, tune_trials=8, tune=json.dumps(tune))

    lines = lines_of([tuned("mlp", "0.01"), tuned("mlp", "0.1"), tuned("rnn", "0.1")])
    assert [one.model for one in lines] == [
        "mlp, tuned over learning_rate=0.0001:0.01:log, budget 8",
        "mlp, tuned over learning_rate=0.0001:0.1:log, budget 8", "rnn",
    ]  # fmt: skip


def test_without_rows_there_are_no_lines():
    assert lines_of([]) == []


def test_names_are_one_line_that_can_be_shown():
    assert printable_lines("a\tb\x1b[1m\r\n\0c") == "a\tb [1m\n c"
    assert printable("a\0b\n\tc \x1b[1m\u202ed") == "a b c [1m d"


def test_a_line_alone_is_neither_on_top_nor_beaten():
    (alone,) = lines_of([make_row()])
    top, beaten = (replace(alone, values={"rank": rank}) for rank in (1, 2))
    assert [(one.is_ranked, one.is_top) for one in (alone, top, beaten)] == [
        (False, False), (True, True), (True, False),
    ]  # fmt: skip
