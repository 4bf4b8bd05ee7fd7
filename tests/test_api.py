from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

import harness
from harness import api, index, suites
from harness.errors import StoreError, UnknownName
from harness.rows import NAMES

QUICK: dict[str, Any] = {"epochs": 1, "limit": 200, "batch_size": 64}


class NotebookModel(nnx.Module):
    """A model that no file registers."""

    def __init__(self, data: harness.DataSpec, *, width: int = 4, rngs: nnx.Rngs):
        assert data.vocab_size is not None
        self.embed = nnx.Embed(data.vocab_size, width, rngs=rngs)
        self.head = nnx.Linear(width, data.num_classes, rngs=rngs)

    def __call__(self, tokens):
        return self.head(self.embed(tokens).mean(axis=1))


def test_run_returns_one_row_a_run_and_prints_nothing(capfd: pytest.CaptureFixture[str]):
    models = ["majority", "mean_pool[width=4,8]"]
    frame = harness.run("digits", models, seeds=2, in_process=True, **QUICK)
    assert list(frame.columns) == list(NAMES)
    assert list(frame["model"]) == ["majority"] * 2 + ["mean_pool"] * 4
    assert list(frame["seed"]) == [0, 1] * 3
    assert set(frame["status"]) == {"ok"}
    assert set(frame["executor"]) == {"in-process"}
    assert capfd.readouterr() == ("", "")
    frame = harness.run("digits", "majority", **QUICK)
    assert list(frame["executor"]) == ["process"] and list(frame["status"]) == ["ok"]
    assert capfd.readouterr() == ("", "")


