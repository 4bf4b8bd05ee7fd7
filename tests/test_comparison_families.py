from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.comparison import best, difference, family, holm, ranks, ranks_over
from harness.comparison import families as module
from harness.comparison.families import Answers

EXAMPLES = 400


def answers(accuracy: float, *, seeds: tuple[int, ...] = (0, 1, 2), examples: int = EXAMPLES):
    """Runs that are right on the first examples, a few fewer from seed to seed."""
    count = round(accuracy * examples)
    return {seed: np.arange(examples) < count - seed for seed in seeds}


def test_holm_is_the_step_down_procedure():
    p = np.array([0.001, 0.2, 0.012, 0.03])
    assert holm(p).tolist() == pytest.approx([0.004, 0.2, 0.036, 0.06])
    assert holm(np.array([])).tolist() == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_adjusting_keeps_the_order_and_lowers_nothing(values: list[float]):
    p = np.array(values)
    adjusted = holm(p)
    assert (adjusted >= p).all() and (adjusted <= np.minimum(1, p * max(1, len(p)))).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_every_pair_is_there_both_ways_with_what_difference_says(
    monkeypatch: pytest.MonkeyPatch,
):
    lines = {7: answers(0.9), 3: answers(0.6), 5: answers(0.62)}
    found = family(lines)
    assert len(found) == 6
    alone = difference(np.stack(list(lines[7].values())), np.stack(list(lines[3].values())))
    pair = found[7, 3]
    assert (pair.estimate, pair.low, pair.high, pair.p) == pytest.approx(
        (alone.estimate, alone.low, alone.high, alone.p)
    )
    assert found[3, 7] == pair.turned() and found[3, 7].estimate < 0
    raw = np.array([found[key].p for key in ((7, 3), (7, 5), (3, 5))])
    told = [found[key].p_holm for key in ((7, 3), (7, 5), (3, 5))]
    assert told == pytest.approx(holm(raw).tolist())
    monkeypatch.setattr(module, "AT_ONCE", 1)  # a pair at a time
    assert family(lines) == found


def test_only_common_seeds_are_paired_and_other_examples_never():
    lines = {
        0: answers(0.9, seeds=(0, 1, 2)),
        1: answers(0.8, seeds=(2, 3)),
        2: answers(0.7, seeds=(5,)),
        3: answers(0.7, examples=100),
    }
    found = family(lines)
    assert set(found) == {(0, 1), (1, 0)}
    assert found[0, 1].seeds == 1


def accuracies(lines: Mapping[int, Answers]) -> dict[int, float]:
    return {key: float(np.mean(list(told.values()))) for key, told in lines.items()}


def test_an_unstable_line_takes_no_rank_from_a_better_one():
    """Its seeds disagree so much that nothing differs from it for certain."""
    rng = np.random.default_rng(0)
    wild = {s: rng.random(EXAMPLES) < p for s, p in enumerate((0.1, 0.5, 0.95))}
    lines = {0: answers(0.95), 1: answers(0.7), 2: wild}
    found = family(lines)
    assert found[0, 1].significant and not found[0, 2].significant
    assert accuracies(lines)[2] < accuracies(lines)[1]
    assert ranks(accuracies(lines), found) == {0: 1, 1: 2, 2: 1}


def test_a_line_that_was_not_compared_has_no_rank():
    """The third has no common seed with the others, and the fourth with one only."""
    lines = {
        0: answers(0.9), 1: answers(0.5, seeds=(0, 1, 2, 7)), 2: answers(0.95, seeds=(5, 6)),
        3: answers(0.6, seeds=(7, 8)),
    }  # fmt: skip
    found = family(lines)
    assert found[3, 1].significant  # so it counts as one of two lines that are better
    assert ranks(accuracies(lines), found) == {0: 1, 1: 3}
    apart = {key: lines[key] for key in (0, 2)}
    assert ranks(accuracies(apart), family(apart)) == {}


def test_ranks_are_of_the_most_lines_that_were_compared_and_not_of_the_most_accurate():
    """The first has a common seed with one of the others alone."""
    lines = {
        0: answers(0.95, seeds=(7, 8)), 1: answers(0.9, seeds=(0, 1, 2, 7)),
        2: answers(0.7), 3: answers(0.5),
    }  # fmt: skip
    assert ranks(accuracies(lines), family(lines)).keys() == {1, 2, 3}


def test_a_rank_rests_on_one_seed_if_the_line_or_one_that_counts_as_better_has_one():
    lines = {
        0: answers(0.9), 1: answers(0.7), 2: answers(0.8, seeds=(0,)), 3: answers(0.85),
    }  # fmt: skip
    found = family(lines)
    assert ranks(accuracies(lines), found) == {0: 1, 1: 4, 2: 3, 3: 2}
    over = ranks_over(found)
    assert over[0] == over[3] == "seeds and examples"
    assert over[1] == over[2] == "examples"


def test_no_line_is_the_best_on_one_common_seed():
    alone = {key: answers(accuracy, seeds=(0,)) for key, accuracy in ((0, 0.9), (1, 0.5))}
    found = family(alone)
    assert found[0, 1].significant and best([0, 1], found) is None
    lines = {0: answers(0.9), 1: answers(0.5), 2: answers(0.5, seeds=(2,))}
    assert best([0, 1, 2], family(lines)) is None
    assert best([0, 1], family(lines)) == 0


def test_lines_that_are_not_told_apart_share_a_rank():
    lines = {0: answers(0.6), 1: answers(0.95), 2: answers(0.61), 3: answers(0.3)}
    found = family(lines)
    assert ranks(accuracies(lines), found) == {0: 2, 1: 1, 2: 2, 3: 4}
    assert best(list(lines), found) == 1
    assert best([0, 2], found) is None and best([1], found) is None
