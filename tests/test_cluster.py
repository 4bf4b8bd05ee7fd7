"""Runs on a Dask cluster: where they are performed, by whom, and what comes back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from dask_cluster import (
    PLUGIN,
    Cluster,
    asked,
    begun,
    command,
    rows_of,
    running_cluster,
    wait_until,
    waiting,
)
from dask_jobqueue.slurm import SLURMCluster
from waiting_plugin import Waits

import harness
from harness.store import open_store

pytestmark = pytest.mark.cluster


def test_a_cluster_gives_the_same_bits_as_this_machine(two_workers: Cluster, tmp_path: Path):
    store = f"sqlite:///{tmp_path}/rows.db"
    there = command(
        tmp_path, *asked(two_workers, store, "-m", "mean_pool", "-m", "gru", "--seeds", "2")
    )
    code, out, err = there.ended()
    assert code == 0, err
    here = harness.run(
        "digits", ["mean_pool", "gru"], seeds=2, epochs=1, limit=200, batch_size=50,
        store=store,
    )  # fmt: skip
    frame = harness.load(store)
    by_place = dict(iter(frame.groupby("executor")))
    assert {name: len(rows) for name, rows in by_place.items()} == {"dask": 4, "process": 4}
    keys = ["model", "seed"]
    both = by_place["dask"].merge(by_place["process"], on=keys, suffixes=("_there", "_here"))
    for name in ("params_hash", "test_accuracy", "test_loss", "hlo_hash", "data_fingerprint"):
        assert both[f"{name}_there"].tolist() == both[f"{name}_here"].tolist(), name
    assert set(here["status"]) == {"ok"} and set(frame["host"]) == set(here["host"])
    with open_store(store) as opened:
        one = both.iloc[0]
        there, alone = (
            opened.array(one[f"run_id_{side}"], "train_loss") for side in ("there", "here")
        )
    assert there is not None and alone is not None
    assert there.tolist() == alone.tolist()
    # both workers took part, and each epoch was told while the plan went on
    assert all(two_workers.performed(name) for name in ("one", "other"))
    assert len(re.findall(r"epoch 1/1", err)) == 4


def test_a_plugin_file_and_data_travel_to_the_workers(two_workers: Cluster, tmp_path: Path):
    lines = [f"{'good fine' if i % 2 else 'bad poor'} word{i},{i % 2}" for i in range(80)]
    (tmp_path / "reviews.csv").write_text("text,label\n" + "\n".join(lines))
    (tmp_path / "others.csv").write_text("text,label\n")
    store = f"sqlite:///{tmp_path}/rows.db"
    words = (
        "-d", "text_file[path=reviews.csv]", "-m", "waits", "--plugin", str(PLUGIN),
        "--epochs", "1", "--batch-size", "16", "--ship", "reviews.csv", "--ship", "others.csv",
        "--executor", "dask", "--scheduler", two_workers.address, "--store", store,
    )  # fmt: skip
    code, _, err = command(tmp_path, *words).ended()
    assert code == 0, err
    [row] = rows_of(store)
    # the row speaks of the paths that the user gave
    assert json.loads(row["dataset_params"])["path"] == "reviews.csv"
    shipped = [p for p in two_workers.folder.glob("cache-*/shipped/*/*")]
    assert {p.name for p in shipped} == {"reviews.csv", "others.csv", "waiting_plugin.py"}
    [line] = [line for line in err.splitlines() if "--ship" in line]
    assert f"{tmp_path / 'others.csv'}" in line and "no parameter" in line
    # what the plugin printed came back
    assert "the model is being made" in Path(row["log_path"]).read_text()


def test_runs_that_share_a_machine_are_marked_and_exclusive_ones_take_turns(
    two_workers: Cluster, tmp_path: Path
):
    gate, store = tmp_path / "gate", f"sqlite:///{tmp_path}/rows.db"
    sharing = command(tmp_path, *asked(two_workers, store, *waiting(gate, seeds=2)))
    wait_until(lambda: begun(gate) == 2, what="two runs at once")
    (gate / "open").touch()
    assert sharing.ended()[0] == 0
    assert [row["timing_comparable"] for row in rows_of(store)] == [False, False]
    code, _, err = command(
        tmp_path, *asked(two_workers, store, "-m", "mean_pool", "--seeds", "3", "--exclusive")
    ).ended()
    assert code == 0 and "waits until another run has left the machine" in err
    assert [row["timing_comparable"] for row in rows_of(store)[2:]] == [True] * 3


def test_a_worker_with_another_harness_is_refused_in_one_line(tmp_path: Path):
    fake = tmp_path / "site" / "model_zoo_harness-0.0.1.dist-info"
    fake.mkdir(parents=True)
    (fake / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: model-zoo-harness\nVersion: 0.0.1\n"
    )
    store = f"sqlite:///{tmp_path}/rows.db"
    with running_cluster(tmp_path / "cluster") as cluster:
        cluster.start_worker("old", environment={"PYTHONPATH": str(fake.parent)})
        plan = command(tmp_path, *asked(cluster, store, "-m", "mean_pool"))
        cluster.start_worker("same")
        code, _, err = plan.ended()
        assert code == 0, err
        assert not cluster.performed("old") and len(cluster.performed("same")) == 1
    [line] = [line for line in err.splitlines() if "is not used" in line]
    assert "it has harness 0.0.1, the command harness 0.1.0" in line


def test_a_run_takes_the_resources_of_its_worker(tmp_path: Path):
    store = f"sqlite:///{tmp_path}/rows.db"
    with running_cluster(tmp_path / "cluster", "bare") as cluster:
        cluster.start_worker("gpu", "--resources", "gpu=1")
        words = asked(cluster, store, "-m", "mean_pool", "--resource", "gpu=1")
        code, _, err = command(tmp_path, *words).ended()
        assert code == 0, err
        assert not cluster.performed("bare") and len(cluster.performed("gpu")) == 1
    assert "it has not the resources gpu=1" in err


def test_a_class_of_this_process_is_refused():
    with pytest.raises(harness.UsageError, match="write it to a plugin file"):
        harness.run("digits", Waits, workers=1)


def test_the_recipe_for_slurm_asks_for_what_it_says():
    """What the page shows, as a job script; a scheduler is started for it, and no job."""
    page = (Path(__file__).parent.parent / "docs" / "howto" / "cluster.md").read_text()
    [program] = [part for part in page.split("```") if "# slurm_workers.py" in part]
    told: dict = {}
    exec(program.removeprefix("python\n"), told)
    page_of_its_own = {"dashboard_address": "127.0.0.1:0"}
    cluster: Any = SLURMCluster(**told["JOB"], scheduler_options=page_of_its_own)
    with cluster:
        script = cluster.job_script()
    for line in (
        "#SBATCH -p gpu", "#SBATCH --cpus-per-task=8", "#SBATCH --mem=30G",
        "#SBATCH -t 04:00:00", "#SBATCH --gres=gpu:1", "source .venv/bin/activate",
    ):  # fmt: skip
        assert line in script.splitlines(), script
    [start] = [line for line in script.splitlines() if "dask_worker" in line]
    assert (
        "--nthreads 1" in start and "--resources gpu=1" in start and "--lifetime 230m" in start
    )
