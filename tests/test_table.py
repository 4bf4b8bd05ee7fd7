"""One line a cell: what is averaged, what counts, and what is shown."""

from __future__ import annotations

import json
import statistics
from typing import Any

import pandas as pd
import pytest
from stored import failed_row, make_row

from harness.errors import UsageError
from harness.frames import frame_of
from harness.rows import Row
from harness.table import tabulate, to_text, where


def lines_of(*rows: Row, **options: object) -> pd.DataFrame:
    return tabulate(frame_of(rows), **options)  # type: ignore[arg-type]


def test_a_cell_is_one_line_with_the_mean_and_spread_over_its_seeds():
    accuracies = [0.80, 0.83, 0.88]
    rows = [
        make_row(seed=seed, accuracy=accuracy, test_loss=seed / 2)
        for seed, accuracy in enumerate(accuracies)
    ]
    [line] = lines_of(*rows).to_dict(orient="records")
    assert (line["dataset"], line["model"], line["n"]) == ("digits", "mlp", 3)
    assert line["accuracy"] == pytest.approx(statistics.mean(accuracies))
    assert line["accuracy_sd"] == pytest.approx(statistics.stdev(accuracies))
    assert line["loss"] == pytest.approx(0.5)


def test_one_seed_has_no_spread():
    assert lines_of(make_row())["accuracy_sd"].isna().tolist() == [True]


def test_times_are_medians_over_seeds():
    rows = [
        make_row(seed=seed, compile_s=time, step_ms_p50=2 * time, step_ms_p90=3 * time,
                 examples_per_s=100 * time)
        for seed, time in enumerate([1.0, 2.0, 30.0])
    ]  # fmt: skip
    line = lines_of(*rows).iloc[0]
    names = ["compile_s", "step_ms_p50", "step_ms_p90", "examples_per_s"]
    assert [line[name] for name in names] == [2.0, 4.0, 6.0, 200.0]


def test_lines_are_in_the_order_in_which_their_cells_appear():
    rows = [make_row("mlp"), make_row("a"), make_row("mlp", seed=1), make_row("b")]
    assert lines_of(*rows)["model"].tolist() == ["mlp", "a", "b"]


def test_parameters_that_vary_tell_cells_of_one_entry_apart():
    rows = [
        make_row(params={"width": 8, "depth": 1}),
        make_row(params={"width": 16, "depth": 1}),
        make_row("rnn", params={"width": 16}),
    ]
    assert lines_of(*rows)["model"].tolist() == ["mlp[width=8]", "mlp[width=16]", "rnn"]


def test_a_data_set_is_named_with_its_variant_and_parameters():
    rows = [
        make_row(dataset="imdb", dataset_variant="short", dataset_params='{"max_length": 400}'),
        make_row(dataset="imdb", dataset_variant="short", dataset_params='{"max_length": 80}'),
    ]
    names = lines_of(*rows)["dataset"].tolist()
    assert names == ["imdb:short[max_length=400]", "imdb:short[max_length=80]"]


def test_a_hyper_parameter_has_a_column_only_where_cells_differ_in_it():
    same = lines_of(make_row(), make_row("rnn"))
    assert not {"learning_rate", "batch_size", "limit"} & set(same.columns)
    rows = [make_row(learning_rate=rate, batch_size=64) for rate in (1e-4, 1e-3)]
    differing = lines_of(*rows)
    assert differing["learning_rate"].tolist() == [1e-4, 1e-3]
    assert "batch_size" not in differing.columns


def test_a_limit_that_only_some_runs_have_stays_an_integer():
    lines = lines_of(make_row(limit=100), make_row(limit=None))
    assert str(lines["limit"].dtype) == "Int64"
    assert lines["limit"].isna().tolist() == [False, True]


def test_without_failures_there_is_no_status():
    assert "status" not in lines_of(make_row(), make_row("rnn")).columns


def test_statuses_are_counted_and_the_reason_of_a_whole_cell_is_told():
    lines = lines_of(
        make_row("a"),
        make_row("b"), make_row("b", seed=1), failed_row("b", seed=2, error_message="x"),
        failed_row("c", status="skipped", error_message="needs tokens"),
        failed_row("d", status="oom"),
        failed_row("e"), failed_row("e", seed=1, status="timeout"),
    )  # fmt: skip
    told = dict(zip(lines["model"], lines["status"], strict=True))
    assert told == {
        "a": "ok", "b": "2 ok 1 failed", "c": "skipped: needs tokens", "d": "oom",
        "e": "1 failed 1 timeout",
    }  # fmt: skip
    assert lines["n"].tolist() == [1, 2, 0, 0, 0]


