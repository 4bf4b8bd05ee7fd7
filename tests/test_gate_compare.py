"""Which differences between two sides matter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.gate.compare import cannot_have_slowed, changes, compare, mechanism, slower
from harness.gate.deterministic import outcome
from harness.gate.signals import CellSignals, ProgramSignals

NUMBERS = {
    "flops": 1e6, "transcendentals": 1e4, "bytes": 1e7, "temp_bytes": 1e7,
    "argument_bytes": 1e6, "output_bytes": 1e6, "donated": 5.0, "outside": 0.0,
}  # fmt: skip


def program(hlo_hash: str = "a", *, operations: Any = None, **numbers: float) -> ProgramSignals:
    return ProgramSignals(hlo_hash, {**NUMBERS, **numbers}, operations or {"dot f32": 3})


def cell(train: ProgramSignals | None = None, **changes: Any) -> CellSignals:
    base = CellSignals(
        "digits x mlp", {"train": train or program(), "eval": program("e")}, recompiles=0,
        sources={"models/mlp.py": "1"}, packages={"jax": "0.10"},
    )  # fmt: skip
    return replace(base, **changes)


def levels(head: CellSignals, *, again: CellSignals | None = None) -> dict[str, str]:
    base = cell()
    return {f.signal: f.level for f in compare(base, again or base, head)}


def test_equal_sides_have_no_findings_and_need_no_timing():
    assert levels(cell()) == {}
    assert cannot_have_slowed(cell(), cell())
    assert mechanism(cell(), cell()) == ""


@pytest.mark.parametrize(
    ("signal", "within", "beyond"),
    [
        ("flops", 1.005e6, 1.0051e6),
        ("transcendentals", 1.005e4, 1.0051e4),
        ("bytes", 1.01e7, 1.0101e7),
        ("temp_bytes", 1.02e7, 1.0201e7),
        ("argument_bytes", 1.064e6, 1.065e6),  # two per cent are less than 64 kB here
        ("donated", 6.0, 4.0),
        ("outside", 0.0, 1.0),
    ],
)
def test_a_number_fails_beyond_its_tolerance_only(signal: str, within: float, beyond: float):
    assert levels(cell(program("b", **{signal: within}))).get(signal, "note") == "note"
    assert levels(cell(program("b", **{signal: beyond})))[signal] == "fail"


def test_lost_donation_shows_though_no_instruction_changed():
    assert levels(cell(program("a", donated=4.0))) == {"donated": "fail"}


def test_less_work_is_a_note():
    assert levels(cell(program("b", flops=5e5)))["flops"] == "note"


def test_a_signal_that_the_base_itself_does_not_repeat_is_not_used():
    again = cell(program("c", temp_bytes=2e7))
    found = levels(cell(program("b", temp_bytes=9e7, flops=2e6)), again=again)
    assert found["temp_bytes"] == "note" and found["flops"] == "fail"


def test_new_implicit_transfers_fail_fewer_do_not_and_unsteady_ones_say_nothing():
    base = cell(transfers={"host-to-device": 8})
    more, fewer = cell(transfers={"host-to-device": 9}), cell(transfers={})
    (finding,) = compare(base, base, more)
    assert finding.level == "fail" and finding.words.endswith(
        "transfers in the same steps 8 to 9"
    )
    assert [f.level for f in compare(base, base, fewer)] == ["note"]
    (unsteady,) = compare(base, more, cell(transfers={"host-to-device": 20}))
    assert unsteady.level == "note" and unsteady.words.endswith("differ by run; not compared")
    assert compare(base, base, cell(transfers=None)) == []  # nothing tells them there


def test_a_second_compilation_of_the_base_that_dies_compares_nothing():
    worse = cell(program("b", flops=5e6))
    again = cell(error="the process that compiles died (exit -9)")
    told = outcome(cell(), again, worse)
    assert "died (exit -9)" in told.broken and told.findings[0].signal == "base"


def test_what_the_base_does_not_have_is_new_and_not_timed():
    absent = cell(error="UnknownName: no model 'mlp'", absent=True)
    told = outcome(absent, absent, cell())
    assert told.is_new and told.unchanged and not told.broken
    assert [f.signal for f in told.findings] == ["new"]
    neither = outcome(absent, absent, cell(error="UnknownName: no model 'mlp'"))
    assert not neither.is_new and neither.broken


def test_compiling_again_after_warm_up_fails_and_is_named():
    head = cell(recompiles=3, recompiled="step(float32[3])")
    (finding,) = compare(cell(), cell(), head)
    assert finding.level == "fail" and "step(float32[3])" in finding.words
    assert levels(cell(recompiles=None)) == {}


def test_new_operations_are_named_and_new_doubles_warn():
    head = cell(program("b", operations={"dot f32": 3, "convert f64": 2, "copy f32": 1}))
    found = {f.signal: f for f in compare(cell(), cell(), head)}
    assert found["f64"].level == "warn"
    assert found["hlo_hash"].words == "train: convert f64 +2, copy f32 +1"
    assert changes({"dot f32": 2}, {}) == "dot f32 -2"


def test_a_head_that_does_not_compile_fails_and_a_base_that_does_not_says_nothing():
    assert levels(CellSignals("digits x mlp", {}, error="boom")) == {"head": "fail"}
    broken = CellSignals("digits x mlp", {}, error="boom")
    (finding,) = compare(broken, broken, cell())
    assert finding.level == "note" and "base cannot be compiled: boom" in finding.words


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (cell(program("b")), "its train program changed"),
        (cell(sources={"models/mlp.py": "2"}), "host code changed (models/mlp.py)"),
        (cell(packages={"jax": "0.11"}), "dependencies changed (jax)"),
    ],
)
def test_whatever_changed_could_be_why_a_cell_is_slower(head: CellSignals, words: str):
    assert not cannot_have_slowed(cell(), head)
    assert mechanism(cell(), head) == words


def test_a_slowdown_is_known_by_the_code_of_both_sides_and_no_other_machine_is_another():
    host = cell(sources={"models/mlp.py": "2"}, packages={"jax": "0.11", "numpy": "1"})
    base = cell(packages={"jax": "0.10", "numpy": "1"})
    found = slower(base, host, words="slower by +10 %")
    assert (found.signal, found.level) == ("step_time", "fail") and found.base != found.head
    elsewhere = {"device_kind": "gpu", "packages": {"jax": "0.10", "numpy": "2"}}
    there = slower(
        replace(base, **elsewhere),
        replace(host, device_kind="gpu", packages={"jax": "0.11", "numpy": "2"}), words="",
    )  # fmt: skip
    assert (there.base, there.head) == (found.base, found.head)
    for other in (
        {"sources": {"models/mlp.py": "3"}},
        {"packages": {"jax": "0.12", "numpy": "1"}},
    ):
        assert slower(base, replace(host, **other), words="").head != found.head
