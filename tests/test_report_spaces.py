"""A command that is printed for tuned runs gives the trials again that they had."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from kit import NET, POOL, WORDS, registry_of
from reported import lines_of

from harness.cli import cli
from harness.cli.asked import make_suite
from harness.report.origin import run_commands
from harness.report.spaces import whole_spaces
from harness.rows import Row, complete
from harness.suites import Suite
from harness.tuning import TunedCell, tuned_cells

REGISTRY = registry_of(NET, POOL, WORDS)
RATE, WIDTH, DROP = "learning_rate", "model.width", "model.rate"
RANGES = {RATE: "1e-4:1e-2:log", WIDTH: "8:64", DROP: "0.0:0.4"}


def cells_of(models: Sequence[str], keys: Sequence[str], budget: int = 4) -> list[TunedCell]:
    suite = Suite(datasets=("words",), models=tuple(models), recipe={"epochs": 2},
                  tune={key: RANGES[key] for key in keys}, budget=budget)  # fmt: skip
    return tuned_cells(suite, REGISTRY, key_parts={})


def rows_of(cells: Iterable[TunedCell], number: int) -> list[Row]:
    """The runs of the cells, each with the values of one of its trials."""
    runs = [run for cell in cells for run in cell.runs(number if cell.rungs else None)]
    return [complete({**run.to_row(), "status": "ok", "test_accuracy": 0.8}) for run in runs]


def trials_of(cells: Iterable[TunedCell]) -> dict[str, Any]:
    """The values that each model is tried at, in any order."""
    named = [(cell.base.model, cell.configurations) for cell in cells]
    return {
        f"{model.name}:{model.variant}": sorted(json.dumps(one.values) for one in tried)
        for model, tried in named
    }


def trials_by(command: str) -> dict[str, Any]:
    """Those that a printed command would try."""
    context = cli.commands["run"].make_context("run", shlex.split(command)[2:])
    return trials_of(tuned_cells(make_suite(None, context.params), REGISTRY, key_parts={}))


def told(rows: Sequence[Row]) -> tuple[dict[str, Any], list[str]]:
    """What the commands try of which nothing else is said, and the comments."""
    commands = run_commands(lines_of(rows))
    sure = [now for before, now in zip(["", *commands], commands, strict=False)
            if not now.startswith("#") and not before.startswith("#")]  # fmt: skip
    trials = {model: tried for one in sure for model, tried in trials_by(one).items()}
    return trials, [command for command in commands if command.startswith("#")]


@pytest.mark.parametrize(
    ("models", "keys"),
    [
        (["net", "pool"], [RATE, DROP]),
        (["pool", "net"], [DROP, RATE]),
        (["net", "net:wide"], [RATE, WIDTH]),
        (["net", "net:wide", "net:dry", "pool"], [RATE, WIDTH, DROP]),
        (["net:wide", "net:dry"], [RATE, WIDTH, DROP]),  # none has all keys
        (["net"], [WIDTH, DROP]),
        (["net", "pool"], [RATE]),
    ],
)
@pytest.mark.parametrize("budget", [4, 5])
def test_a_model_that_lacks_a_key_has_the_same_trials_again(
    models: list[str], keys: list[str], budget: int
):
    cells = cells_of(models, keys, budget)
    true, certain = trials_of(cells), 0
    for number in range(budget):
        found, comments = told(rows_of(cells, number))
        assert found == {model: tried for model, tried in true.items() if model in found}
        assert comments or found == true
        certain += not comments
    # a chosen value that both kinds of space try does not tell which it was
    assert certain >= 2


def test_models_that_were_tuned_by_fewer_keys_keep_their_own():
    pool = cells_of(["pool"], [RATE])
    for number in range(4):
        rows = [*rows_of(cells_of(["net"], [RATE, DROP]), 1), *rows_of(pool, number)]
        commands = run_commands(lines_of(rows))
        assert len(commands) == 2 and not [one for one in commands if "#" in one]
        assert trials_by(commands[1]) == trials_of(pool)


def test_keys_that_no_row_names_are_told_of_in_words():
    (row,) = rows_of(cells_of(["net", "pool"], [RATE, DROP]), 1)[1:]
    comment, command = run_commands(lines_of([row]))
    assert comment == (
        "# pool[width=32]: tuned in a command of more keys than learning_rate; the one below "
        "tries other values"
    )
    assert command.startswith("harness run -d 'words[length=200]' -m 'pool[width=32]'")


def test_what_a_row_leaves_open_is_told_of_in_words():
    """Of five values the middle one is tried with one key and with two."""
    cells = cells_of(["net", "pool"], [RATE, DROP], 5)
    middle = next(
        number for number, one in enumerate(cells[1].configurations)
        if one.values[RATE] == 0.001
    )  # fmt: skip
    comments = [one for one in run_commands(lines_of(rows_of(cells, middle))) if "#" in one]
    assert comments == [
        "# pool[width=32]: tuned by learning_rate alone or beside model.rate, which the rows "
        "do not tell"
    ]


def test_a_row_for_which_nothing_was_chosen_is_no_evidence():
    space = {RATE: "0.0001:0.01:log"}
    tunes = [{"space": space, "budget": 4, "chosen": {}}]
    assert [(one.space, one.doubt) for one in whole_spaces(tunes)] == [(space, "")]
    tunes.append({"space": {**space, WIDTH: "8:64:linear"}, "budget": 4, "chosen": {}})
    first, second = whole_spaces(tunes)
    assert "alone or beside model.width" in first.doubt and second.doubt == ""


def test_a_row_that_no_command_has_made_is_taken_as_it_is():
    tune = {"space": {RATE: "0.0001:0.01:log"}, "budget": 0, "chosen": {RATE: 0.01}}
    (whole,) = whole_spaces([tune])
    assert (whole.space, whole.doubt) == (tune["space"], "")


def test_a_row_that_nothing_explains_leaves_the_others_in_doubt_about_their_own():
    """Two spaces that one command may have had, and values that none of them gives."""
    of_net = [json.loads(row["tune"]) for row in rows_of(cells_of(["net"], [RATE, DROP]), 1)]
    strange = {**of_net[0], "space": {RATE: of_net[0]["space"][RATE]}, "chosen": {RATE: 0.0077}}
    net, other = whole_spaces([*of_net, strange])
    assert net.space == of_net[0]["space"]
    assert other.doubt.startswith("tuned in a command of more keys than learning_rate")
