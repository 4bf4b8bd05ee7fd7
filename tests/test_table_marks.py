from __future__ import annotations

import json

from answered import answered_rows, stored
from stored import make_epochs, make_row

from harness.comparison import Evidence
from harness.frames import frame_of
from harness.table import caption, tabulate


def test_a_caption_explains_the_marks_that_are_there():
    frame, evidence = stored(
        answered_rows("mlp", 0.9),
        answered_rows("mlp", 0.5, variant="thin", params={"width": 1}),
        answered_rows("one", 0.9, seeds=[0]),
    )
    text = caption(frame, tabulate(frame, evidence=evidence))
    for mark in (
        "interval over seeds and test examples;", "= marks ties", "* differs from",
        "§ one seed: 95 % intervals (over test examples only), ranks and * are about these "
        "trained models, not about other seeds",
        "adjusted over 3 pairs (Holm)",
    ):  # fmt: skip
        assert mark in text, mark
    assert "¶" not in text and "±" not in text and "tuning" not in text


def test_one_seed_alone_is_said_of_its_interval():
    frame, evidence = stored(answered_rows("one", 0.9, seeds=[0]))
    text = caption(frame, tabulate(frame, evidence=evidence))
    assert "only) are about these trained models" in text and "rank" not in text


def test_a_mark_behind_a_difference_alone_is_explained_too():
    """Parent and child have answers, and one seed in common."""
    frame, evidence = stored(
        answered_rows("mlp", 0.9, seeds=[0, 1]),
        answered_rows("mlp", 0.5, variant="thin", params={"width": 1}, seeds=[1, 2]),
    )
    lines = tabulate(frame, evidence=evidence)
    assert set(lines["accuracy_over"]) == {"seeds and examples"}
    assert "§ one seed:" in caption(frame, lines)


def test_each_data_set_is_said_to_be_a_family_of_its_own():
    there = [answered_rows(m, a, dataset=d) for m, a in (("a", 0.9), ("b", 0.5))
             for d in ("digits", "imdb")]  # fmt: skip
    frame, evidence = stored(*there)
    text = caption(frame, tabulate(frame, evidence=evidence))
    assert "adjusted over the one pair of each data set (Holm)" in text
    frame, evidence = stored(*there, answered_rows("c", 0.2))
    text = caption(frame, tabulate(frame, evidence=evidence))
    assert "adjusted over all pairs of each data set (1 to 3) (Holm)" in text


def test_and_no_others():
    rows = [make_row(seed=s, accuracy=0.5 + s / 10) for s in range(2)]
    lines = tabulate(frame_of(rows), evidence=Evidence())
    text = caption(frame_of(rows), lines)
    assert "¶ 95 % interval over seeds only" in text
    assert not [mark for mark in ("§", "ties", "*", "±", "pareto", "target") if mark in text]
    assert "± is the standard deviation" in caption(frame_of(rows), tabulate(frame_of(rows)))


def test_only_letters_that_occur_are_explained_and_a_missing_judgement_is_said():
    costs = {"step_ms_p50": 1.0, "param_count": 1, "train_s": 1.0}
    both = [answered_rows("a", 0.9, **costs), answered_rows("b", 0.5, **costs)]
    frame, evidence = stored(*both)
    text = caption(frame, tabulate(frame, evidence=evidence))
    assert "with S a faster step, P fewer parameters, T less" in text and "judged" not in text
    slow = answered_rows("c", 0.5, timing_comparable=False, **costs)
    frame, evidence = stored(*both, slow)
    text = caption(frame, tabulate(frame, evidence=evidence))
    assert "with P fewer parameters; pareto: S and T are not judged: ‡\n" in text
    there = [answered_rows(n, 0.9, dataset="imdb", **costs) for n in ("a", "b")]
    frame, evidence = stored(*both, slow, *there)
    assert "not judged: ‡ (digits)" in caption(frame, tabulate(frame, evidence=evidence))


def test_a_line_that_was_not_compared_is_said():
    frame, evidence = stored(
        answered_rows("a", 0.9), answered_rows("b", 0.5), answered_rows("c", 0.7, seeds=[9])
    )
    text = caption(frame, tabulate(frame, evidence=evidence))
    assert "a line without a rank was not compared" in text and "the one pair" in text


def test_a_time_to_a_target_names_its_split_and_its_runs():
    rows = [make_row(seed=s) for s in range(2)]
    epochs = {
        row["run_id"]: make_epochs([1.0], [accuracy], split="val")
        for row, accuracy in zip(rows, (0.9, 0.1), strict=True)
    }
    frame = frame_of(rows)
    lines = tabulate(frame, evidence=Evidence(epochs=epochs), target_accuracy=0.8)
    text = caption(frame, lines)
    assert "an epoch's validation accuracy" in text and "while train s is of all" in text
    lines = tabulate(frame, evidence=Evidence(epochs=epochs), target_accuracy=0.05)
    assert "while train s" not in caption(frame, lines)


def test_unequal_tuning_is_said():
    frame, evidence = stored(
        answered_rows("a", 0.9, tune_trials=4), answered_rows("b", 0.5, tune_trials=0)
    )
    assert "unequal tuning" in caption(frame, tabulate(frame, evidence=evidence))


def test_data_sets_that_are_tuned_otherwise_are_not_compared():
    each = {"digits": 0, "imdb": 4}
    frame, evidence = stored(
        *(answered_rows(model, 0.9, dataset=data, tune_trials=trials)
          for data, trials in each.items() for model in ("a", "b"))
    )  # fmt: skip
    lines = tabulate(frame, evidence=evidence)
    assert "rank" in lines and "tune_trials" in lines
    assert "unequal tuning" not in caption(frame, lines)


def test_and_so_are_unequal_spaces():
    spaces = ("0.0001:0.01:log", "0.0001:0.1:log")
    several = [
        answered_rows(model, 0.9, tune_trials=8, tune=json.dumps(
            {"space": {"learning_rate": space}, "budget": 8, "chosen": {"learning_rate": 1e-3}}
        ))
        for model, space in (("a", spaces[0]), ("b", spaces[0]), ("a", spaces[1]))
    ]  # fmt: skip
    frame, evidence = stored(*several)
    assert "unequal tuning" in caption(frame, tabulate(frame, evidence=evidence))
    frame, evidence = stored(*several[:2])
    assert "unequal tuning" not in caption(frame, tabulate(frame, evidence=evidence))
