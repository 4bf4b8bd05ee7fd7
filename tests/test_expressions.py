"""Random expressions against plain definitions of how they grow and what they come to."""

from __future__ import annotations

from collections import Counter
from statistics import median

import numpy as np
import pytest

from harness_datasets._expressions import (
    CLOSE,
    FIRST_DIGIT,
    FIRST_OPERATOR,
    OPERATORS,
    WORDS,
    Limits,
    apply,
    draw,
    grow,
)

SMALL = Limits(min_length=4, max_length=60, max_depth=4, max_args=4)


def new_random(seed: int = 0) -> np.random.RandomState:
    return np.random.RandomState(seed)


def texts(limits: Limits = SMALL, *, n: int = 3000) -> list[list[str]]:
    """The words of each expression."""
    x, _ = draw(new_random(), n, limits)
    return [[WORDS[id_] for id_ in row if id_] for row in x.tolist()]


def nested(words: list[str]) -> list[tuple[int, str, int]]:
    """Depth, symbol and number of arguments of each node, read off the brackets."""
    found: list[tuple[int, str, int]] = []
    opened: list[int] = []
    for word in words:
        if word == "]":
            opened.pop()
            continue
        if opened:
            depth, symbol, arguments = found[opened[-1]]
            found[opened[-1]] = (depth, symbol, arguments + 1)
        found.append((len(opened) + 1, word, 0))
        if word.startswith("["):
            opened.append(len(found) - 1)
    assert not opened
    return found


def test_words_and_ids_agree():
    assert WORDS[FIRST_DIGIT : FIRST_DIGIT + 10] == tuple("0123456789")
    assert WORDS[FIRST_OPERATOR:CLOSE] == OPERATORS and WORDS[CLOSE] == "]"
    assert len(set(WORDS)) == len(WORDS) == 16


@pytest.mark.parametrize("counts", [(2, 3, 5, 4), (2,), (7, 2, 2, 2, 6, 3)])
def test_operators_are_those_of_the_paper(counts: tuple[int, ...]):
    groups = [new_random(sum(counts)).randint(0, 10, n).tolist() for n in counts]
    plain = (min, max, lambda group: int(median(group)), lambda group: sum(group) % 10)
    flat = np.array([value for group in groups for value in group])
    for number, function in enumerate(plain):
        found = apply(np.full(len(counts), number), flat, np.array(counts))
        assert found.tolist() == [function(group) for group in groups]
    mixed = np.arange(len(counts)) % 4
    expected = [plain[i](group) for i, group in zip(mixed, groups, strict=True)]
    assert apply(mixed, flat, np.array(counts)).tolist() == expected


def test_an_expression_keeps_to_its_limits():
    depths, arguments, lengths = Counter(), Counter(), Counter()
    for words in texts():
        nodes = nested(words)
        lengths[len(words)] += 1
        depths[max(depth for depth, _, _ in nodes)] += 1
        arguments.update(n for _, symbol, n in nodes if symbol.startswith("["))
    assert set(depths) == {2, 3, 4}
    assert set(arguments) == {2, 3, 4}
    assert 4 in lengths and min(lengths) == 4 and 40 < max(lengths) <= 60


def test_lengths_outside_the_limits_are_left_out():
    limits = Limits(min_length=9, max_length=12, max_depth=4, max_args=4)
    assert {len(words) for words in texts(limits)} == {9, 10, 11, 12}
    everything = Counter(map(len, texts(Limits(4, 10**3, 4, 4))))
    within = Counter(map(len, texts(limits)))
    # what is too long stops to grow, and so draws less; what is not too long is no rarer
    for length in within:
        assert within[length] == pytest.approx(everything[length], abs=50), length


def test_padding_is_in_front():
    x, _ = draw(new_random(), 500, SMALL)
    real = x != 0  # [n, t]
    assert x.dtype == np.int32 and x.shape[1] == 60
    assert real[:, -1].all() and (real[:, 1:] >= real[:, :-1]).all()


def test_a_quarter_of_the_arguments_are_expressions():
    # of those that may be: not the top, which is one, nor the last level, which has none
    levels = grow(new_random(), 4000, Limits(4, 10**6, 5, 10))
    assert (levels[0].arguments > 0).all() and not levels[4].arguments.any()
    inner = np.concatenate([level.arguments > 0 for level in levels[1:4]])
    assert inner.mean() == pytest.approx(0.25, abs=0.01)


def test_symbols_and_numbers_of_arguments_are_equally_likely():
    levels = grow(new_random(), 4000, Limits(4, 10**6, 4, 10))
    inner = np.concatenate([level.arguments > 0 for level in levels])
    symbols = np.concatenate([level.symbol for level in levels])
    arguments = np.concatenate([level.arguments for level in levels])[inner]
    for values, low, kinds in (
        (symbols[inner], 0, 4),
        (symbols[~inner], 0, 10),
        (arguments, 2, 9),
    ):
        shares = np.bincount(values - low, minlength=kinds) / len(values)
        np.testing.assert_allclose(shares, 1 / kinds, atol=0.01)


def test_what_is_far_too_long_stops_to_grow():
    levels = grow(new_random(), 50, Limits(4, 100, 40, 10))
    owner = np.concatenate([level.owner for level in levels])
    assert 100 < np.bincount(owner).max() < 1000
