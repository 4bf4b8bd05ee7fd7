"""Lines for people, records for programs."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from stored import failed_row, make_row

from harness.comparison import Evidence
from harness.errors import UsageError
from harness.frames import frame_of
from harness.rows import COLUMNS, NAMES, Row, complete
from harness.table import records, tabulate, to_text


def text_of(*rows: Row, format: str = "text", **options: object) -> str:
    return to_text(tabulate(frame_of(rows), **options), format)  # type: ignore[arg-type]


def two_seeds() -> list[Row]:
    return [
        make_row(seed=seed, accuracy=accuracy, test_loss=0.31234, param_count=653_566,
                 compile_s=1.2345, step_ms_p50=55.123, step_ms_p90=0.02134,
                 examples_per_s=12_345.6)
        for seed, accuracy in ((0, 0.80), (1, 0.81))
    ]  # fmt: skip


def test_text_is_aligned_with_units_in_the_headings():
    text = text_of(*two_seeds(), failed_row("rnn", dataset="imdb", error_message="no"))
    assert text.splitlines() == [
        "dataset    model      n         accuracy    loss    params    compile s"
        "    step ms p50    step ms p90    examples/s  status",
        "---------  -------  ---  ---------------  ------  --------  -----------"
        "  -------------  -------------  ------------  ----------",
        "digits     mlp        2  0.8050 ± 0.0071  0.3123   653,566         1.23"
        "           55.1         0.0213        12,346  ok",
        "imdb       rnn        0                -       -         -            -"
        "              -              -             -  failed: no",
    ]


def test_times_that_are_hard_to_believe_carry_a_mark():
    rows = [
        make_row("quiet", recompiles=0, timing_comparable=True),
        make_row("again", seed=0, recompiles=2, timing_comparable=True),
        make_row("again", seed=1, recompiles=0, timing_comparable=True),
        make_row("beside", recompiles=0, timing_comparable=False),
        make_row("both", recompiles=1, timing_comparable=False),
    ]
    lines = text_of(*[row | {"step_ms_p50": 2.5} for row in rows]).splitlines()
    assert "shared" not in lines[0] and "again" not in lines[0]
    marks = {line.split()[1]: [w for w in line.split() if w.startswith("2.50")]
             for line in lines[2:]}  # fmt: skip
    assert marks == {
        "quiet": ["2.50"], "again": ["2.50†"], "beside": ["2.50‡"], "both": ["2.50‡†"],
    }  # fmt: skip


def test_lines_count_what_was_compiled_again_and_what_shared_the_machine_if_anything_did():
    rows = [make_row("a", recompiles=2, timing_comparable=False), failed_row("b")]
    lines = tabulate(frame_of(rows))
    assert lines["compiled_again"].tolist()[0] == 2 and lines["shared"].tolist()[0] == 1
    calm = tabulate(frame_of([make_row("a", recompiles=0, timing_comparable=True)]))
    assert not {"compiled_again", "shared"} & set(calm.columns)


def test_the_data_set_is_named_on_every_line():
    lines = text_of(make_row("a"), make_row("b"), make_row("c")).splitlines()
    assert [line.split()[:2] for line in lines[2:]] == [["digits", x] for x in "abc"]


def test_markdown_is_a_table_with_numbers_on_the_right():
    lines = text_of(*two_seeds(), format="markdown").splitlines()
    assert lines[0].replace(" ", "").startswith("|dataset|model|n|accuracy|loss|params|")
    assert lines[1].replace("-", "").startswith("|:|:|:|:|:|:|") and lines[1].startswith("|:-")
    assert lines[1].count("-:|") == len(lines[0].split("|")) - 4
    assert "0.8050 ± 0.0071" in lines[2]
    assert len({len(line) for line in lines}) == 1


def test_a_reason_cannot_break_the_table():
    reason = "first | second\nthird \x1b[31mred" + " and more" * 30
    text, markdown = (
        text_of(make_row(), failed_row("rnn", error_message=reason), format=format)
        for format in ("text", "markdown")
    )
    assert len(text.splitlines()) == len(markdown.splitlines()) == 4
    assert "failed: first | second third [31mred and more" in text and "…" in text
    assert "first \\| second" in markdown and "\x1b" not in text + markdown


def test_a_difference_has_its_sign_its_spread_and_fewer_seeds_if_so():
    rows = [
        *(make_row(seed=s, accuracy=0.80) for s in range(2)),
        *(
            make_row("mlp", "a", s, params={"width": 1}, accuracy=0.81 + s / 50)
            for s in range(3)
        ),
        *(make_row("mlp", "b", s, params={"width": 2}, accuracy=0.79999) for s in range(2)),
    ]
    lines = text_of(*rows).splitlines()
    assert lines[0].rstrip().endswith("vs parent")
    assert lines[2].endswith("-")
    assert lines[3].endswith("+0.0200 ± 0.0141 (n=2)")
    assert lines[4].endswith("+0.0000 ± 0.0000")


def test_small_rates_are_written_in_full():
    text = text_of(make_row(learning_rate=1e-5), make_row(learning_rate=0.0123456))
    assert "learning rate" in text and " 1e-05 " in text and " 0.0123456 " in text


def test_integers_and_truth_values_of_by_are_written_as_such():
    rows = [make_row(limit=3, dirty=True), make_row(limit=None, dirty=None)]
    lines = text_of(*rows, by=["limit", "dirty"]).splitlines()
    assert lines[2].split()[:2] == ["3", "true"] and lines[3].split()[:2] == ["-", "-"]


def further_columns() -> list[str]:
    """Those that docs/method.md says may be asked for."""
    text = (Path(__file__).parents[1] / "docs/method.md").read_text()
    table = text.partition("**Further columns**")[2].partition("`harness compare")[0]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return [name for cell in first for name in re.findall(r"`(\w+)`", cell)]


RECIPE = {"epochs", "learning_rate"}  # of which every line has a value


@pytest.mark.parametrize("name", sorted({*further_columns(), "accuracy", "status"} - RECIPE))
def test_a_column_that_says_nothing_of_any_line_may_be_asked_for(name: str):
    row = make_row("mlp", accuracy=None, test_loss=0.5, recompiles=0, timing_comparable=True)
    lines = tabulate(frame_of([row]), evidence=Evidence())
    shown = to_text(lines, "text", columns=["model", name]).splitlines()[2].split()
    said = {"shared": "0", "compiled_again": "0", "status": "ok"}
    assert shown == ["mlp", said.get(name, "-")]


def test_of_a_line_without_an_ok_run_nothing_is_known_whoever_asks():
    lines = tabulate(frame_of([make_row("a"), failed_row("b")]))
    shown = to_text(lines, "text", columns=["model", "shared"]).splitlines()[2:]
    assert [line.split() for line in shown] == [["a", "0"], ["b", "-"]]


@pytest.mark.parametrize("format", ["text", "markdown"])
def test_no_lines_are_headings_only(format: str):
    assert len(text_of(format=format).splitlines()) == 2


def test_json_has_one_object_a_run_with_every_column_in_order():
    rows = [make_row(), make_row(), failed_row()]
    found = json.loads(records(frame_of(rows), "json"))
    assert [list(record) for record in found] == [list(NAMES)] * 3
    assert [record["run_id"] for record in found] == [row["run_id"] for row in rows]


def test_json_values_have_their_types():
    example = {"text": "ü", "json": '{"a": [1, null]}', "int": 2**53 + 1, "float": 3.0}
    row = complete({c.name: example.get(c.type, True) for c in COLUMNS})
    blank = complete({"run_id": "a"})
    full, empty = json.loads(records(frame_of([row, blank]), "json"))
    types = {"text": str, "json": dict, "int": int, "float": float, "bool": bool}
    assert {c.name: type(full[c.name]) for c in COLUMNS} == {
        c.name: types[c.type] for c in COLUMNS
    }
    assert full["seed"] == 2**53 + 1 and full["model_params"] == {"a": [1, None]}
    assert full["model"] == "ü"
    assert empty == blank


def test_json_writes_numbers_that_are_not_finite_as_null():
    frame = frame_of([make_row(test_loss=float("inf"), train_loss=float("nan"))])
    [record] = json.loads(records(frame, "json"), parse_constant=pytest.fail)
    assert record["test_loss"] is None and record["train_loss"] is None


def test_json_of_no_runs_is_an_empty_array():
    assert json.loads(records(frame_of([]), "json")) == []


def test_csv_reads_back_with_integers_as_integers():
    params = '{"a": 1, "name": "x, \\"y\\""}'
    row = make_row(seed=3, limit=None, dirty=True, test_loss=0.1 + 0.2, model_params=params)
    text = records(frame_of([row, make_row(limit=7)]), "csv")
    assert not text.endswith("\n")
    first, second = csv.DictReader(io.StringIO(text))
    assert list(first) == list(NAMES)
    assert (first["seed"], first["limit"], second["limit"]) == ("3", "", "7")
    assert (first["dirty"], second["dirty"]) == ("true", "")
    assert float(first["test_loss"]) == 0.1 + 0.2
    assert json.loads(first["model_params"]) == json.loads(params)


def test_csv_of_no_runs_is_its_heading():
    assert records(frame_of([]), "csv") == ",".join(NAMES)


def test_records_keep_every_repeat_of_a_run():
    frame = frame_of([make_row(run_key="k"), make_row(run_key="k")])
    assert len(json.loads(records(frame, "json"))) == 2


def test_an_unknown_format_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match="'json': expected text, markdown or latex"):
        to_text(pd.DataFrame(), "json")
    with pytest.raises(UsageError, match="'text': expected csv or json"):
        records(frame_of([]), "text")
