from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness import index, machine, plan, suites, worker
from harness.events import Array, Ended, EpochEnd, Measured, from_line


def planned(**recipe) -> plan.Run:
    suite = suites.Suite(
        datasets=("digits",), models=("mean_pool",),
        recipe={"epochs": 2, "limit": 300, "batch_size": 64, **recipe},
    )  # fmt: skip
    known = index.open_registry()
    return plan.expand(suite, known, key_parts=machine.key_parts())[0]


def call(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness.worker"], input=text, capture_output=True, text=True
    )


def test_a_plan_on_standard_input_comes_back_as_events():
    done = call(json.dumps(plan.run_to_json(planned())))
    events = [from_line(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert Ended("ok") in events
    assert sum(isinstance(e, EpochEnd) for e in events) == 2
    assert {e.name for e in events if isinstance(e, Array)} == {
        "train_loss", "block_steps", "block_s", "test_predicted", "test_probability",
    }  # fmt: skip
    values = {k: v for e in events if isinstance(e, Measured) for k, v in e.values.items()}
    assert values["peak_rss_bytes"] > 50e6
    assert values["data_fingerprint"] and values["device_kind"]


def test_a_program_compiled_once_is_found_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    text = json.dumps(plan.run_to_json(planned(epochs=1, limit=128)))
    found = []
    for _ in range(2):
        lines = call(text).stdout.splitlines()
        events = [e for e in map(from_line, lines) if isinstance(e, Measured)]
        found.append({k: v for e in events for k, v in e.values.items()})
    assert [f["compile_cache"] for f in found] == ["miss", "hit"]
    same = ("hlo_hash", "flops_per_step", "temp_bytes", "test_loss", "test_accuracy")
    assert [found[0][k] for k in same] == [found[1][k] for k in same]


def test_the_users_own_setting_of_the_compilation_cache_wins(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/elsewhere")
    monkeypatch.delenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", raising=False)
    monkeypatch.delenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", raising=False)
    worker.use_compilation_cache()
    import os

    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "/elsewhere"
    assert os.environ.pop("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS") == "0"
    assert os.environ.pop("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES") == "-1"