def test_a_list_of_values_makes_a_grid_and_the_store_keeps_the_rows(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/rows.db"
    frame = harness.run(
        "digits", "majority", learning_rate=[1e-3, 1e-2], store=url, in_process=True, **QUICK
    )
    assert list(frame["learning_rate"]) == [1e-3, 1e-2]
    assert list(harness.load(url)["run_id"]) == list(frame["run_id"])


def test_a_class_of_this_process_runs_beside_a_plugin():
    frame = harness.run("digits", [NotebookModel, "majority"], **QUICK)
    assert list(frame["model"]) == ["NotebookModel", "majority"]
    assert set(frame["status"]) == {"ok"}
    assert set(frame["executor"]) == {"in-process"}


def test_a_class_with_the_name_of_a_model_is_refused():
    other = type("majority", (NotebookModel,), {})
    with pytest.raises(harness.UsageError, match="rename the class"):
        harness.run("digits", [other], **QUICK)


def test_a_worker_and_this_process_give_the_same_result():
    rows = [
        harness.run("digits", "mean_pool", in_process=here, **QUICK).iloc[0]
        for here in (False, True)
    ]
    assert rows[0]["test_loss"] == rows[1]["test_loss"]
    assert rows[0]["hlo_hash"] == rows[1]["hlo_hash"]
    assert rows[0]["run_key"] == rows[1]["run_key"]


def test_resume_reuses_ok_rows_only(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/rows.db"
    suite = suites.Suite(datasets=("digits",), models=("majority",), recipe=QUICK)
    known = index.open_registry()

    def ids(*, resume: bool) -> list[str]:
        options = api.Options(resume=resume, in_process=True)
        rows = api.perform(
            suite, known, options=options, store=url, listener=api.runner.Silent()
        )
        return [row["run_id"] for row in rows]

    first = ids(resume=True)
    assert ids(resume=True) == first
    assert ids(resume=False) != first


DATA = """
import json, pathlib
import harness, numpy as np

def mine() -> harness.Dataset:
    n = int(pathlib.Path({path!r}).read_text())
    split = {{"x": np.ones((64, 3), np.int32), "y": np.zeros(64, np.int32)}}
    spec = harness.DataSpec(kind="tokens", shape=(3,), vocab_size=4, num_classes=2,
                            fingerprint=f"mine-{{n}}")
    return harness.Dataset(split, split, spec)

@harness.hookimpl
def register_datasets(register):
    register("mine", mine)
"""


def test_a_row_measured_on_other_data_stands_for_nothing(tmp_path: Path):
    number, plugin = tmp_path / "number", tmp_path / "data.py"
    plugin.write_text(DATA.format(path=str(number)))
    url = f"sqlite:///{tmp_path}/rows.db"
    known = index.open_registry([plugin])
    recipe = {"epochs": 1, "batch_size": 32}
    suite = suites.Suite(datasets=("mine",), models=("majority",), recipe=recipe)
    options = api.Options(resume=True, in_process=True)
    ids = []
    for data in ("1", "1", "2"):
        number.write_text(data)
        silent = api.runner.Silent()
        rows = api.perform(suite, known, options=options, store=url, listener=silent)
        ids.append(rows[0]["run_id"])
    assert ids[0] == ids[1] != ids[2]
    assert list(harness.load(url)["data_fingerprint"]) == ["mine-1", "mine-2"]


def test_a_failure_in_this_process_prints_nothing_and_leaves_its_log(
    capfd: pytest.CaptureFixture[str],
):
    plugin = Path(__file__).parent / "plugins_for_tests.py"
    frame = harness.run("digits", "odd[how=value]", plugins=[plugin], in_process=True, **QUICK)
    assert list(frame["status"]) == ["failed"]
    assert capfd.readouterr() == ("", "")
    assert "ValueError: bad value" in Path(frame["log_path"].iloc[0]).read_text()


def test_a_failure_that_quotes_what_is_no_unicode_is_a_row_too():
    class Quoting(NotebookModel):
        def __call__(self, tokens):
            raise ValueError("no class 'gr\udcf6\udcdfe'")

    frame = harness.run("digits", Quoting, **QUICK)
    assert list(frame["status"]) == ["failed"]
    assert "no class 'gr\\udcf6\\udcdfe'" in frame["error_message"][0]


def test_names_and_values_are_checked_before_anything_starts():
    with pytest.raises(UnknownName, match="did you mean 'majority'"):
        harness.run("digits", "majorty")
    with pytest.raises(harness.UsageError, match="no hyper-parameter 'epoch'"):
        harness.run("digits", "majority", epoch=3)
    with pytest.raises(harness.UsageError, match="int >= 1"):
        harness.run("digits", "majority", epochs=0)
    with pytest.raises(harness.UsageError, match="drop one of them"):
        harness.run("digits", "majority", timeout=3.0, in_process=True)


def test_load_says_what_makes_a_store(tmp_path: Path):
    with pytest.raises(StoreError, match="harness run"):
        harness.load(f"sqlite:///{tmp_path}/absent.db")
    assert list(tmp_path.iterdir()) == []


def test_load_dataset_gives_what_a_run_sees(capfd: pytest.CaptureFixture[str]):
    data = harness.load_dataset("digits")
    assert data.spec.num_classes == 10
    assert capfd.readouterr().out == ""


def test_a_selection_of_several_is_no_data_set():
    with pytest.raises(harness.UsageError, match="stands for 2 models"):
        harness.build_model(
            "mean_pool[width=4,8]", data=harness.load_dataset("digits").spec, seed=0
        )


def test_build_model_gives_the_parameters_that_a_run_starts_from():
    spec = harness.load_dataset("digits").spec
    one, same, other = (
        harness.build_model("transformer:no_position", data=spec, seed=s) for s in (0, 0, 1)
    )
    leaves = [jax.tree.leaves(nnx.state(m, nnx.Param)) for m in (one, same, other)]
    assert all((a == b).all() for a, b in zip(leaves[0], leaves[1], strict=True))
    assert any((np.asarray(a) != b).any() for a, b in zip(leaves[0], leaves[2], strict=True))


def test_plugin_files_serve_python_too():
    plugin = Path(__file__).parent / "plugins_for_tests.py"
    frame = harness.run("digits", "odd", plugins=[plugin], **QUICK)
    assert list(frame["status"]) == ["ok"]


def test_rerun_failed_performs_what_failed_and_nothing_else(tmp_path: Path):
    plugin = Path(__file__).parent / "plugins_for_tests.py"
    url = f"sqlite:///{tmp_path}/rows.db"
    known = index.open_registry([plugin])
    suite = suites.Suite(
        datasets=("digits",), models=("majority", "odd[how=value]"),
        recipe={"epochs": 1, "limit": 200, "batch_size": 64},
    )  # fmt: skip

    def perform(seeds: tuple[int, ...], **options: Any) -> list[tuple[str, int, str]]:
        rows = api.perform(
            replace(suite, seeds=seeds), known,
            options=api.Options(in_process=True, **options),
            store=url, listener=api.runner.Silent(),
        )  # fmt: skip
        return [(r["status"], r["seed"], r["run_id"]) for r in rows]

    first = perform((0,))
    assert [status for status, *_ in first] == ["ok", "failed"]
    # seed 1 is missing, not failed: it is left out
    again = perform((0, 1), rerun="failed")
    assert [(status, seed) for status, seed, _ in again] == [("ok", 0), ("failed", 0)]
    assert again[0] == first[0] and again[1][2] != first[1][2]


def test_a_task_is_found_by_the_name_that_a_spec_has():
    from harness.api import load_task

    assert load_task("classification").correct is not None
    assert load_task("regression").correct is None
    with pytest.raises(harness.UsageError, match="no task 'regresion'; did you mean"):
        load_task("regresion")
