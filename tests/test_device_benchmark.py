"""The tables of `python -m benchmarks.device`."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import device

ROW = {
    "device_kind": "card", "model": "gru", "variant": "", "precision": "float32",
    "batch_size": 128, "step_ms_p50": 2.0, "flops_per_step": 4e9,
    "device_peak_bytes": 3_000_000, "temp_bytes": 1_500_000,
    "test_accuracy": 0.5, "vmap_seeds": 4,
}  # fmt: skip


def test_a_line_has_the_achieved_rate_and_the_spread_of_the_repeats():
    slow = {**ROW, "step_ms_p50": 4.0, "device_peak_bytes": 5_000_000}
    assert device.line([ROW, ROW, slow]) == [
        "card", "gru", "float32", "128", "2 (2 to 4)", "4e+09", "2", "5.0", "1.5", "0.5000",
    ]  # fmt: skip


def test_what_a_platform_does_not_tell_is_left_open():
    unknown = {**ROW, "flops_per_step": None, "device_peak_bytes": None, "temp_bytes": None}
    assert device.line([unknown])[5:9] == ["-", "-", "-", "-"]


def test_seeds_stand_beside_as_many_single_steps():
    assert device.seed_line([ROW], 1.0)[3:] == ["4", "2 (2 to 2)", "2.00", "0.50"]


def test_the_command_writes_both_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(device, "PRECISIONS", ("bfloat16",))
    page = tmp_path / "device.md"
    words = "--dataset digits --model mean_pool --limit 100 --epochs 1 --batch-size 32"
    said = CliRunner().invoke(
        device.main, [*words.split(), "--repeats", "1", "--seeds", "2", "--write", str(page)]
    )
    assert said.exit_code == 0, said.output
    text = page.read_text()
    assert text.count("| mean_pool | bfloat16 |") == 3 and "Vmapped seeds" in text
    assert "harness at commit" in text


def test_a_run_that_is_not_ok_ends_the_command_in_one_line():
    said = CliRunner().invoke(
        device.main, ["--dataset", "digits", "--model", "mlp", "--repeats", "1"]
    )
    assert said.exit_code == 1 and said.output.startswith("Error: mlp in float32: needs")
