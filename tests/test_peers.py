"""The comparison with peers: its arithmetic, and its arms in real processes."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import harness
from benchmarks.peers import __main__ as command
from benchmarks.peers import arms, job, rounds, summary, targets
from benchmarks.peers.arms import ARMS, BY_NAME, Arm
from benchmarks.peers.machine_rates import rate
from benchmarks.peers.targets import TUTORIAL


def record(arm: str, number: int, epoch: float, step: float, **extra: Any) -> dict[str, Any]:
    """An arm's answer: a first epoch of 10 s, then epochs of `epoch` s, half evaluation."""
    return {
        "round": number, "arm": arm, "model": "transformer", "param_count": 653_566,
        "train_s": [8.0, epoch / 2, epoch / 2], "eval_s": [2.0, epoch / 2, epoch / 2],
        "step_ms": step, "accuracy": 0.8, "versions": {"jax": "1"}, "extra": extra,
    }  # fmt: skip


def harness_record(number: int, epoch: float, step: float) -> dict[str, Any]:
    cost = {"flops_per_step": 2e9, "bytes_per_step": 1e9, "scan_s": [9.0, epoch / 2, epoch],
            "host_overhead_pct": 0.25}  # fmt: skip
    return record("harness", number, epoch, step, **cost)


MACHINE = {"round": 0, "arm": "machine", "data": "IMDB", "gflop_s": 100.0, "gb_s": 20.0}


def test_ratios_are_taken_within_a_round():
    # the second round is ten times slower for both: medians of times would say otherwise
    records = [
        harness_record(0, 1.0, 10.0), record("PyTorch eager", 0, 2.0, 20.0),
        harness_record(1, 10.0, 100.0), record("PyTorch eager", 1, 20.0, 200.0),
        harness_record(2, 1.0, 10.0),
    ]  # fmt: skip
    table = summary.model_table(records, "transformer")
    (line,) = [line for line in table.splitlines() if "PyTorch eager" in line]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[2] == cells[4] == "2.00 (2.00 to 2.00)"
    assert cells[5] == "10.0 (10.0 to 10.0)"
    assert "PyTorch compile" not in table  # it was not asked for


def test_an_arm_that_is_missing_or_fails_says_so_in_the_table():
    records = [
        harness_record(0, 1.0, 10.0),
        {"round": 0, "arm": "PyTorch eager", "model": "transformer",
         "error": "missing: pip install torch"},
    ]  # fmt: skip
    assert "| PyTorch eager | missing: pip install torch |" in summary.model_table(
        records, "transformer"
    )


def test_targets_compare_with_the_best_loop_of_each_round():
    slow, fast = TUTORIAL
    records = [
        harness_record(0, 1.0, 10.0), record(slow, 0, 9.0, 1.0), record(fast, 0, 5.0, 1.0),
        harness_record(1, 1.0, 10.0), record(slow, 1, 5.0, 1.0), record(fast, 1, 9.0, 1.0),
    ]  # fmt: skip
    first, *_ = targets.targets(records)
    assert first.ratios == [5.0, 5.0]
    assert first.verdict() == "must"


@pytest.mark.parametrize(
    "ratios, faster, verdict",
    [
        ([7.0], True, "goal"), ([5.0], True, "must"), ([3.0], True, "missed"),
        ([3.0], False, "goal"), ([5.0], False, "must"), ([7.0], False, "missed"),
        ([], False, "not measured"),
    ],
)  # fmt: skip
def test_a_verdict_is_the_stricter_bound_that_is_met(
    ratios: list[float], faster: bool, verdict: str
):
    must, goal = (4, 6) if faster else (6, 4)
    assert targets.Target("x", must, goal, ratios, faster).verdict() == verdict


def test_the_roofline_is_the_higher_of_two_floors():
    table = summary.roofline_table([MACHINE, harness_record(0, 1.0, 100.0)])
    cells = [cell.strip() for cell in table.splitlines()[-1].strip("|").split("|")]
    # 2 GFLOP at 100 GFLOP/s take 20 ms, 1 GB at 20 GB/s takes 50 ms
    assert cells == ["transformer", "100.00", "2.000", "1.000", "20.00", "50.00", "2.0", "0.25"]


def test_overhead_pairs_an_epoch_with_the_scan_behind_it():
    assert summary.overhead([harness_record(0, 4.0, 1.0)], "transformer") == [1.0, 0.5]


def test_the_page_names_data_machine_and_versions():
    page = command.page([MACHINE, harness_record(0, 1.0, 10.0)])
    assert page.startswith("Data: IMDB. Rounds: 1") and "jax 1" in page


def test_kept_measurements_give_the_same_page(tmp_path: Path):
    records = [MACHINE, harness_record(0, 1.0, 10.0)]
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    assert command.page(command.read_records(path)) == command.page(records)


def test_a_rate_is_an_amount_over_the_shortest_time(monkeypatch: pytest.MonkeyPatch):
    ticks = iter([0.0, 4.0, 10.0, 12.0, 20.0, 25.0, 30.0, 33.0, 40.0, 48.0])
    clock = SimpleNamespace(perf_counter=lambda: next(ticks))
    monkeypatch.setattr("benchmarks.peers.machine_rates.time", clock)
    assert rate(lambda x: x, np.zeros(1), 6.0) == 3.0


