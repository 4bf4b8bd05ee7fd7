from __future__ import annotations

from answered import answered_rows, stored
from stored import make_row

from harness.comparison import Evidence
from harness.store import frame_of
from harness.table import caption, tabulate


def test_a_caption_explains_the_marks_that_are_there():
    frame, evidence = stored(
        answered_rows("mlp", 0.9),
        answered_rows("mlp", 0.5, variant="thin", params={"width": 1}),
        answered_rows("one", 0.9, seeds=[0]),
    )
    text = caption(frame, tabulate(frame, evidence=evidence))
    for mark in (
        "interval over seeds and test examples;", "§ one seed:", "= marks ties",
        "* differs from",
    ):  # fmt: skip
        assert mark in text, mark
    assert "¶" not in text and "±" not in text and "tuning" not in text


def test_and_no_others():
    rows = [make_row(seed=s, accuracy=0.5 + s / 10) for s in range(2)]
    lines = tabulate(frame_of(rows), evidence=Evidence())
    text = caption(frame_of(rows), lines)
    assert "¶ 95 % interval over seeds only" in text
    assert not [mark for mark in ("§", "ties", "*", "±", "pareto", "target") if mark in text]
    assert "± is the standard deviation" in caption(frame_of(rows), tabulate(frame_of(rows)))


def test_unequal_tuning_is_said():
    frame, evidence = stored(
        answered_rows("a", 0.9, tune_trials=4), answered_rows("b", 0.5, tune_trials=0)
    )
    assert "unequal tuning" in caption(frame, tabulate(frame, evidence=evidence))
