"""What `pytest benchmarks/` writes beside its timings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COST = ("steps", "flops_per_step", "bytes_per_step", "temp_bytes", "hlo_hash")


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """The entries for two models of the file that a run leaves."""
    path = tmp_path_factory.mktemp("steps") / "steps.json"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "benchmarks/test_steps.py",
         "-k", "mean_pool or transformer", f"--benchmark-json={path}"],
        cwd=ROOT, check=True, env=environment,
    )  # fmt: skip
    return json.loads(path.read_text())["benchmarks"]


def test_every_timing_carries_what_its_program_costs(entries: list[dict]):
    assert entries
    for entry in entries:
        info = entry["extra_info"]
        assert all(info[name] for name in COST), entry["name"]
        assert len(info["hlo_hash"]) == 16
        assert entry["stats"]["rounds"] == 20 and entry["stats"]["median"] > 0


def test_every_timing_carries_the_signals_of_the_gate(entries: list[dict]):
    for entry in entries:
        info = entry["extra_info"]
        signals = info["gate_signals"]
        assert signals["flops"] == info["flops_per_step"] > 0
        assert signals["outside"] == 0 and sum(info["gate_operations"].values()) > 10
        # training writes its state where it was, evaluation keeps it
        assert (signals["donated"] > 0) == ("train" in entry["name"])


def test_other_programs_have_other_hashes(entries: list[dict]):
    assert len({entry["extra_info"]["hlo_hash"] for entry in entries}) == len(entries)