def test_times_to_load_and_to_start_have_targets():
    start = {
        "loading": {"tutorial": 4.0, "first": 1.0, "second": 0.01},
        "transformer": {"first": 8.0, "second": 4.0},
        "mean_pool": {"first": 2.0, "second": 2.0},
    }
    found = targets.targets([{"round": 0, "arm": "start", "start": start}])
    verdicts = {t.name: (t.ratios, t.verdict()) for t in found if t.ratios}
    again = "process start to first training step, second time over the first"
    assert verdicts == {
        f"transformer, {again}": ([0.5], "must"),
        f"mean_pool, {again}": ([1.0], "missed"),
        "loading IMDB the first time over the tutorial's preparation": ([0.25], "must"),
        "loading IMDB the second time, s": ([0.01], "goal"),
    }


def test_without_imdb_the_tokens_are_random_and_that_is_said_loudly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def absent(name: str) -> harness.Dataset:
        raise harness.DataError("no such file; set HARNESS_DATA_DIR")

    monkeypatch.setattr(harness, "load_dataset", absent)
    with rounds.data_folder(300) as (folder, name):
        data = job.read_data(folder)
    assert name.startswith("SYNTHETIC") and "first 300" in name
    assert "SYNTHETIC TOKENS" in capsys.readouterr().err
    # two whole batches of 128; every word may occur
    assert data.x_train.shape == (256, 200) and data.x_test.shape == (300, 200)
    assert data.x_train.min() >= 0 and 19_900 < data.x_train.max() < 20_000
    assert set(data.y_train) == {0, 1}


def test_without_imdb_loading_is_not_measured_and_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HARNESS_DATA_DIR", "/nowhere")
    assert rounds.starts(arms.MODELS) == {
        "error": "no /nowhere/imdb/imdb.npz: set HARNESS_DATA_DIR"
    }


def test_an_arm_or_a_start_that_fails_costs_its_own_figures(monkeypatch: pytest.MonkeyPatch):
    def fail(models: object) -> dict[str, Any]:
        raise SystemExit("Timeout: no")

    monkeypatch.setattr(rounds.start, "measure", fail)
    monkeypatch.setattr(rounds.start, "source", lambda: Path(__file__))
    assert rounds.starts(arms.MODELS) == {"error": "SystemExit: Timeout: no"}
    monkeypatch.setattr(rounds, "PATIENCE", 0.01)
    answer = rounds.run_arm(BY_NAME["harness"], "mean_pool", "/nowhere")
    assert answer["error"] == "it was still running after 0.01 s"


def test_only_arms_with_huge_pages_are_started_as_a_worker_is():
    told = {arm.name for arm in ARMS if arm.huge_pages}
    assert told == {
        "harness", "PyTorch eager, huge pages", "Keras 3 on JAX, 16 steps, huge pages"
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three training batches and one test batch of random tokens."""
    folder = tmp_path_factory.mktemp("peers")
    random = np.random.RandomState(0)
    for split, size in (("train", 400), ("test", 256)):
        np.save(folder / f"x_{split}.npy", random.randint(0, 20_000, (size, 200), np.int32))
        np.save(folder / f"y_{split}.npy", random.randint(0, 2, size).astype(np.int32))
    return folder


LOOP, SLOW = TUTORIAL  # the second starts four processes an epoch, whatever the model is


@pytest.mark.parametrize(
    ("name", "model"),
    [(SLOW, "mean_pool"), *itertools.product(
        ("harness", LOOP, "PyTorch eager", "Keras 3 on JAX, 16 steps, huge pages"), arms.MODELS
    )],
)  # fmt: skip
def test_every_library_trains_the_same_number_of_parameters(
    name: str, model: str, folder: Path
):
    arm = BY_NAME[name]
    if arm.missing():
        pytest.skip(f"{arm.name} needs: pip install {' '.join(arm.missing())}")
    epochs = 1 if name == SLOW else 2
    answer = rounds.run_arm(arm, model, str(folder), epochs=epochs, blocks=1)
    assert "error" not in answer, answer
    assert answer["param_count"] == arms.PARAM_COUNTS[model]
    assert len(answer["train_s"]) == len(answer["eval_s"]) == epochs
    assert answer["step_ms"] > 0 and 0 <= answer["accuracy"] <= 1


def test_a_process_that_fails_is_a_record_with_its_last_line():
    answer = rounds.run_arm(BY_NAME["harness"], "mean_pool", "/nowhere")
    assert re.search("FileNotFoundError", answer["error"])


def test_a_missing_package_is_named_and_its_arm_not_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rounds, "ARMS", (Arm("absent", "none", needs=("no_such_package",)),))
    monkeypatch.setattr(rounds, "machine_rates", lambda: {"gflop_s": 1.0, "gb_s": 1.0})
    said = list(rounds.run_rounds(1, ("mean_pool",), ("absent",), "", ""))
    assert said[1]["error"] == "missing: pip install no_such_package"
    assert importlib.util.find_spec("no_such_package") is None
