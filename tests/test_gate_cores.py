"""Who used the cores: told apart from what the sides themselves used."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.gate import cores
from harness.gate.cores import Reading, between
from harness.gate.workers import Broken, Worker

STAT = """cpu  100 0 50 800 10 5 5 30 0 0
cpu0 60 0 30 400 5 3 2 20 7 0
cpu1 40 0 20 400 5 2 3 10 0 0
cpu2 999 0 0 0 0 0 0 0 0 0
intr 123
"""


def test_counters_are_of_the_cores_that_are_asked_for(tmp_path: Path):
    (tmp_path / "stat").write_text(STAT)
    stolen_s, busy_s = cores.counters(tmp_path / "stat", [0, 1])
    assert stolen_s == pytest.approx(0.30) and busy_s == pytest.approx(1.60)
    assert cores.counters(tmp_path / "stat", [1])[0] == pytest.approx(0.10)
    assert cores.counters(tmp_path / "absent", [0]) == (0.0, 0.0)


def test_what_the_sides_did_not_use_others_did(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cores, "usable", lambda: [0, 1])
    first = Reading(10.0, 1.0, 50.0, {"base": 1.0, "head": 2.0})
    last = Reading(12.0, 1.4, 53.5, {"base": 2.0, "head": 2.5})
    used = between(first, last)
    assert used.steal == pytest.approx(0.1) and used.others == pytest.approx(0.5)
    assert used.cpu == {"base": pytest.approx(0.5), "head": pytest.approx(0.25)}


def test_a_clock_that_ticks_late_makes_no_negative_share(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cores, "usable", lambda: [0])
    used = between(Reading(0.0, 0.0, 0.0, {"base": 0.0}), Reading(1.0, 0.0, 0.9, {"base": 1.0}))
    assert used.others == 0.0


def test_threads_of_one_core_stay_together(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cores, "CAN_PIN", True)
    monkeypatch.setattr(cores, "usable", lambda: [0, 1, 2, 3, 4, 5])
    monkeypatch.setattr(
        cores, "_physical", lambda core: core % 3
    )  # 0 with 3, 1 with 4, 2 with 5
    assert cores.halves() == (frozenset({0, 3}), frozenset({1, 4}))  # one is left over
    monkeypatch.setattr(cores, "_physical", lambda core: 0)  # all of one core
    assert cores.halves() == (frozenset({0, 1, 2}), frozenset({3, 4, 5}))
    monkeypatch.setattr(cores, "_physical", lambda core: core)
    assert cores.halves() == (frozenset({0, 1, 2}), frozenset({3, 4, 5}))
    monkeypatch.setattr(cores, "usable", lambda: [3])
    assert cores.halves() is None


def test_halves_are_equal_where_one_thread_of_a_core_is_not_usable(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(cores, "CAN_PIN", True)
    monkeypatch.setattr(cores, "usable", lambda: [0, 1, 2, 4, 5])
    monkeypatch.setattr(cores, "_physical", lambda core: core % 3)
    assert cores.halves() == (frozenset({1, 4}), frozenset({2, 5}))


def test_where_nothing_can_be_pinned_there_are_no_halves(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cores, "CAN_PIN", False)
    assert cores.halves() is None and cores.usable()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux pins threads")
def test_a_worker_is_pinned_and_a_dead_one_no_error():
    with subprocess.Popen(["sleep", "60"], text=True) as process:
        try:
            core = frozenset([min(os.sched_getaffinity(0))])
            worker = Worker("base", process, io.StringIO())
            cores.pin(worker, core)
            assert os.sched_getaffinity(process.pid) == core
            with pytest.raises(
                Broken, match=r"cannot be put on the cores \[4095\]; try --in-turn"
            ):
                cores.pin(worker, frozenset([4095]))
        finally:
            process.kill()
    cores.pin(worker, core)


def test_in_a_container_with_a_share_of_the_machine_others_are_not_counted(tmp_path: Path):
    for text, limited in (("max 100000\n", False), ("200000 100000\n", True)):
        (tmp_path / "cpu.max").write_text(text)
        assert cores._is_limited(tmp_path / "cpu.max") is limited
    assert not cores._is_limited(tmp_path / "absent")
