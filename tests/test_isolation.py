"""A suite of plugins that go wrong costs each of them alone, and nothing of the good ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import bad_plugins
import numpy as np
import pytest
from bad_plugins import BAD, RAISING

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


class Suite(NamedTuple):
    """A command over bad plugins between two good ones: exit code, rows by model, store."""

    code: int
    rows: dict[str, Row]
    store: Store


LIMITS = {"construct": 8, "compile": 25, "train": 15}
WORKERS, ONE_PROCESS, ALONE = "workers", "one process", "alone"


def words_for(kind: str, folder: Path) -> list[str]:
    """The good ones, and between them the bad ones of a suite."""
    bad = [one for one in BAD if kind == suite_of(one)]
    words = [w for path in bad_plugins.write(folder, bad) for w in ("--plugin", str(path))]
    words += [w for name in (GOOD[0], *(b.name for b in bad), GOOD[1]) for w in ("-m", name)]
    if kind == WORKERS:
        words += [w for name, s in LIMITS.items() for w in ("--phase-timeout", f"{name}={s}")]
    return [*words, "--in-process"] if kind == ONE_PROCESS else words


def suite_of(bad: bad_plugins.Bad) -> str:
    """Those that only raise run in one process, all others in a worker each."""
    return ONE_PROCESS if bad.name in RAISING else WORKERS


@pytest.fixture(scope="module")
def suites(
    tmp_path_factory: pytest.TempPathFactory, shared_cache: Path
) -> Iterator[dict[str, Suite]]:
    """What both ways to run the bad ones left, and the good ones alone."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("HARNESS_CACHE_DIR", str(shared_cache))
        patch.setenv("HARNESS_PLUGINS", "")
        found = {}
        for kind in (WORKERS, ONE_PROCESS, ALONE):
            folder = tmp_path_factory.mktemp("suite")
            done = run(folder, folder / "rows.db", *words_for(kind, folder))
            assert done.stdout, done.stderr
            rows = {row["model"]: row for row in json.loads(done.stdout)}
            store = stack.enter_context(open_store(f"sqlite:///{folder}/rows.db"))
            found[kind] = Suite(done.returncode, rows, store)
        yield found


def test_there_are_enough_of_them():
    assert len(BAD) >= 30 and len({bad.name for bad in BAD}) == len(BAD)
    assert {bad.name for bad in BAD} >= RAISING


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_plugin_leaves_one_row_that_says_how(
    suites: dict[str, Suite], bad: bad_plugins.Bad
):
    row = suites[suite_of(bad)].rows[bad.name]
    said = {k: row[k] for k in ("status", "phase", "error_type", "error_message")}
    assert (row["status"], row["phase"]) == (bad.status, bad.phase), said
    assert row["error_type"] == bad.error_type, said
    assert bad.message in row["error_message"], said
    assert "\n" not in row["error_message"]
    assert Path(row["log_path"]).stat().st_size < HEAD_BYTES + 2 * TAIL_BYTES


@pytest.mark.parametrize("kind", [WORKERS, ONE_PROCESS])
def test_the_store_has_one_row_each_and_the_command_says_that_some_failed(
    suites: dict[str, Suite], kind: str
):
    suite = suites[kind]
    names = [GOOD[0], *(bad.name for bad in BAD if suite_of(bad) == kind), GOOD[1]]
    assert suite.code == 3 and list(suite.rows) == names
    assert sorted(row["run_id"] for row in suite.store.rows()) == sorted(
        row["run_id"] for row in suite.rows.values()
    )
    assert suite.store.lost() == []


def test_what_was_measured_before_a_fault_is_kept(suites: dict[str, Suite]):
    rows = suites[WORKERS].rows
    assert rows["construct_segv"]["data_s"] > 0
    assert rows["step_error"]["compile_s"] > 0
    assert rows["step_hangs"]["compile_s"] > 0 and rows["step_hangs"]["data_s"] > 0
    assert rows["eval_error"]["train_s"] > 0 and rows["eval_error"]["step_ms_p50"] > 0


def test_a_flood_leaves_its_beginning_and_its_end(suites: dict[str, Suite]):
    log = Path(suites[WORKERS].rows["flood"]["log_path"]).read_bytes()
    assert b"bytes are left out here" in log
    assert HEAD_BYTES < len(log) < HEAD_BYTES + 2 * TAIL_BYTES


@pytest.mark.parametrize("kind", [WORKERS, ONE_PROCESS])
def test_the_good_ones_are_what_they_are_without_the_bad_ones(
    suites: dict[str, Suite], kind: str
):
    suite, alone = suites[kind], suites[ALONE]
    assert alone.code == 0 and list(alone.rows) == list(GOOD)
    for name in GOOD:
        same_bits(suite.rows[name], suite.store, alone.rows[name], alone.store)


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


# these need a process to end, or show that one passes on what is raised in it
IN_WORKERS = ("raises", "exits", "dies", "hangs")


@pytest.mark.parametrize(
    ("names", "how"),
    [
        (IN_WORKERS, ("--phase-timeout", "data=8")),
        (tuple(name for name in BAD_DATA if name not in IN_WORKERS), ("--in-process",)),
    ],
    ids=["workers", "one process"],
)
def test_a_bad_data_set_costs_its_own_runs(
    names: tuple[str, ...], how: tuple[str, ...], tmp_path: Path
):
    words = [*how, "-m", "majority"]
    for name in names:
        (tmp_path / f"{name}.py").write_text(DATA.format(body=BAD_DATA[name][0], name=name))
        words += ["--plugin", f"{name}.py", "-d", name]
    done = run(tmp_path, tmp_path / "rows.db", *words)
    rows = {row["dataset"]: row for row in json.loads(done.stdout)}
    assert done.returncode == 3 and rows.pop("digits")["status"] == "ok"
    assert set(rows) == set(names)
    for name, row in rows.items():
        _, status, phase, message = BAD_DATA[name]
        assert (row["status"], row["phase"]) == (status, phase), row["error_message"]
        assert message in row["error_message"]


def test_a_plugin_that_no_longer_loads_costs_its_entries_alone(tmp_path: Path):
    """The names it had registered are known from when it last could be loaded."""
    plugin = tmp_path / "zoo.py"
    good = bad_plugins.Bad("resnet", "ok").source()
    plugin.write_text(good)
    words = ["--plugin", "zoo.py", "-m", "resnet", "-m", "majority"]
    assert run(tmp_path, tmp_path / "rows.db", *words, "--in-process").returncode == 0
    plugin.write_text(f"{good}\nraise RuntimeError('edited')\n")
    done = run(tmp_path, tmp_path / "rows.db", *words)
    assert done.stdout, done.stderr
    rows = json.loads(done.stdout)
    assert [(r["model"], r["status"]) for r in rows] == [
        ("resnet", "failed"),
        ("majority", "ok"),
    ]
    assert "edited" in rows[0]["error_message"] and rows[0]["phase"] == "load"
