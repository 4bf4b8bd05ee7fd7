"""What a selection stands for, and what is said of one that stands for nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import NET, POOL, WORDS, registry_of

from harness.choices import resolve
from harness.errors import UsageError
from harness.registry import Registry


@pytest.fixture
def known() -> Registry:
    return registry_of(NET, POOL, WORDS)


def labels(text: str, known: Registry) -> list[tuple[str, dict[str, Any]]]:
    return [(choice.label, choice.params) for choice in resolve("model", text, known)]


def test_a_name_alone_is_the_base_with_all_parameters(known: Registry) -> None:
    assert labels("net", known) == [("net", {"width": 32, "rate": 0.1})]


def test_a_variant_changes_its_parameters(known: Registry) -> None:
    assert labels("net:wide", known) == [("net:wide", {"width": 64, "rate": 0.1})]


def test_brackets_win_over_the_variant(known: Registry) -> None:
    expected = [("net:wide[width=8]", {"width": 8, "rate": 0.1})]
    assert labels("net:wide[width=8]", known) == expected


def test_a_star_is_the_base_and_all_variants(known: Registry) -> None:
    assert [label for label, _ in labels("net:*", known)] == ["net", "net:wide", "net:dry"]
    assert [label for label, _ in labels("pool:*", known)] == ["pool"]


def test_a_star_for_the_name_is_every_entry_of_the_kind(known: Registry) -> None:
    assert [label for label, _ in labels("*", known)] == ["net", "pool"]
    everything = ["net", "net:wide", "net:dry", "pool"]
    assert [label for label, _ in labels("*:*", known)] == everything
    assert [c.name for c in resolve("dataset", "*", known)] == ["words"]


def test_several_values_are_the_cells_of_a_grid(known: Registry) -> None:
    found = [params for _, params in labels("net[width=8,16,rate=0,0.5]", known)]
    assert [(p["width"], p["rate"]) for p in found] == [
        (8, 0.0), (8, 0.5), (16, 0.0), (16, 0.5),
    ]  # fmt: skip
    assert type(found[0]["rate"]) is float


def test_a_grid_under_stars(known: Registry) -> None:
    assert [label for label, _ in labels("*[width=8,16]", known)] == [
        "net[width=8]", "net[width=16]", "pool[width=8]", "pool[width=16]",
    ]  # fmt: skip


@given(st.integers(1, 2**62), st.floats(0, 1), st.sampled_from(["", ":wide", ":dry"]))
def test_a_label_selects_the_choice_that_it_names(
    width: int, rate: float, variant: str
) -> None:
    text = f"net{variant}[width={width},rate={rate!r}]"
    (choice,) = resolve("model", text, registry_of(NET))
    assert choice.params == {"width": width, "rate": rate}
    assert resolve("model", choice.label, registry_of(NET)) == [choice]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nett", "no model 'nett'; did you mean 'net'"),
        ("words", "no model 'words'"),
        ("net:wid", "has no variant 'wid'; did you mean 'wide'? known variants: dry, wide"),
        ("*:wide", "model 'pool' has no variant 'wide'; known variants: none"),
        ("net[widht=8]", "model 'net' has no parameter 'widht'; did you mean 'width'"),
        ("net[width=8.5]", "width=8.5: expected int >= 1"),
        ("net[width=0]", "width=0: expected int >= 1"),
        ("net[width=8,none]", "width=none: expected int >= 1"),
        ("net[rate=high]", "rate=high: expected float >= 0 and <= 1"),
        ("*[rate=0.5]", "model 'pool' has no parameter 'rate'"),
        ("net[epochs=3]", "no parameter 'epochs'"),
        ("net[", "expected key=value"),
    ],
)
def test_what_is_not_known_says_what_is(text: str, told: str, known: Registry) -> None:
    with pytest.raises(UsageError) as caught:
        resolve("model", text, known)
    assert told in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_star_over_nothing_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no model"):
        resolve("model", "*", registry_of(WORDS))


@given(st.text() | st.text(st.sampled_from('netwidh:*[]=,01." '), max_size=16))
def test_any_selection_is_choices_or_a_usage_error(text: str) -> None:
    try:
        found = resolve("model", text, registry_of(NET, POOL, WORDS))
    except UsageError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert found and all(c.name in ("net", "pool") for c in found)
