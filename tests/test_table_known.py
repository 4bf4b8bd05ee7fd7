"""The columns that evidence adds to lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from answered import answered_rows, stored
from stored import failed_row, make_epochs, make_row

from harness.comparison import Evidence, difference, mean_interval
from harness.frames import frame_of
from harness.table import caption, counted, pairs, tabulate, to_text
from harness.table.known import ADDED


def lines_of(frame: pd.DataFrame, evidence: Evidence, **options: Any) -> pd.DataFrame:
    return tabulate(frame, evidence=evidence, **options).set_index("model", drop=False)


def test_lines_that_are_told_apart_have_ranks_and_others_share_them():
    frame, evidence = stored(
        answered_rows("good", 0.95), answered_rows("fair", 0.60), answered_rows("same", 0.61)
    )
    lines = lines_of(frame, evidence)
    assert lines["rank"].to_dict() == {"good": 1, "fair": 2, "same": 2}
    assert lines["tied"].to_dict() == {"good": False, "fair": True, "same": True}
    assert lines["best"].to_dict() == {"good": True, "fair": False, "same": False}
    assert lines.loc["good", "vs_next"] == pytest.approx(0.34)
    assert lines.loc["good", "vs_next_p"] <= 0.05 < lines.loc["same", "vs_next_p"]
    assert pd.isna(lines.loc["fair", "vs_next"])
    text = to_text(lines, "text")
    assert [line.split()[3] for line in text.splitlines()[2:]] == ["1", "2=", "2="]


def test_an_accuracy_has_the_interval_of_its_answers():
    runs = answered_rows("good", 0.9)
    frame, evidence = stored(runs)
    line = lines_of(frame, evidence).iloc[0]
    told = mean_interval(np.stack([right for _, right in runs.values()]))
    assert (line["accuracy_low"], line["accuracy_high"]) == (told.low, told.high)
    assert line["accuracy"] == pytest.approx(told.estimate)
    assert f"{told.estimate:.4f} [{told.low:.3f}, {told.high:.3f}] " in to_text(
        tabulate(frame, evidence=evidence), "text"
    )


def test_what_an_interval_is_over_is_told_and_marked():
    bare = [make_row("old", seed=s, accuracy=0.5 + s / 100) for s in range(2)]
    frame, evidence = stored(
        answered_rows("several", 0.9),
        answered_rows("one", 0.9, seeds=[0]),
    )
    rows = [*frame.to_dict("records"), *bare, make_row("alone")]
    lines = lines_of(frame_of([{k: _none(v) for k, v in r.items()} for r in rows]), evidence)
    over = {k: _none(v) for k, v in lines["accuracy_over"].to_dict().items()}
    assert over == {
        "several": "seeds and examples", "one": "examples", "old": "seeds", "alone": None,
    }  # fmt: skip
    assert lines["rank"].notna().tolist() == [True, True, False, False]
    text = to_text(lines, "text").splitlines()
    assert "]§" in text[3] and "]¶" in text[4] and "[" not in text[5]
    assert "]§" not in text[2] and "1=§" in text[2]  # it shares one seed with the only other


def _none(value: Any) -> Any:
    return None if pd.isna(value) else value


def without_answers(frame: pd.DataFrame, evidence: Evidence, *models: str) -> Evidence:
    """What is left of the answers if those of some lines are not stored."""
    gone = set(frame.loc[frame["model"].isin(models) & frame["variant"].eq(""), "run_id"])
    return Evidence(right={k: v for k, v in evidence.right.items() if k not in gone})


def test_an_accuracy_over_seeds_alone_lies_between_0_and_1():
    rows = [make_row("old", seed=s, accuracy=a) for s, a in enumerate((0.9, 1.0))]
    lines = tabulate(frame_of(rows), evidence=Evidence())
    assert lines["accuracy_high"].tolist() == [1.0]
    assert "0.9500 [0.315, 1.000]¶" in to_text(lines, "text")


def test_an_unstable_line_is_tied_with_the_best_and_takes_no_rank_from_the_others():
    wild = {}
    for seed, accuracy in enumerate((0.1, 0.5, 0.95)):
        wild |= answered_rows("wild", accuracy, seeds=[seed])
    frame, evidence = stored(answered_rows("good", 0.95), answered_rows("fair", 0.7), wild)
    lines = lines_of(frame, evidence)
    assert lines["rank"].to_dict() == {"good": 1, "fair": 2, "wild": 1}
    assert lines["tied"].to_dict() == {"good": True, "fair": False, "wild": True}
    assert lines["vs_best"].to_dict() == {"good": "best", "fair": "worse", "wild": "tied"}
    assert lines["rank_over"].unique().tolist() == ["seeds and examples"]


def test_a_line_some_of_whose_answers_are_missing_is_not_ranked():
    runs = answered_rows("part", 0.9)
    frame, evidence = stored(runs, answered_rows("a", 0.5), answered_rows("b", 0.6))
    without = dict(list(evidence.right.items())[1:])
    lines = lines_of(frame, Evidence(right=without))
    assert lines["rank"].isna().to_dict() == {"part": True, "a": False, "b": False}
    assert lines.loc["part", "accuracy_over"] == "seeds"


def test_a_variant_differs_from_its_parent_by_the_p_of_the_whole_family():
    frame, evidence = stored(
        answered_rows("mlp", 0.9),
        answered_rows("mlp", 0.8, variant="thin", params={"width": 1}),
        answered_rows("rnn", 0.82),
    )
    lines = lines_of(frame, evidence)
    child = lines.loc["mlp:thin"]
    right = list(evidence.right.values())
    alone = difference(np.stack(right[3:6]), np.stack(right[:3]))
    assert child["vs_parent"] == pytest.approx(alone.estimate)
    assert (child["vs_parent_low"], child["vs_parent_high"]) == pytest.approx(
        (alone.low, alone.high)
    )
    family = pairs(frame, evidence).set_index(["first", "second"])
    assert len(family) == 3
    # the smallest of three
    assert child["vs_parent_p"] == family.loc[(0, 1), "p_holm"] == pytest.approx(3 * alone.p)
    assert family.loc[(0, 1), "difference"] == pytest.approx(-alone.estimate)
    text = to_text(tabulate(frame, evidence=evidence), "text").splitlines()[3]
    assert text.endswith(f"-0.1000 [{alone.low:+.3f}, {alone.high:+.3f}] *")


def test_what_rests_on_one_seed_is_marked_and_makes_no_line_the_best():
    frame, evidence = stored(
        answered_rows("mlp", 0.9, seeds=[0]),
        answered_rows("mlp", 0.5, variant="thin", params={"width": 1}, seeds=[0, 1]),
    )
    lines = lines_of(frame, evidence)
    assert lines["best"].tolist() == [False, False]
    assert lines["vs_best"].tolist() == ["best", "worse"]
    over = ["rank_over", "vs_parent_over", "vs_best_over"]
    assert lines.loc["mlp:thin", over].tolist() == ["examples"] * 3
    assert lines.loc["mlp", ["rank_over", "vs_next_over"]].tolist() == ["examples"] * 2
    text = to_text(lines, "text").splitlines()
    assert [line.split()[3] for line in text[2:]] == ["1§", "2§"]
    assert text[3].endswith("] *§ (n=1)")
    asked = to_text(lines, "text", columns=["vs_next", "vs_next_p", "vs_best"]).splitlines()
    assert "] *§" in asked[2] and "<0.0001§" in asked[2] and "worse§" in asked[3]
    both = stored(
        *(answered_rows(name, a, seeds=[0, 1]) for name, a in (("a", 0.9), ("b", 0.5)))
    )
    assert lines_of(*both)["best"].tolist() == [True, False]
    assert "§" not in to_text(tabulate(both[0], evidence=both[1]), "text")


def test_a_line_that_is_better_on_common_seeds_is_not_called_worse():
    """One of five seeds collapsed, and the other line has that seed alone."""
    collapsed = answered_rows("a", 0.92, seeds=range(4)) | answered_rows("a", 0.8, seeds=[4])
    lines = lines_of(*stored(collapsed, answered_rows("b", 0.89, seeds=[4])))
    assert lines.loc["a", "accuracy"] > lines.loc["b", "accuracy"]
    assert lines["vs_best"].to_dict() == {"a": "best", "b": "better on common seeds"}
    assert lines["rank"].to_dict() == {"a": 2, "b": 1}
    assert lines["tied"].tolist() == lines["best"].tolist() == [False, False]


def test_a_difference_over_seeds_alone_is_marked_beside_others():
    frame, evidence = stored(
        answered_rows("mlp", 0.9, seeds=[0, 1]),
        answered_rows("mlp", 0.8, variant="thin", params={"width": 1}, seeds=[0, 1]),
    )
    lines = lines_of(frame, without_answers(frame, evidence, "mlp"))
    assert lines.loc["mlp:thin", ["accuracy_over", "vs_parent_over"]].tolist() == [
        "seeds and examples", "seeds",
    ]  # fmt: skip
    assert to_text(lines, "text").splitlines()[3].endswith("[-0.100, -0.100]¶")


def test_the_next_line_is_the_next_one_of_the_table():
    """One that lies between is not stepped over because nothing is known of it."""
    frame, evidence = stored(
        answered_rows("good", 0.9), answered_rows("bare", 0.8), answered_rows("poor", 0.5),
        answered_rows("last", 0.4),
    )  # fmt: skip
    lines = lines_of(frame, without_answers(frame, evidence, "bare"))
    assert lines["vs_next"].notna().to_dict() == {
        "good": False, "bare": False, "poor": True, "last": False,
    }  # fmt: skip


def test_without_answers_the_difference_has_students_interval_and_no_p():
    rows = [
        make_row("mlp", variant, seed, params={"width": w}, accuracy=0.5 + seed / 100 + w / 10)
        for variant, w in (("", 1), ("wide", 2))
        for seed in range(3)
    ]
    child = lines_of(frame_of(rows), Evidence()).loc["mlp:wide"]
    assert child["vs_parent_low"] == pytest.approx(0.1)
    assert pd.isna(child["vs_parent_p"])


def test_variants_of_two_data_sets_without_answers_have_their_own_parents():
    rows = [
        make_row(variant=variant, seed=seed, dataset=dataset, accuracy=accuracy + seed / 100)
        for dataset in ("digits", "imdb")
        for variant, accuracy in (("", 0.8), ("wide", 0.9))
        for seed in (0, 1)
    ]
    lines = lines_of(frame_of(rows), Evidence())
    assert lines["vs_parent"].round(6).tolist()[1::2] == [0.1, 0.1]
    assert lines["vs_parent_low"].notna().tolist() == [False, True] * 2


def test_lines_are_compared_within_their_data_set_and_limit_only():
    frame, evidence = stored(
        answered_rows("a", 0.9),
        answered_rows("a", 0.5, dataset="imdb"),
        answered_rows("a", 0.3, limit=400),
        answered_rows("a", 0.1, data_fingerprint="other", dataset="other"),
    )
    assert pairs(frame, evidence).empty
    lines = lines_of(frame, evidence)
    assert not {"rank", "tied", "best", "pareto", "vs_next"} & set(lines)


def test_fronts_are_marked_by_their_letters():
    costs = {"cheap": (1.0, 100, 5.0), "slow": (9.0, 90, 9.0), "best": (3.0, 300, 4.0)}
    accuracy = {"cheap": 0.7, "slow": 0.6, "best": 0.9}
    frame, evidence = stored(*(
        answered_rows(name, accuracy[name], step_ms_p50=step, param_count=size, train_s=train)
        for name, (step, size, train) in costs.items()
    ))  # fmt: skip
    assert lines_of(frame, evidence)["pareto"].to_dict() == {
        "cheap": "SP", "slow": "P", "best": "SPT",
    }  # fmt: skip


def test_times_of_two_machines_or_beside_another_run_make_no_front():
    costs = {"step_ms_p50": 1.0, "param_count": 1, "train_s": 1.0}
    frame, evidence = stored(
        answered_rows("a", 0.9, host="x", **costs), answered_rows("b", 0.5, host="y", **costs)
    )
    lines = lines_of(frame, evidence)
    assert lines["pareto"].to_dict() == {"a": "P", "b": ""}
    assert set(lines["pareto_note"]) == {"host differs"}
    frame, evidence = stored(
        answered_rows("a", 0.9, timing_comparable=False, **costs),
        answered_rows("b", 0.5, **costs),
    )
    lines = lines_of(frame, evidence)
    assert lines["pareto"].to_dict() == {"a": "P", "b": ""}
    assert set(lines["pareto_note"]) == {"‡"}


def test_lines_without_an_accuracy_are_on_no_front_and_keep_no_other_from_one():
    costs = {"step_ms_p50": 1.0, "param_count": 1, "train_s": 1.0}
    frame, evidence = stored(answered_rows("a", 0.9, **costs), answered_rows("b", 0.5, **costs))
    bare = [
        make_row(name, accuracy=None, test_loss=1.0, timing_comparable=False, dataset=dataset,
                 host="elsewhere", **costs)
        for dataset in ("digits", "diabetes") for name in ("c", "d")
    ]  # fmt: skip
    both = pd.concat([frame, frame_of(bare)], ignore_index=True)
    lines = tabulate(both, evidence=evidence)
    assert lines["pareto"].fillna("none").tolist() == ["SPT", "", *["none"] * 4]
    assert "pareto_note" not in lines
    text = caption(both, lines)
    assert "with S a faster step" in text and "judged" not in text


def test_there_is_no_front_where_no_cost_is_known():
    frame, evidence = stored(answered_rows("a", 0.9), answered_rows("b", 0.5))
    assert "pareto" not in lines_of(frame, evidence)


def test_a_line_that_was_not_compared_with_the_best_is_neither_tied_nor_worse():
    frame, evidence = stored(
        answered_rows("good", 0.9), answered_rows("like", 0.9, seeds=[1, 2, 3]),
        answered_rows("poor", 0.5), answered_rows("other", 0.8, seeds=[7, 8]),
        answered_rows("bare", 0.85),
    )  # fmt: skip
    bare = set(frame.loc[frame["model"] == "bare", "run_id"])
    evidence = Evidence(right={k: v for k, v in evidence.right.items() if k not in bare})
    lines = lines_of(frame, evidence)
    assert lines["vs_best"].to_dict() == {
        "good": "best", "like": "tied", "poor": "worse", "other": "not compared",
        "bare": "not compared",
    }  # fmt: skip
    assert lines["rank"].isna().to_dict() == {
        "good": False, "like": False, "poor": False, "other": True, "bare": True,
    }  # fmt: skip
    assert "vs_best" not in lines_of(*stored(answered_rows("good", 0.9)))


def test_no_line_is_the_best_if_one_was_not_compared_with_it():
    frame, evidence = stored(answered_rows("good", 0.95), answered_rows("poor", 0.5))
    assert lines_of(frame, evidence)["best"].tolist() == [True, False]
    frame, evidence = stored(
        answered_rows("good", 0.95), answered_rows("poor", 0.5),
        answered_rows("other", 0.6, seeds=[7]),
    )  # fmt: skip
    assert not any(lines_of(frame, evidence)["best"].fillna(False).tolist())


def test_the_time_to_an_accuracy_is_the_median_of_the_runs_that_reached_it():
    rows = [make_row(seed=s) for s in range(3)] + [make_row("never")]
    told = [[0.5, 0.9], [0.9, 0.2], [0.1, 0.2], [0.1, 0.1]]
    epochs = {
        row["run_id"]: [e | {"train_s": 2.0} for e in make_epochs([1, 1], accuracies)]
        for row, accuracies in zip(rows, told, strict=True)
    }
    lines = lines_of(frame_of(rows), Evidence(epochs=epochs), target_accuracy=0.85)
    assert lines.loc["mlp", ["time_to_target_s", "reached_target"]].tolist() == [3.0, 2]
    assert pd.isna(lines.loc["never", "time_to_target_s"])
    text = to_text(lines, "text").splitlines()
    assert "time to target s" in text[0] and "3.00 (2 of 3)" in text[2]


def test_regression_failures_and_groups_have_none_of_it():
    row = make_row(accuracy=None, test_loss=1.5, task="regression")
    assert not set(ADDED) & set(tabulate(frame_of([row]), evidence=Evidence()))
    assert len(tabulate(frame_of([failed_row()]), evidence=Evidence())) == 1
    assert tabulate(frame_of([]), evidence=Evidence()).empty
    frame, evidence = stored(answered_rows("a", 0.9), answered_rows("b", 0.5))
    assert not set(ADDED) & set(tabulate(frame, by=["model"], evidence=evidence))


def test_the_cell_of_a_counted_row_is_the_index_of_its_line():
    """The newest code of the first cell comes last."""
    rows = [
        make_row("a", model_plugin="1"), make_row("b"), make_row("a", model_plugin="2"),
    ]  # fmt: skip
    frame = frame_of(rows)
    found = counted(frame)
    lines = tabulate(frame)
    assert [lines["model"][cell] for cell in found["cell"]] == found["model"].tolist()
    assert found["run_id"].tolist() == [rows[1]["run_id"], rows[2]["run_id"]]


def test_answers_to_other_labels_are_not_paired():
    """Two data sets of one name, neither of which has a fingerprint."""
    frame, evidence = stored(answered_rows("a", 0.9), answered_rows("b", 0.5))
    first = set(frame.loc[frame["model"] == "a", "run_id"])
    apart = replace(evidence, labels={run: str(run in first) for run in evidence.right})
    assert pairs(frame, apart).empty and not pairs(frame, evidence).empty
    lines = lines_of(frame, apart)
    assert set(lines["vs_best"]) == {"best", "not compared"} and "rank" not in lines
    # each has an interval over its own examples
    assert set(lines["accuracy_over"]) == {"seeds and examples"}


def test_a_variant_whose_parent_answered_to_other_labels_has_no_difference_from_it():
    runs = [
        answered_rows("mlp", 0.9),
        answered_rows("mlp", 0.6, variant="thin", params={"width": 1}),
    ]
    frame, evidence = stored(*runs)
    assert "vs_parent" in lines_of(frame, evidence)
    apart = replace(evidence, labels={run: str(run in runs[0]) for run in evidence.right})
    assert not [name for name in lines_of(frame, apart) if name.startswith("vs_parent")]
    # nor if the answers of one seed are all that is stored of the parent
    first, *others = runs[0]
    few = {run: right for run, right in apart.right.items() if run not in others}
    assert "vs_parent" not in lines_of(frame, replace(apart, right=few))
    assert first in few
    alike = replace(evidence, right=few)
    assert lines_of(frame, alike).loc["mlp:thin", "vs_parent_over"] == "seeds"


def test_a_line_of_two_test_sets_has_no_interval_over_examples():
    frame, evidence = stored(answered_rows("a", 0.9))
    mixed = replace(evidence, labels={run: run for run in evidence.right})
    assert lines_of(frame, mixed)["accuracy_over"].tolist() == ["seeds"]
