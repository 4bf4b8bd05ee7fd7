"""The store gives back what it was given, whole or not at all."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stored import failed_row, make_epochs, make_result, make_row, npy

from harness.errors import StoreError, UsageError
from harness.frames import frame_of
from harness.rows import COLUMNS, EPOCH_COLUMNS, NAMES, OLDER, Result, complete
from harness.standing import name_of_cell, name_of_run
from harness.store import Store, open_store

EXAMPLES: dict[str, Any] = {
    "text": "naïve “text”, 'quoted'",
    "json": '{"width": 8}',
    "int": 2**53 + 1,  # does not survive a trip through a float
    "float": 0.1 + 0.2,
    "bool": False,
}


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url) as opened:
        yield opened


def test_every_column_comes_back_equal_and_of_its_type(store: Store):
    row = complete({column.name: EXAMPLES[column.type] for column in COLUMNS})
    store.add(Result(row=row))
    [found] = store.rows()
    assert list(found) == list(NAMES)
    assert found == row
    assert {n: type(v) for n, v in found.items()} == {n: type(v) for n, v in row.items()}


def test_missing_values_come_back_as_none(store: Store):
    row = complete({"run_id": "a"})
    store.add(Result(row=row))
    assert store.rows() == [{**row, **OLDER}]  # what older rows stand for


def test_rows_are_in_the_order_of_insertion_not_of_their_names(store: Store):
    for name in ("c", "a", "b"):
        store.add(make_result(make_row(run_id=name)))
    assert [row["run_id"] for row in store.rows()] == ["c", "a", "b"]


def test_numpy_scalars_are_stored_as_numbers(store: Store):
    values: dict[str, Any] = {
        "seed": np.int64(3), "test_loss": np.float32(0.5), "dirty": np.bool_(True),
    }  # fmt: skip
    store.add(Result(row=make_row(run_id="a", **values)))
    found = store.find("a")
    assert (found["seed"], found["test_loss"], found["dirty"]) == (3, 0.5, True)


def test_nan_becomes_missing_and_infinity_stays(store: Store):
    store.add(Result(row=make_row(run_id="a", test_loss=np.nan, train_loss=np.inf)))
    found = store.find("a")
    assert found["test_loss"] is None and found["train_loss"] == np.inf


def test_text_that_is_not_unicode_does_not_cost_the_row(store: Store):
    store.add(Result(row=make_row(run_id="a", error_message="half \ud800 and \0 zero")))
    assert store.find("a")["error_message"] == "half \\ud800 and \\0 zero"


def test_epochs_come_back_with_every_column(store: Store):
    epochs = make_epochs([0.7, 0.6], [0.5, 0.75])
    store.add(Result(row=make_row(run_id="a"), epochs=epochs))
    found = store.epochs("a")
    assert [list(epoch) for epoch in found] == [list(EPOCH_COLUMNS)] * 2
    assert [epoch["epoch"] for epoch in found] == [1, 2]
    assert [epoch["test_accuracy"] for epoch in found] == [0.5, 0.75]
    assert [epoch["val_loss"] for epoch in found] == [None, None]
    assert store.epochs("b") == []


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "uint8"])
def test_an_array_comes_back_bit_for_bit(store: Store, dtype: str):
    values = np.array([0.1, 3, 250, 7.7]).astype(dtype)
    store.add(Result(row=make_row(run_id="a"), arrays={"train_loss": npy(values, dtype)}))
    found = store.array("a", "train_loss")
    assert found is not None and found.dtype == values.dtype
    assert found.tobytes() == values.tobytes()


def test_an_array_that_was_not_stored_is_none(store: Store):
    store.add(Result(row=make_row(run_id="a")))
    assert store.array("a", "train_loss") is None


class Trap:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_stored_bytes_are_never_unpickled(store: Store, tmp_path: Path):
    trap = Trap(tmp_path / "sprung")
    boxed = np.empty(1, dtype=object)
    boxed[0] = trap
    arrays = {
        "plain": pickle.dumps(trap),
        "boxed": npy(boxed, "object"),
        "cut": npy([1.0])[:-2],
    }
    store.add(Result(row=make_row(run_id="a"), arrays=arrays))
    for name in arrays:
        with pytest.raises(
            StoreError, match=f"^store [^\n]* array '{name}' of run a is damaged"
        ):
            store.array("a", name)
    assert not trap.path.exists()


def test_a_run_is_added_once(store: Store):
    store.add(make_result(make_row(run_id="a")))
    with pytest.raises(StoreError, match="run a is stored already"):
        store.add(make_result(make_row(run_id="a", seed=1)))
    assert [row["seed"] for row in store.rows()] == [0]
    assert len(store.epochs("a")) == 2


def test_a_fault_in_the_middle_of_add_leaves_nothing_of_the_run(store: Store):
    broken: Any = {"train_loss": npy([1.0]), "worse": "no bytes"}
    epochs = make_epochs([0.5], [0.5])
    # which one depends on the driver: it is our own fault
    with pytest.raises((StoreError, TypeError)):
        store.add(Result(row=make_row(run_id="a"), epochs=epochs, arrays=broken))
    assert store.rows() == []
    assert store.epochs("a") == []
    assert store.array("a", "train_loss") is None
    store.add(make_result(make_row(run_id="a")))
    assert [row["run_id"] for row in store.rows()] == ["a"]


def test_an_unknown_column_of_an_epoch_is_our_own_fault(store: Store):
    with pytest.raises(KeyError, match="test_acuracy"):
        store.add(Result(row=make_row(), epochs=({"epoch": 1, "test_acuracy": 1.0},)))
    assert store.rows() == []


def test_find_takes_a_prefix_or_the_whole_identity(store: Store):
    for name in ("abc", "abcd", "xyz"):
        store.add(make_result(make_row(run_id=name)))
    assert store.find("x")["run_id"] == "xyz"
    assert store.find("abc")["run_id"] == "abc"


def test_find_takes_marks_of_sql_patterns_as_they_are(store: Store):
    store.add(make_result(make_row(run_id="abc")))
    for prefix in ("%", "a_c", "ABC"):
        with pytest.raises(UsageError, match="no run starts with"):
            store.find(prefix)


def test_find_lists_the_candidates_of_a_prefix_that_fits_several(store: Store):
    for seed in range(10):
        store.add(make_result(make_row("mlp", "deep", seed, run_id=f"ab{seed}")))
    with pytest.raises(UsageError) as caught:
        store.find("ab")
    message = str(caught.value)
    assert message.startswith("10 runs start with 'ab'") and message.endswith("and 2 more")
    assert "ab9 (mlp:deep on digits, seed 9, ok), ab8" in message and "ab1 " not in message


def test_find_lists_the_newest_runs_if_none_fits(store: Store):
    with pytest.raises(UsageError, match="none, `harness run` adds them"):
        store.find("zz")
    store.add(make_result(make_row(run_id="abc")))
    with pytest.raises(UsageError, match=r"no run starts with 'zz' .*: abc \(mlp on digits"):
        store.find("zz")


def test_of_each_key_the_newest_rows_come_in_order_whatever_their_status(store: Store):
    for row in (
        make_row(run_id="a0", run_key="a"),
        make_row(run_id="a1", run_key="a", data_fingerprint="other"),
        failed_row(run_id="b1", run_key="b"),
        make_row(run_id="a2", run_key="a"),
        make_row(run_id="c1", run_key="c"),
    ):
        store.add(Result(row=row))
    assert [row["run_id"] for row in store.of_keys(["a", "b", "d"])] == ["a1", "b1", "a2"]
    assert store.of_keys([]) == []


def test_more_keys_than_a_query_has_parameters_are_taken(store: Store):
    store.add(Result(row=make_row(run_key="wanted")))
    keys = [f"other{i}" for i in range(40_000)]
    assert [row["run_key"] for row in store.of_keys([*keys, "wanted"])] == ["wanted"]


def test_of_each_name_the_newest_row_is_known(store: Store):
    rows = [make_row(seed=s, run_id=f"{s}{n}", train_s=1.0) for n in "ab" for s in (0, 1)]
    for row in [*rows, failed_row(run_id="c", seed=1), make_row(run_id="t", kind="trial")]:
        store.add(Result(row=row))
    names = [name_of_run(rows[0]), name_of_run(rows[1]), name_of_cell(rows[0]), "none"]
    found = store.newest(names)
    assert [found[name]["run_id"] for name in names[:3]] == ["0b", "c", "1b"]
    assert len(found) == 3 and store.newest([]) == {}


def planned(run_id: str, run_key: str) -> dict[str, str]:
    return {"run_id": run_id, "run_key": run_key, "label": "digits x mlp, seed 0",
            "host": "here", "planned_at": "2026-01-01T00:00:00+00:00"}  # fmt: skip


def test_a_planned_run_without_a_row_is_lost_until_its_key_has_one(store: Store):
    store.plan([])
    store.plan([planned("a", "key a"), planned("b", "key b")])
    store.add(Result(row=make_row(run_id="a", run_key="key a")))
    assert store.lost() == [planned("b", "key b")]
    store.add(Result(row=failed_row(run_id="later", run_key="key b")))
    assert store.lost() == []


def test_results_come_back_whole_and_in_order(store: Store):
    results = [make_result(make_row(run_id=name)) for name in ("b", "a")]
    for result in results:
        store.add(result)
    found = list(store.results())
    assert [r.row["run_id"] for r in found] == ["b", "a"]
    assert found[0].arrays == results[0].arrays
    assert [e["test_loss"] for e in found[0].epochs] == [0.75, 0.5]


WRITER = """
import sys
from stored import make_result, make_row
from harness.store import open_store
_, url, name = sys.argv
print("ready", flush=True)
sys.stdin.readline()
with open_store(url) as store:
    for i in range(20):
        store.add(make_result(make_row(run_id=f"{name}{i}", seed=i)))
