"""Random examples are taken once each, in the order in which they come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import harness
from harness.progress import report_to
from harness_datasets import _distinct
from harness_datasets._distinct import Draw, first_distinct


def given(*blocks: Sequence[tuple[int, int]]) -> Draw:
    """Blocks of one-token rows, each with its label."""
    left = iter(blocks)

    def draw(at_once: int) -> tuple[np.ndarray, np.ndarray]:
        block = next(left)
        rows = np.array([[token] for token, _ in block], np.int64)
        return rows, np.array([label for _, label in block], np.int64)

    return draw


def taken(draw: Draw, n: int, balanced: int = 1) -> list[tuple[int, int]]:
    rows, labels = first_distinct(draw, n, at_once=2, balanced=balanced, name="made", advice="")
    assert rows.dtype == labels.dtype == np.int32
    assert rows.shape == (n, 1) and labels.shape == (n,)
    return [*zip(rows[:, 0].tolist(), labels.tolist(), strict=True)]


def test_rows_come_once_in_their_order():
    draw = given([(5, 1), (6, 0), (5, 1)], [], [(6, 0), (7, 1), (8, 0), (9, 0)])
    assert taken(draw, 4) == [(5, 1), (6, 0), (7, 1), (8, 0)]


def test_balanced_classes_take_turns():
    draw = given([(1, 0), (2, 0), (3, 0), (4, 1)], [(4, 1), (5, 2), (6, 1), (7, 2)])
    assert taken(draw, 5, balanced=3) == [(1, 0), (4, 1), (5, 2), (2, 0), (6, 1)]


def test_a_longer_draw_begins_with_the_shorter_one():
    block = [(token, token % 2) for token in range(20)]
    assert taken(given(block), 9, balanced=2)[:4] == taken(given(block), 4, balanced=2)


def test_rows_of_one_key_are_one_row_of_each_class():
    draw = given([(12, 0), (13, 1), (18, 1), (25, 1), (11, 0), (26, 0)])
    rows, labels = first_distinct(
        draw,
        4,
        at_once=6,
        balanced=2,
        key=lambda row: bytes([row[0] // 10]),
        name="made",
        advice="",
    )
    assert rows[:, 0].tolist() == [12, 13, 26, 25] and labels.tolist() == [0, 1, 0, 1]


def test_too_few_different_rows_are_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_distinct, "PATIENCE", 50)
    draws = []

    def draw(at_once: int) -> tuple[np.ndarray, np.ndarray]:
        draws.append(at_once)
        return np.zeros((10, 3), np.int64), np.zeros(10, np.int64)

    with pytest.raises(harness.UsageError) as caught:
        first_distinct(draw, 20, at_once=10, name="made", advice="ask for fewer")
    words = "made found 1 of 20 examples, and hardly a new one in the last 50 draws"
    assert str(caught.value) == f"{words}; ask for fewer"
    assert len(draws) == 5


def test_a_draw_without_any_row_ends_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_distinct, "PATIENCE", 50)
    nothing = np.zeros((0, 3), np.int64), np.zeros(0, np.int64)
    with pytest.raises(harness.UsageError, match=r"found 0 of 1 .* last 50 draws; widen"):
        first_distinct(lambda at_once: nothing, 1, at_once=25, name="made", advice="widen them")


def test_rows_that_come_slowly_are_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_distinct, "PATIENCE", 20)
    tokens = iter(range(10**6))

    def draw(at_once: int) -> tuple[np.ndarray, np.ndarray]:
        return np.full((at_once, 1), next(tokens) // 2), np.zeros(at_once, np.int64)

    monkeypatch.setattr(_distinct, "LEAST", 3)
    rows, _ = first_distinct(draw, 40, at_once=3, name="made", advice="")
    assert rows[:, 0].tolist() == [*range(40)]


def test_progress_is_told():
    told = []
    with report_to(lambda *report: told.append(report)):
        taken(given([(1, 0)], [(2, 0), (3, 0)]), 3)
    assert told == [("generating made", 1, 3), ("generating made", 3, 3)]
