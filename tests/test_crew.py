"""A run that is two processes on this machine: what they train, and how they end."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from called import Call

from harness.store import open_store

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


def test_what_a_process_refuses_is_the_runs_error(run: Any):
    row, _ = run("--devices", "8", "--batch-size", "8", "--processes", "2")
    assert row["status"] == "unavailable"
    assert row["error_message"] == (
        "each of 2 processes needs 4 devices, but JAX has 2 devices here (cpu); "
        "JAX_NUM_CPU_DEVICES=4 in the environment simulates so many on a processor"
    )


def test_several_processes_need_processes_of_their_own(call: Call):
    said = call(
        "run", "-d", "synthetic", "-m", "majority", "--devices", "2", "--processes", "2",
        "--in-process",
    )  # fmt: skip
    assert said.code == 2
    assert "--processes with --in-process" in said.err