def test_a_failed_run_does_not_change_the_means():
    rows = [make_row(accuracy=0.8, step_ms_p50=4.0), failed_row(seed=1, step_ms_p50=1000.0)]
    line = lines_of(*rows).iloc[0]
    assert (line["accuracy"], line["step_ms_p50"]) == (0.8, 4.0)


def test_a_variant_is_compared_with_its_parent_on_the_seeds_they_share():
    base, variant = {"width": 32, "position": True}, {"width": 32, "position": False}
    rows = [
        *(make_row(seed=s, params=base, accuracy=a) for s, a in ((0, 0.80), (1, 0.84))),
        *(
            make_row("mlp", "no_position", s, params=variant, accuracy=a)
            for s, a in ((0, 0.81), (1, 0.81), (2, 0.99))
        ),
    ]
    parent, child = lines_of(*rows).to_dict(orient="records")
    assert pd.isna(parent["vs_parent"]) and pd.isna(parent["vs_parent_n"])
    assert child["vs_parent"] == pytest.approx((0.01 - 0.03) / 2)
    assert child["vs_parent_sd"] == pytest.approx(statistics.stdev([0.01, -0.03]))
    assert child["vs_parent_n"] == 2


def test_a_variant_is_compared_within_its_data_set_and_recipe():
    def pair(accuracy: float, **values: Any) -> list[Row]:
        return [
            make_row(accuracy=0.5, **values),
            make_row("mlp", "wide", params={"width": 64}, accuracy=accuracy, **values),
        ]

    lines = lines_of(*pair(0.6), *pair(0.7, dataset="imdb"), *pair(0.9, learning_rate=1.0))
    assert lines["vs_parent"].dropna().tolist() == pytest.approx([0.1, 0.2, 0.4])


def test_a_variant_on_other_data_than_its_parent_is_not_compared_and_the_lines_say_so():
    rows = [
        make_row(accuracy=0.8, data_fingerprint="0123456789"),
        make_row("mlp", "wide", params={"width": 64}, accuracy=0.9, data_fingerprint="abcdef"),
        failed_row("rnn"),
        make_row("rnn", seed=1, data_fingerprint="abcdef"),
        make_row(dataset="imdb", data_fingerprint="abcdef"),
    ]
    lines = lines_of(*rows)
    assert lines["dataset"].tolist() == [
        "digits (data 01234567)", "digits (data abcdef)", "digits (data abcdef)", "imdb",
    ]  # fmt: skip
    assert "vs_parent" not in lines
    same = lines_of({**rows[0], "data_fingerprint": "abcdef"}, *rows[1:])
    assert same["vs_parent"].dropna().tolist() == pytest.approx([0.1])
    assert set(same["dataset"]) == {"digits", "imdb"}


def test_without_a_parent_in_the_frame_there_is_no_difference():
    lines = lines_of(make_row("mlp", "wide"), make_row("rnn"))
    assert not [name for name in lines.columns if name.startswith("vs_parent")]


def test_a_parent_whose_runs_failed_gives_no_difference():
    lines = lines_of(failed_row(), make_row("mlp", "wide", params={"width": 64}))
    assert "vs_parent" not in lines.columns


def test_parameter_counts_are_whole_numbers():
    lines = lines_of(make_row(param_count=653_566), failed_row("rnn"))
    assert str(lines["param_count"].dtype) == "Int64"
    assert lines["param_count"].iloc[0] == 653_566
    assert lines["param_count"].isna().tolist() == [False, True]


def test_by_groups_runs_by_columns_instead_of_cells():
    rows = [
        make_row("mlp", seed=0, accuracy=0.5, jax_version="1"),
        make_row("mlp", seed=0, accuracy=0.7, jax_version="2"),
        make_row("rnn", seed=0, accuracy=0.9, jax_version="2"),
    ]
    lines = lines_of(*rows, by=["jax_version"])
    assert lines.columns.tolist()[:3] == ["jax_version", "n", "accuracy"]
    assert lines["n"].tolist() == [1, 2]
    assert lines["accuracy"].tolist() == pytest.approx([0.5, 0.8])
    assert lines["accuracy_sd"].iloc[1] == pytest.approx(statistics.stdev([0.7, 0.9]))


def test_by_shows_missing_values_as_a_group_of_their_own():
    lines = lines_of(make_row(host="a"), make_row(host=None), by=["host"])
    assert lines["host"].isna().tolist() == [False, True]


