"""Suites, seeds and grids, checked before a registry is asked."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import suites
from harness.errors import UsageError
from harness.recipe import Recipe, parameters
from harness.suites import Suite, parse_grid, suite_from_mapping


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, (0,)), ({"seeds": 1}, (0,)), ({"seeds": 3}, (0, 1, 2)), ({"seed": 3}, (3,)),
     ({"seed": 0}, (0,)), ({"seed": 2**31 - 1}, (2**31 - 1,))],
)  # fmt: skip
def test_seeds(given: dict[str, Any], expected: tuple[int, ...]) -> None:
    assert suites.make_seeds(**given) == expected


@pytest.mark.parametrize(
    "given",
    [{"seeds": 0}, {"seeds": -1}, {"seeds": 2.0}, {"seeds": True}, {"seeds": "3"},
     {"seeds": [0, 1]}, {"seeds": 10_001}, {"seed": -1}, {"seed": 2**31}, {"seed": False},
     {"seed": 0.5}, {"seed": 1, "seeds": 1}],
)  # fmt: skip
def test_what_is_no_count_and_no_seed_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        suites.make_seeds(**given)
    assert "seed" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {}),
        (["epochs=1,2"], {"epochs": (1, 2)}),
        (["learning-rate=1e-3"], {"learning_rate": (1e-3,)}),
        (["limit=none, 10", "optimizer=adam,sgd"],
         {"limit": (None, 10), "optimizer": ("adam", "sgd")}),
    ],
)  # fmt: skip
def test_grid_options(options: list[str], expected: dict[str, Any]) -> None:
    assert suites.parse_grid(options) == expected


@pytest.mark.parametrize(
    "options", [["epochs"], ["=1"], ["epochs="], ["epochs=1,,2"], ["epochs=1", "epochs=2"]]
)
def test_grid_options_that_make_no_sense(options: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        suites.parse_grid(options)
    assert repr(options[-1]) in str(caught.value)


# suites

CONTRACT = """
datasets = ["imdb"]
models = ["transformer:*", "mean_pool"]
seeds = 3
epochs = 10
[grid]
learning_rate = [1e-4, 1e-3]
"""


def load(text: str, folder: Path) -> Suite:
    (folder / "mine.toml").write_text(text)
    return suites.load_suite(folder / "mine.toml")


def test_the_contracts_suite(tmp_path: Path) -> None:
    assert load(CONTRACT, tmp_path) == Suite(
        name="mine", datasets=("imdb",), models=("transformer:*", "mean_pool"),
        seeds=(0, 1, 2), recipe={"epochs": 10}, grid={"learning_rate": (1e-4, 1e-3)},
    )  # fmt: skip


def test_every_flag_of_the_recipe_is_a_key(tmp_path: Path) -> None:
    values = {**vars(Recipe()), "limit": 5, "seed": 4}
    text = "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
    suite = load(text, tmp_path)
    assert set(suite.recipe) == set(parameters())
    assert suite.seeds == (4,)


def test_plugins_are_relative_to_the_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/of/mine")
    suite = load('plugins = ["near.py", "../up.py", "/far/away.py", "~/my.py"]', tmp_path)
    assert suite.plugins == (
        str(tmp_path / "near.py"), str(tmp_path / ".." / "up.py"), "/far/away.py",
        "/home/of/mine/my.py",
    )  # fmt: skip


def test_a_name_of_its_own(tmp_path: Path) -> None:
    assert load('name = "other"', tmp_path).name == "other"


def test_one_value_is_a_grid_of_one(tmp_path: Path) -> None:
    assert load("[grid]\nepochs = 3", tmp_path).grid == {"epochs": (3,)}


def test_the_embedded_suite_is_a_suite() -> None:
    path = Path(suites.__file__).with_name("default_suite.toml")
    suite = suites.load_suite(path)
    assert suite.datasets == ("digits",)
    assert len(suite.models) >= 5  # `make run` ends with a table of at least five models


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("epoch = 3", "unknown key 'epoch'; did you mean 'epochs'"),
        ("learning-rate = 1", "unknown key 'learning-rate'; did you mean 'learning_rate'"),
        ("[recipe]\nepochs = 3", "unknown key 'recipe'"),
        ("'a\\nb' = 3", "unknown key"),
        ("epochs = 'many'", "epochs=many: expected int >= 1"),
        ("epochs = 0", "epochs=0: expected int >= 1"),
        ("epochs = [1, 2]", "epochs=[1, 2]: expected int >= 1"),
        ("learning_rate = nan", "learning_rate=nan: expected"),
        ("schedule = 'cosin'", "schedule=cosin: expected"),
        ("schedule = 'a\\u000ab'", "schedule='a"),
        ("datasets = 'digits'", "datasets is 'digits'; expected a list of strings"),
        ("models = [1]", "models is [1]; expected a list of strings"),
        ("plugins = [[]]", "plugins is [[]]; expected a list of strings"),
        ("name = 3", "name is 3; expected a string"),
        ("seeds = 0", "seeds=0: expected int >= 1"),
        ("seeds = [0, 1]", "seeds=[0, 1]: expected int >= 1"),
        ("seed = 1\nseeds = 2", "use one of them"),
        ("grid = 3", "grid is 3; expected a table such as [grid]"),
        ("grid = [{epochs = 1}]", "expected a table such as [grid]"),
        ("[grid]\nepoch = [1]", "'epoch'; did you mean 'epochs'"),
        ("[grid]\nepochs = [1, 0]", "epochs=0: expected int >= 1"),
        ("[grid]\nepochs = []", "epochs"),
        ("epochs = 1\n[grid]\nepochs = [1, 2]", "epochs"),
        ("epochs =", "is not TOML"),
        ("\x00", "is not TOML"),
        ("epochs = " + "9" * 5000, "suite"),
        ("epochs = 0x" + "f" * 5000, "suite"),
        ("seeds = 0x" + "f" * 5000, "suite"),
        ("learning_rate = 0x" + "f" * 5000, "suite"),
        ("[grid]\nepochs = [0x" + "f" * 5000 + "]", "suite"),
        ("a = " + "[" * 3000, "is not TOML"),
    ],
    ids=lambda text: text[:24],
)
def test_a_suite_that_makes_no_sense_is_refused(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(text, tmp_path)
    assert told.replace("='a", '="a') in str(caught.value)
    assert str(caught.value).startswith(f"suite {str(tmp_path / 'mine.toml')!r}")
    assert len(str(caught.value).splitlines()) == 1


def test_a_suite_may_leave_the_rest_of_a_choice_to_flags_and_grid(tmp_path: Path) -> None:
    """`select` alone is completed by `--validation` or by a grid."""
    assert load('select = "best"', tmp_path).recipe == {"select": "best"}
    grid = load('select = "best"\n[grid]\nvalidation = [0.1, 0.2]', tmp_path).grid
    assert grid == {"validation": (0.1, 0.2)}


@pytest.mark.parametrize("content", [b"\xff\xfe", b"name = '\xff'"])
def test_bytes_that_are_no_text_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is not TOML"):
        suites.load_suite(path)


def test_a_suite_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="absent.toml' cannot be read: No such file"):
        suites.load_suite(tmp_path / "absent.toml")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        suites.load_suite(tmp_path)


@given(st.text() | st.text(st.sampled_from("epochs=[]\n'\"{}.,13 #"), max_size=24))
def test_any_text_is_a_suite_or_a_usage_error(text: str) -> None:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    try:
        suite = suite_from_mapping(content, name="mine", folder=Path("/x"))
    except UsageError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert isinstance(suite, Suite)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
VALUES = SCALARS.filter(lambda value: value is not None) | st.lists(st.integers() | st.text())
TABLES = ("", "[grid]\n", "[recipe]\n", "[suite]\n")
LINES = st.lists(
    st.tuples(
        st.sampled_from(
            ["name", "datasets", "models", "seeds", "plugins", "epochs", "batch_size", "limit",
             "optimizer", "learning_rate", "validation", "select", "precision", "tune",
             "budget", "tune_limit", "anything"]
        ),
        VALUES,
    ),
    max_size=6,
)  # fmt: skip


@given(table=st.sampled_from(TABLES), lines=LINES)
def test_any_file_of_keys_that_suites_know_is_a_suite_or_a_usage_error(
    tmp_path_factory: pytest.TempPathFactory, table: str, lines: list[tuple[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "suite.toml"
    said = dict(lines)  # a key twice is no TOML
    texts = [f"{key} = {json.dumps(value).lower()}" for key, value in said.items()]
    path.write_text(table + "\n".join(texts), encoding="utf-8")
    try:
        assert isinstance(suites.load_suite(path), Suite)
    except UsageError as error:
        assert len(str(error).splitlines()) == 1


def test_a_grid_of_selections_is_cut_between_them_only() -> None:
    found = parse_grid(["optimizer=adamw[weight_decay=0.1,b1=0.8],sgd,lion[b1=0.5]"])
    assert found["optimizer"] == ("adamw[weight_decay=0.1,b1=0.8]", "sgd", "lion[b1=0.5]")


def test_a_suite_names_metrics_and_observers_by_selections() -> None:
    content = {
        "metrics": ["macro_f1", "calibration_error[bins=5]"],
        "observers": ["tensorboard"],
    }
    found = suite_from_mapping(content, name="s", folder=Path("."))
    assert found.metrics == ("macro_f1", "calibration_error[bins=5]")
    assert found.observers == ("tensorboard",)
    with pytest.raises(UsageError, match="metrics is 'macro_f1'; expected a list of strings"):
        suite_from_mapping({"metrics": "macro_f1"}, name="s", folder=Path("."))


def tuned(**content: Any) -> Suite:
    return suite_from_mapping(content, name="s", folder=Path("."))


def test_a_suite_says_what_is_tuned_and_with_how_many_trials() -> None:
    found = tuned(tune=["learning_rate", "model.width=4:8"], budget=4)
    assert (found.tune, found.budget) == ({"learning_rate": "", "model.width": "4:8"}, 4)
    assert tuned(tune=["learning_rate"]).budget is None  # as the size of the space decides
    assert tuned(tune=["learning_rate"], tune_limit=500).tune_limit == 500


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"budget": 8}, "a budget without a key to tune; add --tune learning_rate"),
        ({"tune": ["learning_rate"], "budget": 1}, "budget=1: expected int >= 2"),
        ({"tune": ["learning_rate"], "budget": True}, "budget=True: expected int >= 2"),
        ({"tune": ["learning_rate"], "budget": "8"}, "budget='8': expected int >= 2"),
        ({"tune_limit": 8}, "a tune_limit without a key to tune; add --tune learning_rate"),
        ({"tune": ["learning_rate"], "tune_limit": 0}, "tune_limit=0: expected int >= 1"),
        ({"tune": ["learning_rate"], "tune_limit": True}, "tune_limit=True: expected int"),
        ({"tune": "learning_rate"}, "expected a list of strings"),
        ({"tune": ["learning_rat"]}, "did you mean 'learning_rate'"),
        (
            {"tune": ["learning_rate"], "learning_rate": 0.1},
            "is tuned and has a value or a grid",
        ),
        (
            {"tune": ["learning_rate"], "grid": {"learning_rate": [0.1, 0.2]}},
            "is tuned and has a value or a grid",
        ),
    ],
)
def test_a_suite_that_tunes_wrongly_is_refused(content: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        tuned(**content)


def test_seeds_are_trained_together_where_there_are_several_and_it_is_asked_for():
    def suite(**keys):
        return suites.suite_from_mapping(keys, name="s", folder=Path())

    assert suite(seeds=3, vmap_seeds=True).together == (0, 1, 2)
    assert suite(seeds=3).together == suite(seed=5, vmap_seeds=True).together == ()
    with pytest.raises(UsageError, match="vmap_seeds is 3; expected true or false"):
        suite(vmap_seeds=3)
