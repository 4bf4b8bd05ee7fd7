"""A suite of plugins that go wrong costs each of them alone, and nothing of the good ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import bad_plugins
import numpy as np
import pytest
from bad_plugins import BAD

from harness.logs import HEAD_BYTES, TAIL_BYTES
from harness.rows import Row
from harness.store import Store, open_store

GOOD = ("majority", "mean_pool")
RECIPE = ["--epochs", "1", "--limit", "256", "--batch-size", "32"]


def run(folder: Path, store: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", "run", "-d", "digits", *RECIPE, *words]
    return subprocess.run(
        [*command, "--store", f"sqlite:///{store}", "--format", "json"],
        capture_output=True, text=True, cwd=folder,
    )  # fmt: skip


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path):
    """The exit code, the rows by model, and the store of all of them in one suite."""
    folder = tmp_path_factory.mktemp("bad")
    words = [w for path in bad_plugins.write(folder) for w in ("--plugin", str(path))]
    names = [GOOD[0], *(bad.name for bad in BAD), GOOD[1]]
    words += [w for name in names for w in ("-m", name)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE_DIR", str(shared_cache))
        patch.setenv("HARNESS_PLUGINS", "")
        done = run(
            folder,
            folder / "rows.db",
            *words,
            "--phase-timeout",
            "construct=8",
            "--phase-timeout",
            "compile=25",
            "--phase-timeout",
            "train=15",
        )
    assert done.stdout, done.stderr
    rows = json.loads(done.stdout)
    assert [row["model"] for row in rows] == names
    with open_store(f"sqlite:///{folder}/rows.db") as store:
        yield done.returncode, {row["model"]: row for row in rows}, store


def test_there_are_enough_of_them():
    assert len(BAD) >= 30 and len({bad.name for bad in BAD}) == len(BAD)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_plugin_leaves_one_row_that_says_how(suite, bad: bad_plugins.Bad):
    _, rows, _ = suite
    row = rows[bad.name]
    said = {k: row[k] for k in ("status", "phase", "error_type", "error_message")}
    assert (row["status"], row["phase"]) == (bad.status, bad.phase), said
    assert row["error_type"] == bad.error_type, said
    assert bad.message in row["error_message"], said
    assert "\n" not in row["error_message"]
    assert Path(row["log_path"]).stat().st_size < HEAD_BYTES + 2 * TAIL_BYTES


def test_the_store_has_one_row_each_and_the_command_says_that_some_failed(suite):
    code, rows, store = suite
    assert code == 3
    assert sorted(row["run_id"] for row in store.rows()) == sorted(
        row["run_id"] for row in rows.values()
    )
    assert store.lost() == []


def test_what_was_measured_before_a_fault_is_kept(suite):
    _, rows, _ = suite
    assert rows["construct_segv"]["data_s"] > 0
    assert rows["step_error"]["compile_s"] > 0
    assert rows["step_hangs"]["compile_s"] > 0 and rows["step_hangs"]["data_s"] > 0
    assert rows["eval_error"]["train_s"] > 0 and rows["eval_error"]["step_ms_p50"] > 0


def test_a_flood_leaves_its_beginning_and_its_end(suite):
    _, rows, _ = suite
    log = Path(rows["flood"]["log_path"]).read_bytes()
    assert b"bytes are left out here" in log
    assert HEAD_BYTES < len(log) < HEAD_BYTES + 2 * TAIL_BYTES


def test_the_good_ones_are_what_they_are_without_the_bad_ones(suite, tmp_path: Path):
    _, rows, store = suite
    words = [w for name in GOOD for w in ("-m", name)]
    done = run(tmp_path, tmp_path / "rows.db", *words)
    assert done.returncode == 0, done.stderr
    with open_store(f"sqlite:///{tmp_path}/rows.db") as alone:
        for row in json.loads(done.stdout):
            same_bits(rows[row["model"]], store, row, alone)


def same_bits(row: Row, store: Store, other: Row, elsewhere: Store) -> None:
    assert row["status"] == other["status"] == "ok"
    for name in ("params_hash", "hlo_hash", "test_accuracy", "test_loss", "train_loss"):
        assert row[name] == other[name], name
    for name in ("train_loss", "test_predicted", "test_probability"):
        one, two = store.array(row["run_id"], name), elsewhere.array(other["run_id"], name)
        np.testing.assert_array_equal(one, two)


DATA = """
import os, signal, sys
import numpy as np
import harness

def make(x, y, **changes):
    spec = dict(kind="tokens", shape=(3,), vocab_size=4, num_classes=2, fingerprint="f")
    split = {{"x": np.array(x, np.int32), "y": np.array(y, np.int32)}}
    return harness.Dataset(split, split, harness.DataSpec(**{{**spec, **changes}}))

def load() -> harness.Dataset:
    {body}

@harness.hookimpl
def register_datasets(register):
    register("{name}", load)
"""
X, Y = "[[1, 2, 3]] * 64", "[0, 1] * 32"
BAD_DATA = {
    "raises": ("raise OSError('no disk')", "failed", "data", "no disk"),
    "exits": ("sys.exit(2)", "failed", "data", "2"),
    "dies": ("os.kill(os.getpid(), signal.SIGSEGV)", "failed", "data", "SIGSEGV"),
    "returns_nothing": ("return None", "failed", "data", "expected a harness.Dataset"),
    "other_shape": (f"return make({X}, {Y}, shape=(4,))", "failed", "construct", "x [n, 4]"),
    "other_ids": (f"return make({X}, {Y}, vocab_size=2)", "failed", "construct", "0 to 1"),
    "other_labels": (f"return make({X}, [0, 5] * 32)", "failed", "construct", "labels from 0"),
    "empty": ("return make([], [])", "failed", "construct", "n > 0"),
    "hangs": ("import time; time.sleep(10**6)", "timeout", "data", "--phase-timeout data"),
}


def test_a_bad_data_set_costs_its_own_runs(tmp_path: Path):
    words = ["--phase-timeout", "data=8", "-m", "majority"]
    for name, (body, *_) in BAD_DATA.items():
        (tmp_path / f"{name}.py").write_text(DATA.format(body=body, name=name))
        words += ["--plugin", f"{name}.py", "-d", name]
    done = run(tmp_path, tmp_path / "rows.db", *words)
    rows = {row["dataset"]: row for row in json.loads(done.stdout)}
    assert done.returncode == 3 and rows.pop("digits")["status"] == "ok"
    for name, (_, status, phase, message) in BAD_DATA.items():
        row = rows[name]
        assert (row["status"], row["phase"]) == (status, phase), row["error_message"]
        assert message in row["error_message"]


def test_a_plugin_that_no_longer_loads_costs_its_entries_alone(tmp_path: Path):
    """The names it had registered are known from when it last could be loaded."""
    plugin = tmp_path / "zoo.py"
    good = bad_plugins.Bad("resnet", "ok").source()
    plugin.write_text(good)
    words = ["--plugin", "zoo.py", "-m", "resnet", "-m", "majority"]
    assert run(tmp_path, tmp_path / "rows.db", *words).returncode == 0
    plugin.write_text(f"{good}\nraise RuntimeError('edited')\n")
    done = run(tmp_path, tmp_path / "rows.db", *words)
    rows = json.loads(done.stdout)
    assert [(r["model"], r["status"]) for r in rows] == [
        ("resnet", "failed"),
        ("majority", "ok"),
    ]
    assert "edited" in rows[0]["error_message"] and rows[0]["phase"] == "load"