def test_by_a_measure_or_the_status_does_not_repeat_the_column():
    rows = [make_row(compile_s=1.0), failed_row(compile_s=1.0)]
    lines = lines_of(*rows, by=["compile_s", "status", "accuracy", "test_accuracy"])
    assert lines.columns.is_unique
    assert lines.columns.tolist()[:3] == ["compile_s", "status", "test_accuracy"]


def test_a_group_of_different_sizes_has_no_parameter_count():
    rows = [make_row("a", param_count=1), make_row("b", param_count=2)]
    assert lines_of(*rows, by=["dataset"])["param_count"].isna().tolist() == [True]


def test_an_unknown_column_to_group_by_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="by: no column 'modell'; did you mean 'model'"):
        lines_of(make_row(), by=["modell"])


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("accuracy", ["b", "a", "c", "x"]),
        ("accuracy:asc", ["b", "a", "c", "x"]),
        ("test_accuracy:desc", ["a", "c", "b", "x"]),
        ("model:desc", ["x", "c", "b", "a"]),
    ],
)
def test_sort_orders_the_lines_with_ties_as_they_were_and_missing_last(
    sort: str, order: list[str]
):
    rows = [make_row("a"), failed_row("x"), make_row("b", accuracy=0.1), make_row("c")]
    assert lines_of(*rows, sort=sort)["model"].tolist() == order


@pytest.mark.parametrize("sort", ["acuracy", "accuracy:down", ":desc", "step ms"])
def test_a_sort_that_means_nothing_is_refused(sort: str):
    with pytest.raises(UsageError, match="^sort[^\n]*$"):
        lines_of(make_row(), sort=sort)


@pytest.mark.parametrize("by", [None, ["model"]])
def test_no_rows_are_no_lines_with_the_usual_columns(by: list[str] | None):
    empty, full = lines_of(by=by), lines_of(make_row(), by=by)
    assert len(empty) == 0
    assert empty.columns.tolist() == full.columns.tolist()


def test_a_program_from_the_cache_says_nothing_of_the_time_to_compile():
    rows = [
        make_row(seed=0, compile_s=4.0, compile_cache="miss"),
        make_row(seed=1, compile_s=0.1, compile_cache="hit"),
        make_row("cached", compile_s=0.1, compile_cache="hit"),
    ]
    lines = lines_of(*rows)
    assert lines["compile_s"].iloc[0] == 4.0
    assert pd.isna(lines["compile_s"].iloc[1])


def test_a_metric_has_a_column_with_its_spread_and_rows_without_it_none() -> None:
    rows = [
        make_row("a", seed=seed, metrics=json.dumps({"test_f1": value, "val_f1": 0.0}))
        for seed, value in ((0, 0.5), (1, 0.75))
    ]
    lines = tabulate(frame_of([*rows, make_row("b"), failed_row("c")]))
    values, spreads = lines["f1"].tolist(), lines["f1_sd"].tolist()
    assert values[0] == 0.625 and all(pd.isna(value) for value in values[1:])
    assert spreads[0] == pytest.approx(0.1767767)
    assert list(lines.columns).index("f1") == list(lines.columns).index("loss") + 1
    assert "0.6250 ± 0.1768" in to_text(lines, "text")
    assert "val_f1" not in lines


def test_where_nothing_has_an_accuracy_there_is_no_column_of_it() -> None:
    row = make_row("a", accuracy=None, test_loss=1.5, task="regression")
    assert "accuracy" not in tabulate(frame_of([row]))
    assert "accuracy" in tabulate(frame_of([row, make_row("b", test_loss=0.1)]))


def test_a_metric_takes_no_column_of_the_table_and_none_is_lost() -> None:
    names = ("status", "n", "compile_s", "params", "residual_sd", "fine")
    values = json.dumps({f"test_{name}": 0.5 for name in names})
    lines = tabulate(frame_of([make_row("a", metrics=values, test_loss=1.0)]))
    assert len(set(lines.columns)) == len(lines.columns)
    text = to_text(lines, "text").splitlines()[0]
    for shown in (
        "test status",
        "test n",
        "test compile s",
        "test params",
        "residual sd",
        "fine",
    ):
        assert f" {shown} " in f"{text} ", shown


def test_a_metric_is_named_in_a_condition_as_the_table_shows_it() -> None:
    frame = frame_of(
        [make_row(m, metrics=json.dumps({"test_f1": f})) for m, f in (("a", 0.2), ("b", 0.7))]
    )
    assert where(frame, ["f1 > 0.5"])["model"].tolist() == ["b"]
