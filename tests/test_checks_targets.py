"""What the names of `harness check` stand for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from faulty_plugins import DATASETS

from harness import index
from harness.checks import targets
from harness.entries import Failure
from harness.errors import UnknownName, UsageError
from harness.registry import Registry


def found(known: Registry, *names: str, dataset: str = "digits") -> list[str]:
    chosen, failures = targets.find(names, known, dataset=dataset)
    assert not failures
    for target in chosen:
        assert (target.dataset is None) == (target.kind == "dataset")
        assert target.entry.name == target.choice.name
    return [f"{target.kind} {target.choice.label}" for target in chosen]


def test_a_selection_stands_for_its_choices_each_once(known: Registry):
    assert found(known, "mean_pool:*", "mean_pool[width=4]", "mean_pool", "digits") == [
        "model mean_pool", "model mean_pool:masked", "model mean_pool:linear",
        "model mean_pool[width=4]", "dataset digits",
    ]  # fmt: skip


def test_nothing_named_is_everything_data_sets_first(known: Registry):
    every = found(known)
    datasets = known.names("dataset")
    assert every[: len(datasets)] == [f"dataset {name}" for name in datasets]
    assert {"model majority", "model odd", "model transformer"} <= set(every)


def test_a_file_stands_for_what_it_registers(known: Registry):
    plugin = str(Path(__file__).parent / "plugins_for_tests.py")
    assert found(known, plugin) == ["model absent", "model odd"]


def test_a_name_of_both_kinds_is_both(tmp_path: Path):
    text = DATASETS[0].source().replace("good_data", "majority")
    (tmp_path / "plugin.py").write_text(text)
    known = index.open_registry([tmp_path / "plugin.py"])
    assert found(known, "majority") == ["model majority", "dataset majority"]


def test_a_name_of_nothing_lists_what_is_near(known: Registry):
    with pytest.raises(UnknownName, match="did you mean 'majority'"):
        targets.find(["majorty"], known, dataset="digits")


def test_a_model_is_tried_on_one_data_set(known: Registry):
    count = len(known.names("dataset"))
    with pytest.raises(UsageError, match=f"stands for {count} data sets; name one"):
        targets.find(["majority"], known, dataset="*")
    assert found(known, "digits", dataset="nothing") == ["dataset digits"]


def test_a_plugin_that_did_not_load_is_told_by_file_name_and_entry(known: Registry):
    plugin = Path(__file__).parent / "plugins_for_tests.py"
    source = known.get("model", "odd").source
    failure = Failure(
        source=source, error_type="OSError", message="", traceback="",
        names=(("model", "odd"),),
    )  # fmt: skip
    left = {key: entry for key, entry in known.entries.items() if entry.source != source}
    broken = replace(known, entries=left, failures=(failure,))
    for name in (str(plugin), source.name, "odd"):
        assert targets.find([name], broken, dataset="digits") == ([], [failure])
    assert targets.find(["majority"], broken, dataset="digits")[1] == []
    assert targets.find([], broken, dataset="digits")[1] == [failure]


def test_a_file_with_no_entry_that_has_checks_is_a_usage_error(known: Registry):
    with pytest.raises(UsageError, match="neither a model nor a data set"):
        targets.find(["other.py"], known, dataset="digits")


def test_what_there_are_no_checks_of_is_told_what_it_is(known: Registry):
    with pytest.raises(UsageError, match="'macro_f1' is a metric; there are checks of models"):
        targets.find(["macro_f1"], known, dataset="digits")
