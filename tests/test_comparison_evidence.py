from __future__ import annotations

from pathlib import Path

import pytest
from stored import failed_row, make_epochs, make_row, npy

from harness.comparison import read_evidence
from harness.errors import StoreError
from harness.rows import Result
from harness.store import open_store


def test_what_was_right_is_read_where_it_is_known(tmp_path: Path):
    rows = {
        name: make_row(name, accuracy=0.75)
        for name in ("classes", "labels", "old", "other_task", "shapes")
    }
    classes = {"test_predicted": npy([1, 2, 300, 4], "uint16"),
               "test_label": npy([1, 2, 300, 0], "uint16")}  # fmt: skip
    labels = {"test_predicted": npy([[0, 1], [1, 1], [0, 0], [1, 0]], "uint8"),
              "test_label": npy([[0, 1], [1, 1], [0, 0], [0, 0]], "uint8")}  # fmt: skip
    stored = {
        "classes": classes,
        "labels": labels,
        "old": {"test_predicted": classes["test_predicted"]},
        # an accuracy that is no share of equal answers
        "other_task": classes | {"test_label": npy([1, 2, 3, 0], "uint16")},
        "shapes": classes | {"test_label": npy([1, 2], "uint16")},
    }
    with open_store(f"sqlite:///{tmp_path}/rows.db") as store:
        for name, arrays in stored.items():
            store.add(Result(row=rows[name], epochs=make_epochs([1], [0.5]), arrays=arrays))
        store.add(Result(row=failed_row(), arrays=classes))
        store.add(Result(row=make_row(task="regression", accuracy=None), arrays=classes))
        found = read_evidence(store, store.frame(), epochs=True)
        assert read_evidence(store, store.frame()).epochs == {}
    assert {run: right.tolist() for run, right in found.right.items()} == {
        rows["classes"]["run_id"]: [True, True, True, False],
        rows["labels"]["run_id"]: [True, True, True, False],
    }
    assert set(found.epochs) == {row["run_id"] for row in rows.values()}
    assert found.epochs[rows["old"]["run_id"]][0]["test_accuracy"] == 0.5


def test_what_would_have_been_right_is_known_by_a_digest(tmp_path: Path):
    labels = {"a": [0, 1], "same": [0, 1], "swapped": [1, 0], "several": [[0, 1]]}
    rows = {name: make_row(name, accuracy=1.0) for name in labels}
    with open_store(f"sqlite:///{tmp_path}/rows.db") as store:
        for name, values in labels.items():
            kind = "uint16" if name == "same" else "uint8"
            arrays = {f"test_{what}": npy(values, kind) for what in ("label", "predicted")}
            store.add(Result(row=rows[name], arrays=arrays))
        found = read_evidence(store, store.frame())
    assert found.labels.keys() == found.right.keys()
    told = {name: found.labels[row["run_id"]] for name, row in rows.items()}
    assert told["a"] == told["same"]
    assert len({told["a"], told["swapped"], told["several"]}) == 3


def test_a_damaged_array_is_one_line(tmp_path: Path):
    row = make_row(accuracy=1.0)
    with open_store(f"sqlite:///{tmp_path}/rows.db") as store:
        store.add(Result(row=row, arrays={"test_predicted": b"no array"}))
        with pytest.raises(StoreError, match=f"'test_predicted' of run {row['run_id']} is dam"):
            read_evidence(store, store.frame())
