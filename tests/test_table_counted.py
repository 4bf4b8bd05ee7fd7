"""Which rows of a store the lines of a table are made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from stored import failed_row, make_row

from harness.choices import Choice
from harness.frames import frame_of
from harness.plan import Cell
from harness.recipe import Recipe
from harness.rows import Row
from harness.sources import file_source
from harness.table import counted, tabulate


def lines_of(*rows: Row, **options: object) -> pd.DataFrame:
    return tabulate(frame_of(rows), **options)  # type: ignore[arg-type]


def counted_of(*rows: Row) -> list[str]:
    return counted(frame_of(rows))["run_id"].tolist()


def key_parts(**changes: str) -> str:
    """The parts of a run's key, as a plan makes them, with some of the sources changed."""
    source = {
        kind: {"name": kind, "source": {"source_hash": changes.pop(kind, "a")}}
        for kind in ("dataset", "model", "optimizer", "metric")
    }
    parts: dict[str, Any] = {
        "dataset": source["dataset"], "model": source["model"],
        "metrics": {"f1": source["metric"]}, "seed": int(changes.pop("seed", "0")),
        "tasks": {"classification": changes.pop("task", "a"),
                  "other": changes.pop("other_task", "a")},
        "machine": {"harness_code": "a", "host": "here", "XLA_FLAGS": "", **changes},
    }  # fmt: skip
    if source["optimizer"]["source"]["source_hash"] != "optax":
        parts["optimizer"] = source["optimizer"]
    return json.dumps(parts)


def keyed(seed: int, **changes: str) -> Row:
    parts = key_parts(seed=str(seed), **changes)
    return make_row(seed=seed, key_parts=parts, task="classification")


def test_a_repeat_that_failed_on_new_data_is_not_hidden_by_its_result_on_the_old():
    old = [make_row(seed=s, run_key=f"k{s}", data_fingerprint="old") for s in (0, 1)]
    new = [
        make_row(seed=0, run_key="k0", data_fingerprint="new"),
        failed_row(seed=1, run_key="k1", data_fingerprint="new"),
    ]
    assert counted_of(*old, *new) == [row["run_id"] for row in new]


def test_the_newest_row_of_a_repeated_run_counts():
    rows = [
        make_row(run_key="k", accuracy=0.5),
        make_row(run_key="other", seed=1, accuracy=0.7),
        make_row(run_key="k", accuracy=0.9),
    ]
    [line] = lines_of(*rows).to_dict(orient="records")
    assert (line["n"], line["accuracy"]) == (2, pytest.approx(0.8))


def test_a_repeat_that_failed_takes_no_result_away():
    rows = [make_row(run_key="k", accuracy=0.7), failed_row(run_key="k")]
    lines = lines_of(*rows)
    assert lines["n"].tolist() == [1]
    assert lines["accuracy"].tolist() == [0.7]
    assert lines_of(*rows[1:])["status"].tolist() == ["failed"]


def test_rows_without_a_key_are_not_taken_for_repeats():
    assert lines_of(*[make_row(seed=s, run_key=None) for s in range(3)])["n"].tolist() == [3]


def test_a_mean_does_not_mix_two_versions_of_the_code():
    """Three seeds of the old plugin, then one seed of the new one."""
    old = [make_row(seed=s, accuracy=0.5, model_plugin="mlp==1") for s in range(3)]
    new = make_row(seed=0, accuracy=0.9, model_plugin="mlp==2")
    [line] = lines_of(*old, new).to_dict(orient="records")
    assert (line["n"], line["accuracy"]) == (1, 0.9)


def test_a_failed_row_that_does_not_know_its_versions_does_not_hide_the_others():
    rows = [make_row(seed=s, jax_version="0.10", data_fingerprint="f") for s in range(2)]
    [line] = lines_of(*rows, failed_row(seed=2)).to_dict(orient="records")
    assert (line["n"], line["status"]) == (2, "2 ok 1 failed")


@pytest.mark.parametrize("column", ["numpy_version", "data_fingerprint", "model_plugin"])
def test_runs_that_came_to_nothing_after_an_upgrade_take_no_result_away(column: str):
    old: dict[str, Any] = {column: "1"}
    new: dict[str, Any] = {column: "2"}
    rows = [make_row(seed=seed, **old) for seed in range(3)]
    stopped = [failed_row(seed=s, status="interrupted", **new) for s in range(3)]
    failed = failed_row(seed=3, **new)
    lines = lines_of(*rows, *stopped, failed)
    assert lines["n"].tolist() == [3] and "status" not in lines
    # the first result of the new code is what counts from then on
    done = make_row(seed=0, accuracy=0.9, **new)
    [line] = lines_of(*rows, *stopped, failed, done).to_dict(orient="records")
    assert (line["n"], line["accuracy"]) == (1, 0.9)
    assert line["status"] == "1 ok 1 failed 2 interrupted"


def test_where_nothing_is_ok_the_newest_code_counts():
    rows = [failed_row(seed=0, jax_version="1"), failed_row(seed=1, jax_version="2")]
    assert counted_of(*rows) == [rows[1]["run_id"]]


@pytest.mark.parametrize(
    "part", ["dataset", "model", "optimizer", "metric", "task", "harness_code"]
)
def test_a_mean_does_not_mix_two_sources_of_one_version(part: str):
    old, new = [keyed(seed) for seed in range(3)], keyed(0, **{part: "b"})
    assert counted_of(*old, new) == [new["run_id"]]


def test_an_optimizer_of_a_plugin_is_not_the_one_of_that_name_in_optax():
    old, new = keyed(1, optimizer="optax"), keyed(0)
    assert counted_of(old, new) == [new["run_id"]]


@pytest.mark.parametrize("part", ["host", "XLA_FLAGS", "other_task"])
def test_runs_of_two_machines_are_of_one_line(part: str):
    rows = [keyed(0), keyed(1, **{part: "b"})]
    assert counted_of(*rows) == [row["run_id"] for row in rows]


def test_a_row_without_parts_of_its_key_is_told_apart_by_its_versions_alone():
    rows = [make_row(seed=1, model_plugin="mlp==1"), keyed(0) | {"model_plugin": "mlp==1"}]
    assert counted_of(*rows) == [row["run_id"] for row in rows]
    newer = keyed(0) | {"model_plugin": "mlp==2"}
    assert counted_of(rows[0], newer) == [newer["run_id"]]


def test_two_checkouts_of_the_same_code_are_one(tmp_path: Path):
    """A plan's parts of the key, from files with the same content in two folders."""
    rows = []
    for seed, text in enumerate(("a = 1", "a = 1", "a = 2")):
        file = tmp_path / str(seed) / "mine.py"
        file.parent.mkdir()
        file.write_text(text)
        own = Choice(name="mine", variant="", params={}, source=file_source(file))
        cell = Cell(suite="", dataset=own, model=own, recipe=Recipe(), machine={})
        rows.append(make_row(seed=seed, key_parts=json.dumps(cell.run(seed).key_parts)))
    assert counted_of(*rows[:2]) == [row["run_id"] for row in rows[:2]]
    assert counted_of(*rows) == [rows[2]["run_id"]]