"""


WRITERS = 8


def test_eight_processes_write_to_one_new_store_and_lose_nothing(store_url: str):
    """All of them find no tables when they open it, so that all try to make them."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    names = [f"writer{i}." for i in range(WRITERS)]
    writers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WRITER, store_url, name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=environment,
        )
        for name in names
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.communicate()[1] for writer in writers] == [""] * WRITERS
    with open_store(store_url, must_exist=True) as store:
        rows = store.rows()
        for name in names:
            ours = [r["seed"] for r in rows if r["run_id"].startswith(name)]
            assert ours == list(range(20))
            assert all(len(store.epochs(f"{name}{i}")) == 2 for i in range(20))
        assert len(rows) == 20 * WRITERS


def test_writing_a_row_imports_neither_pandas_nor_numpy(tmp_path: Path):
    script = (
        "import sys\n"
        "from harness.rows import Result, complete\n"
        "from harness.store import open_store\n"
        "with open_store(sys.argv[1]) as store:\n"
        "    store.add(Result(row=complete({'run_id': 'a'})))\n"
        "    store.find('a')\n"
        "print([name for name in ('pandas', 'numpy', 'jax') if name in sys.modules])\n"
    )
    url = f"sqlite:///{tmp_path}/rows.db"
    command = [sys.executable, "-c", script, url]
    assert subprocess.check_output(command, text=True) == "[]\n"


def test_a_frame_has_a_column_for_each_metric_and_for_nothing_else_in_its_place():
    texts = [
        '{"test_f1": 0.5, "val_f1": null}',
        '{"test_f1": [1], "test_loss": 9, "k": true}',
        None,
    ]
    frame = frame_of([make_row(metrics=text, test_loss=1.0) for text in texts])
    assert list(frame.columns) == [*NAMES, "test_f1", "val_f1"]
    assert frame["test_f1"].fillna(-1).tolist() == [0.5, -1, -1]
    assert frame["test_loss"].tolist() == [1.0] * 3
