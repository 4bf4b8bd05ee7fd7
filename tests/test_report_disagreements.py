"""Disagreements: which examples are chosen, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from reported import answers

from harness.report.disagreements import (
    EXAMPLES,
    LETTERS,
    choose,
    disagreements,
    pair_counts,
    shortened,
)

FIRST = answers(label=[0, 0, 1, 1], predicted=[[0, 1, 1, 0], [0, 1, 1, 1], [1, 1, 1, 0]],
                probability=[[0.9, 0.8, 0.7, 0.6]] * 3, model="first")  # fmt: skip
SECOND = answers(label=[0, 0, 1, 1], predicted=[[0, 0, 1, 0]], model="second", place=1)


def test_examples_that_divide_the_lines_are_decoded_once_with_what_each_line_says():
    asked: list[Sequence[int]] = []

    def texts(indices: Sequence[int]) -> dict[int, str]:
        asked.append(indices)
        return {index: f"text {index}" for index in indices}

    (example,) = disagreements([FIRST, SECOND], texts)
    assert asked == [[1]]
    assert (example.index, example.text, example.actual) == (1, "text 1", 0)
    first, second = example.said
    assert (first.model, first.answer, first.seeds, first.of) == ("first", 1, 3, 3)
    assert first.probability == pytest.approx(0.8)
    assert (second.answer, second.seeds, second.of, second.probability) == (0, 1, 1, None)


def test_a_seed_that_says_something_else_does_not_count_for_the_line():
    (example,) = disagreements(
        [FIRST, answers(label=[0, 0, 1, 1], predicted=[[0, 1, 1, 1]], place=1)],
        lambda indices: dict.fromkeys(indices, ""),
    )
    assert (example.index, example.said[0].seeds, example.said[0].of) == (3, 2, 3)


def test_where_all_agree_nothing_is_decoded():
    def refused(_: Sequence[int]) -> dict[int, str]:
        raise AssertionError

    assert disagreements([FIRST, FIRST], refused) == []
    assert disagreements([FIRST], refused) == []


def test_every_pair_has_its_most_certain_example_before_the_rest_fills_up():
    n = 500
    random = np.random.default_rng(0)
    votes = [random.integers(0, 3, n) for _ in range(4)]
    sure = [random.random(n) for _ in range(4)]
    chosen = choose(votes, sure)
    assert len(chosen) == EXAMPLES == len(set(chosen)) and chosen == sorted(chosen)
    first = (votes[0] != votes[1]) * (sure[0] + sure[1])
    assert int(first.argmax()) in chosen
    for a in range(4):
        for b in range(a):
            assert any(votes[a][i] != votes[b][i] for i in chosen)


def test_counts_of_a_pair_say_who_is_right():
    assert pair_counts(FIRST, SECOND) == {"both": 2, "first": 0, "second": 1, "none": 1}
    assert sum(pair_counts(FIRST, FIRST).values()) == 4


def test_long_texts_are_cut_between_words():
    assert shortened("short") == "short"
    text = "word " * 500
    assert len(shortened(text)) <= LETTERS + 2 and shortened(text).endswith("word …")
    assert shortened("x" * 1000) == "x" * LETTERS + " …"
