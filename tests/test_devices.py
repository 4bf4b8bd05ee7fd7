"""A batch split over several devices trains as on one: all on 8 simulated ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# of losses, which are about 0.7: sums are added in another order, and that is all
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "8", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "several_devices.py")],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


CASES = (
    "statistics", "parts", "gathered", "buckets", "transformer", "recurrent", "convolution",
    "held_out",
)  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("devices", ["2", "8"])
def test_the_losses_and_the_answers_are_those_of_one_device(
    found: dict[str, Any], name: str, devices: str
):
    one, several = found[name]["1"], found[name][devices]
    np.testing.assert_allclose(several["train_loss"], one["train_loss"], atol=TOLERANCE, rtol=0)
    assert several["test_loss"] == pytest.approx(one["test_loss"], abs=TOLERANCE)
    assert several["test_accuracy"] == one["test_accuracy"]
    assert several["test_predicted"] == one["test_predicted"]
    assert several["recompiles"] == 0
    assert several["hlo_hash"] != one["hlo_hash"]


# built-in dropout gathers its random words, and a recurrence adds up at each position
@pytest.mark.parametrize("name", sorted({*CASES} - {"transformer", "recurrent"}))
def test_devices_send_each_other_the_gradient_and_little_else(found: dict[str, Any], name: str):
    assert found[name]["1"]["comm_bytes_per_step"] == 0
    for devices in (2, 8):
        several = found[name][str(devices)]
        gradient = 2 * (devices - 1) / devices * 4 * several["param_count"]
        gradient *= 2 if name == "parts" else 1
        # beside it what is moved into parts, statistics and small sums
        assert gradient <= several["comm_bytes_per_step"] < 1.2 * gradient + 800


def test_flops_are_those_of_the_whole_step(found: dict[str, Any]):
    one, two = (found["transformer"][n]["flops_per_step"] for n in ("1", "2"))
    # what each device does whole, the update, counts for each
    assert one <= two < 1.3 * one
