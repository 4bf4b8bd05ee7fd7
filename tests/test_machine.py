from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness import machine


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_versions_are_those_of_the_installed_packages():
    import jax
    import numpy as np

    found = machine.versions()
    assert found["jax_version"] == jax.__version__
    assert found["numpy_version"] == np.__version__
    assert "harness_version" in found


def test_the_commit_and_whether_files_were_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert machine.commit() == {"commit": None, "dirty": None}
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "one")
    assert machine.commit() == {"commit": git(tmp_path, "rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "a").write_text("2")
    assert machine.commit()["dirty"] is True


@pytest.mark.parametrize("name", machine.SETTINGS)
def test_a_setting_that_moves_results_makes_another_key(
    monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.delenv(name, raising=False)
    here = machine.key_parts()
    monkeypatch.setenv(name, "other")
    assert machine.key_parts() != here


def test_random_numbers_are_of_the_key():
    assert {"JAX_DEFAULT_PRNG_IMPL", "JAX_RANDOM_SEED_OFFSET"} <= set(machine.SETTINGS)


def test_peak_memory_grows_with_what_is_used():
    before = machine.peak_rss_bytes()
    assert before is not None
    block = bytearray(200_000_000)
    block[::4096] = b"x" * len(block[::4096])
    after = machine.peak_rss_bytes()
    assert after is not None and after >= before
    assert after > 200_000_000


def test_the_device_is_named():
    assert (machine.devices()["device_count"], machine.devices()["mesh"]) == (1, "")
    assert (machine.devices(4)["device_count"], machine.devices(4)["mesh"]) == (4, "data=4")
    assert machine.devices()["device_kind"]


def test_a_processor_tells_no_memory_of_its_own_and_an_accelerator_its_peak(
    monkeypatch: pytest.MonkeyPatch,
):
    import jax

    class Card:
        def memory_stats(self):
            return {"peak_bytes_in_use": 7}

    assert machine.memory()["device_peak_bytes"] is None
    monkeypatch.setattr(jax, "local_devices", lambda: [Card()])
    assert machine.memory()["device_peak_bytes"] == 7
