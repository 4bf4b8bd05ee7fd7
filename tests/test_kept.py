"""What a store keeps beside the rows comes back as data frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small import arrays
from stored import failed_row, make_epochs, make_result, make_row

import harness
from harness.rows import EPOCH_COLUMNS, Result
from harness.store import open_store


def test_a_history_has_a_line_for_each_run_and_epoch(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/rows.db"
    with open_store(url) as store:
        store.add(make_result(make_row("mlp", "deep", 3, run_id="a", params={"width": 8})))
        store.add(make_result(make_row("mlp", "deep", 3, run_id="b", params={"width": 16})))
        store.add(Result(row=failed_row("mlp", run_id="c")))
        held_out = make_epochs([0.25], [1.0], split="val")
        store.add(Result(row=make_row("gru", run_id="d"), epochs=held_out))
    frame = harness.load_history(url)
    assert list(frame.columns) == ["run_id", "kind", "dataset", "model", "seed", *EPOCH_COLUMNS]
    assert list(frame["run_id"]) == ["a", "a", "b", "b", "d"]
    assert set(frame["dataset"]) == {"digits"}
    wide = ["mlp:deep[width=8]"] * 2 + ["mlp:deep[width=16]"] * 2
    assert list(frame["model"]) == [*wide, "gru"]
    assert list(frame["seed"]) == [3, 3, 3, 3, 0]
    assert list(frame["epoch"]) == [1, 2, 1, 2, 1]
    assert list(frame["test_accuracy"][:4]) == [0.625, 0.875] * 2
    assert np.isnan(frame["test_loss"].iloc[4]) and frame["val_loss"].iloc[4] == 0.25


def test_the_history_of_an_empty_store_is_empty_and_that_of_none_is_an_error(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/rows.db"
    with open_store(url):
        pass
    frame = harness.load_history(url)
    assert len(frame) == 0 and frame["epoch"].dtype == "int64"
    with pytest.raises(harness.HarnessError, match=r"absent\.db"):
        harness.load_history(f"sqlite:///{tmp_path}/absent.db")


def test_examples_are_the_runs_own_predictions_in_words(
    shared_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(shared_cache))
    monkeypatch.setenv("HARNESS_STORE", f"sqlite:///{tmp_path}/rows.db")
    url = f"sqlite:///{tmp_path}/rows.db"
    rows = harness.run(
        ["digits", "diabetes"], "majority", epochs=1, limit=64, batch_size=32, store=url,
        in_process=True,
    )  # fmt: skip
    assert list(rows["status"]) == ["ok", "ok"], list(rows["error_message"])
    digits, diabetes = rows["run_id"]
    shown = harness.load_examples(digits, [3, 0], store=url)
    labels = arrays(harness.load_dataset("digits").test)["y"]
    assert list(shown["index"]) == [3, 0]
    assert list(shown["actual"]) == [str(labels[3]), str(labels[0])]
    assert shown["probability"].between(0.1, 0.2).all()
    assert list(shown.columns) == ["index", "text", "predicted", "actual", "probability"]
    valued = harness.load_examples(diabetes[:8], [1])  # of $HARNESS_STORE
    assert np.isnan(valued["probability"].iloc[0]) and valued["text"].iloc[0]
    with pytest.raises(harness.UsageError, match="example 64: .* has test examples 0 to 63"):
        harness.load_examples(digits, [64], store=url)
