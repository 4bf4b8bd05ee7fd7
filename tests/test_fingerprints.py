"""What data sets are now, whatever one of them does to the process that looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import choices as selected
from harness import fingerprints, index
from harness.fingerprints import Now, now_of

PLUGIN = """
import os, time
from typing import Literal
import numpy as np
import harness

def odd(*, how: Literal["fine", "raise", "die", "hang", "print"] = "fine") -> harness.Dataset:
    if how == "raise":
        raise RuntimeError("no")
    if how == "die":
        os._exit(3)
    if how == "hang":
        time.sleep(600)
    if how == "print":
        print("noise")
    split = {"x": np.ones((4, 3), np.int32), "y": np.zeros(4, np.int32)}
    spec = harness.DataSpec(kind="tokens", shape=(3,), vocab_size=4, num_classes=2,
                            fingerprint=f"print of {how}")
    return harness.Dataset(split, split, spec)

@harness.hookimpl
def register_datasets(register):
    register("odd", odd)
"""


def choices(tmp_path: Path, *ways: str) -> list[selected.Choice]:
    (tmp_path / "data.py").write_text(PLUGIN)
    known = index.open_registry([tmp_path / "data.py"])
    return selected.resolve("dataset", f"odd[how={','.join(ways)}]", known)


def test_nobody_is_asked_of_nothing():
    assert now_of([]) == []


def test_one_that_fails_or_dies_is_none_and_costs_no_other(tmp_path: Path):
    found = now_of(choices(tmp_path, "fine", "raise", "die", "print"))
    assert found == [Now("print of fine", "cpu"), None, None, Now("print of print", "cpu")]


def test_one_that_hangs_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fingerprints, "PATIENCE", 20.0)
    assert now_of(choices(tmp_path, "hang", "fine")) == [None, Now("print of fine", "cpu")]
