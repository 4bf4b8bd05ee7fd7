"""Conditions keep the rows for which they hold, and can do nothing else."""

from __future__ import annotations

import pytest
from stored import failed_row, make_row

from harness.errors import UsageError
from harness.frames import frame_of
from harness.table import where

FRAME = frame_of(
    [
        make_row("mlp", seed=0, accuracy=0.5, run_id="a", dirty=True, epochs=5),
        make_row("mlp", seed=1, accuracy=0.7, run_id="b", dirty=False, epochs=10),
        make_row("rnn", seed=0, accuracy=0.9, run_id="c", limit=100, test_loss=0.2),
        failed_row("rnn", seed=1, run_id="d", error_message="x@y.z"),
    ]
)


def kept(*conditions: str) -> str:
    return "".join(where(FRAME, conditions)["run_id"])


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("accuracy > 0.6", "bc"),
        ("test_accuracy > 0.6", "bc"),
        ("0.6 < accuracy <= 0.7", "b"),
        ("loss < 1", "c"),
        ("model == 'mlp'", "ab"),
        ('model == "mlp" and epochs >= 10', "b"),
        ("model == 'mlp' and not seed == 0", "b"),
        ("seed == 1 or accuracy > 0.8", "bcd"),
        ("(seed == 1) | (accuracy > 0.8)", "bcd"),
        ("(seed == 1) & (accuracy > 0.6)", "b"),
        ("~(seed == 1)", "ac"),
        ("status in ['failed', 'oom']", "d"),
        ("model not in ['rnn']", "ab"),
        ("seed + 1 == 2 * 1", "bd"),
        ("accuracy > -1", "abc"),
        ("dirty", "a"),
        ("not dirty", "b"),
        ("dirty == false", "b"),
        ("dirty == True", "a"),
        ("error_message == 'x@y.z'", "d"),
        ("learning_rate == 1e-3", "abcd"),
        ("  seed == 0 ", "ac"),
        ("model == 'seed'", ""),
    ],
)
def test_a_condition_keeps_the_rows_for_which_it_holds(condition: str, expected: str):
    assert kept(condition) == expected


@pytest.mark.parametrize(
    "condition",
    [
        "accuracy != 0.5",
        "not accuracy == 0.5",
        "not (accuracy < 0.6)",
        "limit != 5 or accuracy > .6",
    ],
)
def test_a_missing_value_meets_neither_a_comparison_nor_its_opposite(condition: str):
    assert "d" not in kept(condition) and "c" in kept(condition)


def test_several_conditions_must_all_hold():
    assert kept("accuracy > 0.6", "seed == 0") == "c"
    assert kept() == "abcd"


def test_types_and_columns_stay_as_they_are():
    some = where(FRAME, ["accuracy > 0.6"])
    assert some.dtypes.to_dict() == FRAME.dtypes.to_dict()


def test_an_empty_frame_stays_empty():
    assert where(frame_of([]), ["accuracy > 0.5", "model == 'mlp'", "dirty"]).empty


def refusal(condition: str) -> str:
    with pytest.raises(UsageError) as caught:
        where(FRAME, [condition])
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"condition {condition!r}")
    return message


@pytest.mark.parametrize(
    "condition",
    ["", "accuracy >", "accuracy = 1", "a b", "accuracy > 0.5;", "@x > 1", "import os",
     "seed == 0\nseed == 1", "(" * 500, "seed == 0\0"],
)  # fmt: skip
def test_what_is_no_expression_is_refused(condition: str):
    assert "cannot be read" in refusal(condition)


@pytest.mark.parametrize(
    "condition",
    ["model.str", "model.__class__", "model.str.contains('m')", "__import__('os')",
     "abs(accuracy) > 0", "model[0] == 'm'", "(lambda: seed)() == 0", "9**9**9 > seed",
     "f'{model}' == 'mlp'", "[x for x in seed]", "seed if seed else seed", "(a := 1) > 0",
     "seed is None", "{'a': 1}"],
)  # fmt: skip
def test_calls_attributes_and_the_like_are_refused(condition: str):
    assert "only columns and values" in refusal(condition)


def test_an_unknown_column_is_refused_with_the_nearest():
    assert "no column 'acuracy'; did you mean 'accuracy' or" in refusal("acuracy > 1")
    assert "no column '__class__'" in refusal("__class__ == 1")


def test_a_word_that_is_no_column_may_be_text_without_quotes():
    assert "no column 'mlp'; if it is text, write \"mlp\" in quotes" in refusal("model == mlp")


@pytest.mark.parametrize("condition", ["model > 3", "accuracy > '0.8'", "model + 1 == 'x'"])
def test_text_is_not_compared_with_numbers(condition: str):
    assert "compare text with text" in refusal(condition)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("accuracy > 'a'", "'accuracy' holds numbers and 'a' is text; compare"),
        ("seed == 0 and 'a' < epochs", "'epochs' holds numbers and 'a' is text; compare"),
        ("model > 3", "'model' holds text and 3 is a number; compare"),
    ],
)
def test_what_is_text_and_what_are_numbers_is_told(condition: str, expected: str):
    assert refusal(condition).startswith(f"condition {condition!r}: {expected}")


@pytest.mark.parametrize("condition", ["accuracy", "seed + 1", "1 == 1", "model", "0.5", "'a'"])
def test_what_is_neither_true_nor_false_is_refused(condition: str):
    assert "neither true nor false" in refusal(condition)
