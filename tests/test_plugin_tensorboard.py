"""What TensorBoard reads of a run: through a worker, by TensorBoard's own reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import harness
from harness.entries import Source
from harness.plugins import new_manager, register
from harness_plugins import tensorboard


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path):
    """The curves of one run in a worker, and its row."""
    folder = tmp_path_factory.mktemp("curves")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE_DIR", str(shared_cache))
        patch.setenv("HARNESS_PLUGINS", "")
        frame = harness.run(
            "digits", "mean_pool:linear", epochs=2, limit=160, batch_size=32,
            observers=[f'tensorboard[folder="{folder}"]'], store=f"sqlite:///{folder}/rows.db",
        )  # fmt: skip
    return folder, frame.iloc[0]


# protobuf's generated code, which TensorBoard brings
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_finds_each_step_and_epoch_of_the_run(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    place, row = folder
    (run,) = [path for path in place.iterdir() if path.is_dir()]
    assert run.name == f"digits-mean_pool-linear-seed0-{row['run_id']}"
    read = EventAccumulator(str(run), size_guidance={"scalars": 0})
    read.Reload()
    losses = read.Scalars("train/loss")
    assert [event.step for event in losses] == list(range(1, 11))
    from harness.store import open_store

    with open_store(f"sqlite:///{place}/rows.db") as store:
        stored = store.array(row["run_id"], "train_loss")
    np.testing.assert_array_equal([event.value for event in losses], stored)
    accuracies = read.Scalars("epoch/test_accuracy")
    assert [event.step for event in accuracies] == [1, 2]
    assert accuracies[-1].value == pytest.approx(row["test_accuracy"])
    assert read.Scalars("row/param_count")[0].value == row["param_count"]


def test_its_time_and_its_plugin_are_in_the_row(folder):
    place, row = folder
    assert row["status"] == "ok" and row["observer_s"] > 0
    assert f'tensorboard[folder=\\"{place}\\"]' in row["other_plugins"]
    assert f"tensorboard=={harness.__version__}" in row["other_plugins"]


def test_it_is_unavailable_without_its_package():
    source = Source(name="t", origin="built-in", target="t", version="0", source_hash="")
    (entry,) = register(new_manager(), tensorboard, source)
    assert entry.requires == ("tensorboardX",)
