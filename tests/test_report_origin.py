"""Where a table comes from, and the commands that make it again."""

from __future__ import annotations

import json
import shlex
from typing import Any

from reported import lines_of
from stored import make_row

import harness.cli
from harness.report.origin import places, run_commands, table_commands


def test_all_machines_and_versions_are_named():
    rows = [
        make_row(jax_version="0.9", host="a", dirty=False, started_at="2026-01-02T10:00:00Z"),
        make_row(jax_version="0.10", host="a", started_at="2026-01-01T10:00:00Z"),
    ]
    assert places(rows) == [
        ("host", "a"), ("JAX", "0.9, 0.10"), ("uncommitted changes", "no"),
        ("days", "2026-01-01 to 2026-01-02"),
    ]  # fmt: skip
    assert places([]) == []


def test_a_table_is_made_again_by_the_same_choice_of_runs():
    store, conditions = "sqlite:///a b.db", ["accuracy > 0.5"]
    report, table = table_commands(store, conditions=conditions, target=0.8)
    chosen = "--store 'sqlite:///a b.db' --where 'accuracy > 0.5' --target-accuracy 0.8"
    assert table == f"harness table {chosen}"
    assert report == f"harness report -o report.html {chosen}"
    assert len(table_commands(store, runs=["abc"])) == 1


def test_a_page_without_data_is_made_again_without_them():
    report, table = table_commands("s", plugins=["my data.py", "b.py"], with_data=False)
    assert report == (
        "harness report -o report.html --store s --plugin 'my data.py' --plugin b.py "
        "--no-examples"
    )
    assert table == "harness table --store s"
    words = shlex.split(report)[2:]
    context = harness.cli.cli.commands["report"].make_context("report", words)
    assert context.params["no_examples"] and context.params["plugins"] == ("my data.py", "b.py")


def test_the_commands_of_the_runs_can_be_read_and_stand_for_all_of_them():
    given: dict[str, Any] = {"epochs": 4, "learning_rate": 0.00316}
    lines = lines_of([
        *(make_row("mean_pool", seed=s, params={"width": 8}, **given) for s in range(3)),
        make_row("mean_pool", "linear", seed=0, params={"hidden": 0, "width": 8},
                 variant_params='{"hidden": 0}', **given),
        make_row("mlp", seed=7, params={}, validation=0.1, selection="best", limit=100),
    ])  # fmt: skip
    commands = run_commands(lines)
    assert commands == [
        "harness run -d digits -m 'mean_pool[width=8]' --epochs 4 --learning-rate 0.00316 "
        "--seeds 3",
        "harness run -d digits -m 'mean_pool:linear[width=8]' --epochs 4 "
        "--learning-rate 0.00316",
        "harness run -d digits -m mlp --validation 0.1 --select best --limit 100 --seed 7",
    ]
    command = harness.cli.cli.commands["run"]
    for words in map(shlex.split, commands):
        command.make_context("run", words[2:])


def test_models_and_data_sets_with_the_same_recipe_share_a_command():
    rows = [make_row(m, dataset=d, params={}) for d in ("digits", "imdb") for m in ("a", "b")]
    assert run_commands(lines_of(rows)) == ["harness run -d digits -d imdb -m a -m b"]


def test_tuned_runs_are_tuned_again():
    tune = {"space": {"learning_rate": "0.0001:0.01:log"}, "budget": 3,
            "chosen": {"learning_rate": 0.001}}  # fmt: skip
    given: dict[str, Any] = {"params": {"width": 16}, "learning_rate": 0.001, "tune_trials": 3,
                             "tune": json.dumps(tune), "validation": 0.1}  # fmt: skip
    tuned = "--tune learning_rate=0.0001:0.01:log --budget 3"
    for model, selection, flags in (("mlp", "best", ""), ("rnn", "last", "--select last ")):
        row = make_row(model, selection=selection, **given)
        assert run_commands(lines_of([row])) == [
            f"harness run -d digits -m '{model}[width=16]' {flags}{tuned}"
        ]


def test_tuning_on_less_of_the_data_is_said_again():
    tune = {"space": {"learning_rate": "0.0001:0.01:log"}, "budget": 3, "limit": 500,
            "chosen": {"learning_rate": 0.001}}  # fmt: skip
    row = make_row("mlp", params={}, learning_rate=0.001, tune_trials=3, validation=0.1,
                   selection="best", tune=json.dumps(tune))  # fmt: skip
    (command,) = run_commands(lines_of([row]))
    assert command.endswith("--tune learning_rate=0.0001:0.01:log --budget 3 --tune-limit 500")


def test_a_plugin_file_is_named_and_a_default_is_not():
    source = {"name": "bag", "origin": "file", "version": "676bcd84"}
    built_in = {"name": "digits", "origin": "built-in", "version": "0.1.0"}
    parts = {"model": {"source": source}, "dataset": {"source": built_in}}
    rows = [
        make_row("bag", params={"width": 16, "depth": 2}, key_parts=json.dumps(parts)),
        make_row("mlp", params={"width": 32}),
    ]  # fmt: skip
    declared = {("model", "bag"): {"width": 32, "depth": 2}, ("model", "mlp"): {"width": 32}}
    assert run_commands(lines_of(rows), declared=declared) == [
        "harness run -d digits -m 'bag[width=16]' --plugin bag.py",
        "harness run -d digits -m mlp",
    ]


def test_a_parameter_that_stood_beside_a_variant_is_said():
    declares = '{"depth": 3, "width": 128}'
    rows = [
        make_row("mlp", "wide", params={"depth": 3, "width": width, "rate": 0.5},
                 variant_params=declares)
        for width in (64, 128, 32)
    ]  # fmt: skip
    # 32 is the default of mlp and not that of its variant
    declared = {("model", "mlp"): {"depth": 2, "width": 32, "rate": 0.5}}
    assert run_commands(lines_of(rows), declared=declared) == [
        "harness run -d digits -m 'mlp:wide[width=64]' -m mlp:wide -m 'mlp:wide[width=32]'"
    ]


def test_metrics_are_asked_for_again():
    parts = {"metrics": {
        "own[k=3]": {"source": {"name": "own", "origin": "file"}},
        "r_squared": {"source": {"name": "r_squared", "origin": "built-in"}},
    }}  # fmt: skip
    row = make_row(params={}, key_parts=json.dumps(parts))
    assert run_commands(lines_of([row])) == [
        "harness run -d digits -m mlp --plugin own.py --metric 'own[k=3]' --metric r_squared"
    ]


def test_a_class_has_words_in_place_of_a_command():
    parts = {"model": {"source": {"name": "Mine", "origin": "session"}}}
    rows = [make_row("Mine", params={}, key_parts=json.dumps(parts)), make_row(params={})]
    assert run_commands(lines_of(rows)) == [
        "harness run -d digits -m mlp",
        "# from Python: Mine on digits, a class that harness.run was given",
    ]
