"""A run that is two processes on this machine: what they train, and how they end."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from called import Call
from performed import perform
from processes import workers

from harness import machine, plan, runner, suites
from harness.deadlines import Limits
from harness.events import EpochEnd, Event
from harness.plan import Run
from harness.registry import Registry
from harness.store import open_store
from harness.workers import in_worker

# examples are read on the host; where FATAL names a file the second process dies at its 701st,
# far beyond what is read ahead of the first checkpoint
PLUGIN = '''
import os, signal
from pathlib import Path
import harness, jax, numpy as np

class Examples:
    def __init__(self, count, fatal):
        self.x = np.random.RandomState(count).normal(size=(count, 4)).astype(np.float32)
        self.count, self.fatal, self.read = count, fatal, 0
    def __len__(self):
        return self.count
    def __getitem__(self, i):
        self.read += 1
        if self.read > 700:
            end(self.fatal)
        return {"x": self.x[i], "y": np.int32(self.x[i, 0] > 0)}

def end(fatal):
    file = Path(os.environ.get("FATAL", "-"))
    if fatal and jax.process_index() == 1 and file.exists():
        file.unlink()
        os.kill(os.getpid(), signal.SIGKILL)

def pairs() -> harness.Dataset:
    """Four numbers; the first one decides."""
    spec = harness.DataSpec(kind="features", shape=(4,), vocab_size=None, num_classes=2,
                            pad_id=None, fingerprint="pairs")
    return harness.Dataset(Examples(64, True), Examples(21, False), spec)

@harness.hookimpl
def register_datasets(register):
    register("pairs", pairs)
'''


@pytest.fixture
def run(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the data set of `PLUGIN` and gives the row and the losses of its steps."""
    plugin, store = tmp_path / "pairs.py", f"sqlite:///{tmp_path / 'harness.db'}"
    plugin.write_text(PLUGIN)
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "2")

    def perform(*more: str) -> tuple[dict[str, Any], np.ndarray]:
        said = call(
            "run", "-d", "pairs", "-m", "mlp", "--plugin", str(plugin), "--store", store,
            "--epochs", "40", "--batch-size", "8", "--eval-batch-size", "8", "--devices", "2",
            "--checkpoint", "0.000001", "--allow-failures", "--format", "json", *more,
        )  # fmt: skip
        (row,) = json.loads(said.out)
        with open_store(store) as opened:
            losses = opened.array(row["run_id"], "train_loss")
        return row, np.zeros(0) if losses is None else losses

    return perform


def test_a_killed_process_ends_the_run_which_goes_on_to_what_one_process_trains(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    alone, losses = run()
    assert (alone["status"], alone["process_count"], alone["mesh"]) == ("ok", 1, "data=2")
    fatal = tmp_path / "fatal"
    fatal.touch()
    monkeypatch.setenv("FATAL", str(fatal))
    killed, _ = run("--processes", "2")
    assert (killed["status"], killed["error_type"]) == ("failed", signal.SIGKILL.name)
    assert killed["error_message"] == "process 1 of 2 was killed by SIGKILL"
    assert killed["phase"] == "train" and not fatal.exists()
    resumed, same = run("--processes", "2", "--resume")
    assert (resumed["status"], resumed["resumed"], resumed["process_count"]) == ("ok", 1, 2)
    # sums over two processes are added as those over two devices of one
    np.testing.assert_allclose(same, losses, atol=1e-5, rtol=0)
    assert resumed["test_accuracy"] == alone["test_accuracy"]
    assert resumed["comm_bytes_per_step"] == alone["comm_bytes_per_step"]


@pytest.fixture
def two(known: Registry, monkeypatch: pytest.MonkeyPatch) -> tuple[Run, ...]:
    """A long run of two processes."""
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "2")
    suite = suites.Suite(
        datasets=("digits",), models=("mean_pool",),
        recipe={"epochs": 5000, "batch_size": 8, "devices": 2, "processes": 2},
    )  # fmt: skip
    return tuple(plan.expand(suite, known, key_parts=machine.key_parts()))


def test_what_was_measured_before_ctrl_c_is_stored(two: tuple[Run, ...]):
    class Listener(runner.Silent):
        def event(self, run: Run, event: Event) -> None:
            if isinstance(event, EpochEnd) and event.values["epoch"] == 3:
                raise KeyboardInterrupt

    (row,), (saved,) = perform(two, in_worker(), listener=Listener())
    assert (row["status"], row["process_count"]) == ("interrupted", 2)
    assert row["phase"] in ("train", "evaluate")  # an epoch here is some milliseconds of each
    assert row["step_ms_p50"] > 0 and row["train_s"] > 0 and len(saved.epochs) >= 3
    assert "train_loss" in saved.arrays
    assert not workers()


def test_a_deadline_ends_all_processes_and_what_was_measured_is_stored(two: tuple[Run, ...]):
    (row,), _ = perform(two, in_worker(limits=Limits(phase_s={"train": 0.02})))
    assert (row["status"], row["phase"]) == ("timeout", "train")
    assert "--phase-timeout train=0.02" in row["error_message"] and row["compile_s"] > 0
    assert not workers()


def test_two_processes_validate_measure_and_save_what_one_does(run: Any):
    asked = ("--validation", "0.25", "--select", "best", "--metric", "macro_f1", "--save",
             "--batch-size", "16", "--epochs", "5")  # fmt: skip
    (one, losses), (two, same) = run(*asked), run(*asked, "--processes", "2")
    assert (one["status"], two["status"], two["process_count"]) == ("ok", "ok", 2)
    np.testing.assert_allclose(same, losses, atol=1e-5, rtol=0)
    for name in ("best_epoch", "test_accuracy", "metrics", "saved_bytes"):
        assert two[name] == one[name], name


def test_what_a_process_refuses_is_the_runs_error(run: Any):
    row, _ = run("--devices", "8", "--batch-size", "8", "--processes", "2")
    assert row["status"] == "unavailable"
    assert row["error_message"] == (
        "each of 2 processes needs 4 devices, but JAX has 2 devices here (cpu); "
        "JAX_NUM_CPU_DEVICES=4 in the environment of the command simulates so many "
        "on a processor"
    )


@pytest.mark.parametrize(
    "more", [(), ("--dry-run",), ("--dry-run", "--tune", "learning_rate=0.1,1")]
)
def test_several_processes_need_processes_of_their_own(call: Call, more: tuple[str, ...]):
    said = call(
        "run", "-d", "synthetic", "-m", "majority", "--devices", "2", "--processes", "2",
        "--in-process", *more,
    )  # fmt: skip
    assert said.code == 2
    assert "--processes with --in-process" in said.err
