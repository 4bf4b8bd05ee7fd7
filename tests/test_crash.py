"""A short version of `python -m benchmarks.crash`."""

from __future__ import annotations

from benchmarks.crash import MOMENTS, PLUGIN, Count, crash, page

WORDS = (
    "-d", "digits", "-m", "mean_pool", "-m", "evaluated_slowly", "--plugin", str(PLUGIN),
    "--epochs", "150", "--batch-size", "8",
)  # fmt: skip


def test_a_killed_suite_loses_nothing_and_goes_on_to_the_bit():
    count = crash(len(MOMENTS) + 2, seed=1, words=WORDS)
    # a moment that was missed comes again, and what was killed then counts as random
    assert sum(count.kills.values()) == len(MOMENTS) + 2
    assert len(count.kills) >= len(MOMENTS) - 1
    assert (count.lost, count.twice, count.different, count.stray) == (0, 0, 0, 0)
    assert count.rows >= 1 and count.resumed >= 1


def test_the_page_says_what_was_lost():
    text = page(Count(lost=3, different=1))
    assert "Finished rows lost: 3" in text and "undisturbed suite's: 1" in text
