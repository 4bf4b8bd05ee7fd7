"""Runs of vmapped seeds with what may be asked of any run: each seed has its own of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import harness
from harness.store import open_store

OBSERVER = '''
import json
from pathlib import Path
import harness

class Writes:
    """Writes down what it hears of one run, in a file of that run."""

    def __init__(self, *, folder: str = "."):
        self.folder = Path(folder)
        self.heard = []

    @harness.hookimpl
    def run_start(self, run):
        self.name = f"{run['seed']}-{run['vmap_seeds']}.json"

    @harness.hookimpl
    def chunk_end(self, step, losses):
        self.heard.append(["chunk", step, [float(loss) for loss in losses]])

    @harness.hookimpl
    def evaluation_end(self, epoch, values):
        self.heard.append(["evaluation", epoch, values["test_loss"]])

    @harness.hookimpl
    def run_end(self, row):
        self.heard.append(["end", row["status"], row["test_loss"]])
        (self.folder / self.name).write_text(json.dumps(self.heard))

@harness.hookimpl
def register_observers(register):
    register("writes", Writes)
'''
SMALL: dict[str, Any] = {"epochs": 2, "limit": 256, "batch_size": 64, "learning_rate": 0.01}


def rows_of(*entries: str, **asked: Any) -> list[dict[str, Any]]:
    frame = harness.run(*entries, **asked)
    return [
        {str(name): value for name, value in row.items()} for row in frame.to_dict("records")
    ]


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "writes.py"
    path.write_text(OBSERVER)
    return path


def test_each_seed_is_observed_measured_and_saved_as_alone(tmp_path: Path, plugin: Path):
    store = f"sqlite:///{tmp_path}/rows.db"
    alone, vmapped = (
        rows_of(
            "digits", "mean_pool", seeds=2, vmap_seeds=together, store=store, save=True,
            metrics=["macro_f1"], observers=[f"writes[folder={tmp_path}]"], plugins=[plugin],
            in_process=True, **SMALL,
        )
        for together in (False, True)
    )  # fmt: skip
    for row, other in zip(vmapped, alone, strict=True):
        assert row["test_macro_f1"] == pytest.approx(other["test_macro_f1"])
        assert row["saved_bytes"] == other["saved_bytes"] > 0 < row["observer_s"]
    assert vmapped[0]["test_macro_f1"] != vmapped[1]["test_macro_f1"]
    for seed in (0, 1):
        told, heard = (json.loads((tmp_path / f"{seed}-{n}.json").read_text()) for n in (1, 2))
        assert [one[:2] for one in heard] == [one[:2] for one in told]
        assert [one[0] for one in heard].count("chunk") >= 2 and heard[-1][1] == "ok"
        for mine, its in zip(heard, told, strict=True):
            assert mine[2] == pytest.approx(its[2], abs=2e-4)
    assert_models_answer_alike(
        store, *([r["run_id"] for r in rows] for rows in (alone, vmapped))
    )


def assert_models_answer_alike(store: str, alone: list[str], vmapped: list[str]) -> None:
    x = np.asarray(harness.load_dataset("digits").test["x"][:32])  # type: ignore[index]
    for one, other in zip(alone, vmapped, strict=True):
        loaded: list[Any] = [harness.load_model(name, store=store) for name in (one, other)]
        first, second = (model(x) for model in loaded)
        np.testing.assert_allclose(first, second, atol=1e-3)


def test_a_timeout_ends_all_seeds_each_with_a_row():
    rows = rows_of(
        "digits", "mean_pool", seeds=2, vmap_seeds=True, timeout=0.2, **{**SMALL, "epochs": 500}
    )
    assert [row["status"] for row in rows] == ["timeout", "timeout"]
    assert all("--timeout 0.2" in row["error_message"] for row in rows)


def test_what_is_tuned_is_chosen_by_single_trials_and_trained_with_all_seeds(tmp_path: Path):
    rows = rows_of(
        "digits", "mean_pool", seeds=2, vmap_seeds=True, tune="learning_rate=1e-3:1e-1:log",
        budget=2, in_process=True, store=f"sqlite:///{tmp_path}/rows.db", validation=0.25,
        epochs=1, limit=256, batch_size=64,
    )  # fmt: skip
    told = [(row["kind"], row["status"], row["vmap_seeds"]) for row in rows]
    assert told == [("trial", "ok", 1)] * 2 + [("run", "ok", 2)] * 2
    tried, chosen = ({row["learning_rate"] for row in part} for part in (rows[:2], rows[2:]))
    assert len(tried) == 2 and len(chosen) == 1 and chosen <= tried
    with open_store(f"sqlite:///{tmp_path}/rows.db") as store:
        assert store.count() == 4 and not store.lost()
