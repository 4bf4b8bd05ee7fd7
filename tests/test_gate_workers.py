"""A worker that dies or hangs breaks the measurement and says which side it was."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.gate import workers
from harness.gate.side import Side
from harness.gate.workers import Broken, ask_all, started

BASE = Side("base", "here", sys.executable, ())
QUESTION: dict[str, Any] = {
    "cells": [{"dataset": "digits", "model": "mean_pool", "steps": 1}],
    "plugins": [], "recipe": {"batch_size": 32},
}  # fmt: skip


def test_a_worker_answers_each_order_and_ends_with_its_context():
    with started(BASE, QUESTION) as worker:
        told = ask_all({"base": worker}, do="block", epochs=3)
        assert told["base"]["epochs"] == 3 and told["base"]["s"] > 0
        first, second = (worker.ask(do="rest")["cpu_s"] for _ in range(2))
        assert 0 < first <= second < first + 0.1
        assert set(worker.ask(do="calibrate")) == {"compute", "memory"}
    assert worker.process.poll() is not None


def test_beyond_a_block_a_worker_trains_on_until_it_is_asked_again():
    with started(BASE, QUESTION) as worker:
        worker.ask(do="block", epochs=2)
        before = worker.ask(do="rest")["cpu_s"]
        worker.ask(do="block", epochs=1, beyond=True)
        time.sleep(2)  # a busy machine gives it less of that
        busy = worker.ask(do="rest")["cpu_s"] - before
        time.sleep(0.5)
        idle = worker.ask(do="rest")["cpu_s"] - before - busy
        assert busy > 0.2  # it computed all along
        assert idle < 0.1 * busy


def test_a_worker_that_hangs_breaks_the_measurement(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workers, "PATIENCE_S", 0.5)
    with (
        pytest.raises(Broken, match="base's worker gave no answer for 0.5 s"),
        started(BASE, QUESTION) as worker,
    ):
        worker.ask(do="block", epochs=2)


def test_a_worker_that_dies_breaks_the_measurement():
    dead = replace(BASE, name="head", python="/bin/false")
    with (
        pytest.raises(Broken, match="head's worker died"),
        started(dead, QUESTION) as worker,
    ):
        worker.ask(do="block", epochs=2)


def test_a_worker_that_is_killed_leaves_no_line_of_a_log_as_its_words():
    with (
        pytest.raises(Broken, match=r"base's worker died \(-9\)$"),
        started(BASE, QUESTION) as worker,
    ):
        worker.ask(do="block", epochs=2)
        worker.process.kill()
        worker.ask(do="block", epochs=2)


def test_the_last_words_of_a_worker_are_told(tmp_path: Path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho first >&2; echo out of luck >&2; exit 3\n")
    script.chmod(0o755)
    with (
        pytest.raises(Broken, match=r"base's worker died \(3\) out of luck"),
        started(replace(BASE, python=str(script)), QUESTION) as worker,
    ):
        worker.ask(do="block", epochs=2)
