"""Orders of the two ways, with workers made by hand that write down what they are asked."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from harness.gate import cores, ways
from harness.gate.ways import AtOnce, InTurn, Work, fitting


class Made:
    """Stands for a worker: head takes twice as long, and both note every order."""

    def __init__(self, side: str, log: list[str], *, lingers: float = 0.0) -> None:
        self.side, self.log, self.lingers = side, log, lingers
        self.cpu_s = 0.0
        self.answers: list[dict[str, Any]] = []

    def send(self, **order: Any) -> None:
        self.log.append(f"{order['do']} {self.side}")
        told: dict[str, Any] = {}
        if order["do"] == "block":
            seconds = order["epochs"] * (0.02 if self.side == "head" else 0.01)
            told = {"s": seconds, "epochs": order["epochs"], "steps": 2 * order["epochs"],
                    "switches": 3}  # fmt: skip
        elif order["do"] == "rest":
            self.cpu_s += self.lingers
            told = {"cpu_s": self.cpu_s}
        elif order["do"] == "calibrate":
            told = {"compute": 1.0, "memory": 2.0 if self.side == "head" else 1.0}
        self.answers.append(told)

    def answer(self) -> dict[str, Any]:
        return self.answers.pop(0)

    def ask(self, **order: Any) -> dict[str, Any]:
        self.send(**order)
        return self.answer()


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Sequence[int]]]:
    """What was pinned where; nothing is."""
    found: list[tuple[str, Sequence[int]]] = []
    monkeypatch.setattr(ways, "pin", lambda w, cores: found.append((w.side, sorted(cores))))
    monkeypatch.setattr(ways, "REST_S", 0.001)
    monkeypatch.setattr(cores, "counters", lambda path, cores: (0.0, 0.0))
    return found


def workers(log: list[str], **told: Any) -> Any:
    return {side: Made(side, log, **told) for side in ("base", "head")}


def blocks_in(log: list[str]) -> list[str]:
    return [words.partition(" ")[2] for words in log if words.startswith("block")]


def test_one_at_a_time_goes_forth_and_back_in_either_order(pinned: Any):
    seen = set()
    for seed in range(20):
        log: list[str] = []
        told = InTurn().quadruple(workers(log), Work(10), random.Random(seed))
        order = blocks_in(log)
        assert order == order[::-1] and [b.side for b in told.blocks] == order
        seen.add(order[0])
    assert seen == {"base", "head"} and not pinned


def test_at_once_the_sides_change_places_in_the_middle(pinned: Any):
    first = set()
    for seed in range(20):
        log: list[str] = []
        pinned.clear()
        way = AtOnce((frozenset({0}), frozenset({1})))
        told = way.quadruple(workers(log), Work(10), random.Random(seed))
        assert [b.side for b in told.blocks] == ["base", "head"] * 2
        assert {pinned[0][1][0], pinned[2][1][0]} == {0, 1}  # the base was on both
        assert {pinned[1][1][0], pinned[3][1][0]} == {0, 1}
        assert pinned[0][1] != pinned[1][1]
        first.add(pinned[0][1][0])
        # both are sent off before either is waited for
        at = log.index("block base")
        assert log[at : at + 2] == ["block base", "block head"]
    assert first == {0, 1}  # who has which first is drawn


@pytest.mark.parametrize("way", [InTurn(), AtOnce((frozenset({0}), frozenset({1})))])
def test_more_work_is_the_heads_and_does_not_count(pinned: Any, way: ways.Way):
    told = way.quadruple(workers([]), Work(10, 1), random.Random(0))
    for block in told.blocks:
        assert block.epochs == 10 and block.done == (11 if block.side == "head" else 10)
    assert told.calibration["compute"] == 0.0
    assert told.calibration["memory"] == pytest.approx(0.6931, abs=1e-4)


@pytest.mark.parametrize("way", [InTurn(), AtOnce((frozenset({0}), frozenset({1})))])
def test_a_side_that_computes_while_it_is_to_wait_disturbs(pinned: Any, way: ways.Way):
    calm = way.quadruple(workers([]), Work(10), random.Random(0))
    assert not any(block.disturbed for block in calm.blocks)
    busy = way.quadruple(workers([], lingers=1.0), Work(10), random.Random(0))
    assert all(block.disturbed for block in busy.blocks)


def test_both_at_once_only_where_the_device_is_the_processor(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ways, "halves", lambda: (frozenset({0}), frozenset({1})))
    assert isinstance(fitting({"cpu"}), AtOnce)
    assert isinstance(fitting({"NVIDIA H100"}), InTurn)
    monkeypatch.setattr(ways, "halves", lambda: None)
    assert isinstance(fitting({"cpu"}), InTurn)
