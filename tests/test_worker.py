from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import index, machine, plan, suites, worker
from harness.events import Array, Ended, EpochEnd, Measured, Phase, from_line


def planned(**recipe) -> plan.Run:
    suite = suites.Suite(
        datasets=("digits",), models=("mean_pool",),
        recipe={"epochs": 2, "limit": 300, "batch_size": 64, **recipe},
    )  # fmt: skip
    known = index.open_registry()
    return plan.expand(suite, known, key_parts=machine.key_parts())[0]


def ask(run: plan.Run, **settings: object) -> str:
    """What a driver writes to a worker."""
    return json.dumps({"run": plan.run_to_json(run), "settings": settings}) + "\n"


def start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness.worker"], text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def call(text: str) -> tuple[str, int]:
    """What a worker says, whose driver keeps the pipe open until the worker has left."""
    with start() as worker:
        assert worker.stdin is not None and worker.stdout is not None
        worker.stdin.write(text)
        worker.stdin.flush()
        said = worker.stdout.read()
        return said, worker.wait()


def test_a_plan_on_standard_input_comes_back_as_events():
    said, code = call(ask(planned()))
    events = [from_line(line) for line in said.splitlines()]
    assert code == 0
    assert events[0] == Phase("load")
    assert Ended("ok") in events
    assert sum(isinstance(e, EpochEnd) for e in events) == 2
    assert {e.name for e in events if isinstance(e, Array)} == {
        "train_loss", "block_steps", "block_s", "test_predicted", "test_probability",
        "test_label",
    }  # fmt: skip
    values = {k: v for e in events if isinstance(e, Measured) for k, v in e.values.items()}
    assert values["peak_rss_bytes"] > 50e6
    assert values["data_fingerprint"] and values["device_kind"]


def test_a_worker_whose_driver_has_gone_ends_by_itself():
    with start() as worker:
        assert worker.stdin is not None and worker.stdout is not None
        worker.stdin.write(ask(planned(epochs=100_000)))
        worker.stdin.flush()
        for line in worker.stdout:
            if isinstance(from_line(line), EpochEnd):
                break
        worker.stdin.close()  # as the kernel does when the driver is killed
        assert worker.wait(10) == -signal.SIGKILL


def test_a_worker_without_a_run_says_so():
    with start() as worker:
        said = worker.communicate("")[1]
    assert worker.returncode == 1 and said.strip().endswith("expected a line of JSON")


def test_checkpoints_are_thrown_away_at_the_end_and_kept_when_it_is_told_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    folder = tmp_path / "checkpoints"
    said, _ = call(ask(planned(epochs=3), checkpoint_s=1e-6))
    assert "could not be" not in said and not [p for p in folder.iterdir() if p.is_dir()]
    with start() as worker:
        assert worker.stdin is not None and worker.stdout is not None
        worker.stdin.write(ask(planned(epochs=100_000), checkpoint_s=0.01))
        worker.stdin.flush()
        for line in worker.stdout:
            if isinstance(from_line(line), EpochEnd):
                worker.terminate()
                break
        events = [from_line(line) for line in worker.stdout]
    assert isinstance(events[-1], Ended) and events[-1].status == "failed"
    assert [p for p in folder.iterdir() if p.is_dir()]


def measured(text: str) -> dict[str, object]:
    events = [e for e in map(from_line, call(text)[0].splitlines()) if isinstance(e, Measured)]
    return {name: value for event in events for name, value in event.values.items()}


def test_a_program_compiled_once_is_found_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    text = ask(planned(epochs=1, limit=128))
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "one"))
    first, again = measured(text), measured(text)
    # compiled anew by a process that has nothing of the first one's
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "two"))
    anew = measured(text)
    found = [first, again, anew]
    assert [f["compile_cache"] for f in found] == ["miss", "hit", "miss"]
    for name in ("hlo_hash", "flops_per_step", "temp_bytes", "test_loss", "params_hash"):
        assert first[name] is not None
        assert first[name] == again[name] == anew[name]


def test_the_users_own_setting_of_the_compilation_cache_wins(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/elsewhere")
    monkeypatch.delenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", raising=False)
    monkeypatch.delenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", raising=False)
    worker.use_compilation_cache()
    import os

    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "/elsewhere"
    assert os.environ.pop("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS") == "0"
    assert os.environ.pop("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES") == "-1"
