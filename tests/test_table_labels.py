"""Labels are selections: `harness.grammar` reads them back."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from stored import make_row

from harness import grammar
from harness.table.labels import labels, selection, settings, versions

VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)


def test_only_what_varies_within_an_entry_and_variant_is_shown():
    entries = [
        ("mlp", "", json.dumps({"width": 8, "rate": 0.1, "bias": True})),
        ("mlp", "", json.dumps({"width": 8, "rate": 0.5, "bias": False})),
        ("mlp", "deep", json.dumps({"width": 64, "rate": 0.1, "bias": True})),
    ]
    assert labels(entries) == [
        "mlp[bias=true,rate=0.1]", "mlp[bias=false,rate=0.5]", "mlp:deep",
    ]  # fmt: skip


def test_a_parameter_that_only_some_rows_have_is_shown_where_it_is():
    assert labels([("mlp", "", "{}"), ("mlp", None, '{"width": null}')]) == [
        "mlp", "mlp[width=none]",
    ]  # fmt: skip


def test_a_row_without_parameters_has_a_name():
    assert labels([("mlp", None, None)]) == ["mlp"]


def test_equal_numbers_of_different_kind_are_told_apart():
    assert labels([("mlp", "", '{"x": true}'), ("mlp", "", '{"x": 1}')]) == [
        "mlp[x=true]", "mlp[x=1]",
    ]  # fmt: skip


def test_words_that_would_be_read_as_something_else_are_quoted():
    values = {"a": "max", "b": "1e-3", "c": "none", "d": "a,b", "e": "", "f": 'say "x"'}
    assert selection("m", "v", values) == (
        'm:v[a=max,b="1e-3",c="none",d="a,b",e="",f="say \\"x\\""]'
    )


@given(st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]*", fullmatch=True), VALUES, max_size=4))
def test_a_selection_reads_back_as_the_same_values(params: dict[str, object]):
    parsed = grammar.parse(selection("name", "variant", params))
    read = {key: values for key, values in parsed.params}
    assert (parsed.name, parsed.variant) == ("name", "variant")
    assert read == {key: (value,) for key, value in params.items()}
    assert [type(v[0]) for v in read.values()] == [type(v) for v in params.values()]


def test_settings_name_the_hyper_parameters_that_differ():
    rows = [make_row(learning_rate=1e-3), make_row(learning_rate=1e-4)]
    assert settings(rows) == ["learning_rate=0.001", "learning_rate=0.0001"]
    assert settings(rows[:1]) == [""]


def test_versions_of_a_data_set_are_told_apart_by_as_much_of_their_fingerprints_as_it_takes():
    prints = ["houses-1-0.2", "houses-1-0.3", None, "houses-1-0.2", None]
    assert versions(["a", "a", "a", "b", "c"], prints) == [
        "a (data houses-1-0.2)", "a (data houses-1-0.3)", "a (data houses-1-0.2)", "b", "c",
    ]  # fmt: skip
    assert versions(["a", "a"], ["0123456789", "abcdef0123"]) == [
        "a (data 01234567)", "a (data abcdef01)",
    ]  # fmt: skip
