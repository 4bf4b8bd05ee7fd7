"""The selection grammar: the contract's examples, and whatever else is typed."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.grammar import Selection, parse, parse_value


def selection(name: str, variant: str = "", **params: tuple[object, ...]) -> Selection:
    return Selection(name, variant, tuple(params.items()))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("transformer", selection("transformer")),
        ("transformer:no_position", selection("transformer", "no_position")),
        ("transformer:*", selection("transformer", "*")),
        ("mean_pool[width=16,64]", selection("mean_pool", width=(16, 64))),
        (
            "transformer:deep[num_heads=4,dropout=0.0,0.1]",
            selection("transformer", "deep", num_heads=(4,), dropout=(0.0, 0.1)),
        ),
        ("*", selection("*")),
        ("*:*", selection("*", "*")),
        ("imdb[max_length=400]", selection("imdb", max_length=(400,))),
    ],
)
def test_the_contracts_examples(text: str, expected: Selection) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a[p="x,y=z]:"]', selection("a", p=("x,y=z]:",))),
        ('a[p="true","4","none",""]', selection("a", p=("true", "4", "none", ""))),
        (r'a[p="say \"hi\"","back\\slash"]', selection("a", p=('say "hi"', "back\\slash"))),
        ('a[p=1,"q"=2]', selection("a", p=(1,), q=(2,))),
        ('"a b":"c d"', selection("a b", "c d")),
        ("  a : b [ p = 1 , 2 , q = x ]  ", selection("a", "b", p=(1, 2), q=("x",))),
        ("a[p=1,2,q=3,4,r=5]", selection("a", p=(1, 2), q=(3, 4), r=(5,))),
        ("my-net.v2[p=a/b]", selection("my-net.v2", p=("a/b",))),
        ("ä[p=ö]", selection("ä", p=("ö",))),
    ],
)
def test_quotes_blanks_and_several_values(text: str, expected: Selection) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4), ("-4", -4), ("+4", 4), ("007", 7),
        ("0.1", 0.1), (".5", 0.5), ("5.", 5.0), ("1e-3", 0.001), ("2E4", 20_000.0),
        ("true", True), ("False", False), ("none", None), ("NONE", None),
        ("max", "max"), ("inf", "inf"), ("nan", "nan"), ("1e", "1e"), ("1_000", "1_000"),
        ("0x10", "0x10"), ("-", "-"), (".", "."), ("1.2.3", "1.2.3"), ("٣", "٣"), ("", ""),
    ],
)  # fmt: skip
def test_values(text: str, value: object) -> None:
    found = parse_value(text)
    assert found == value
    assert type(found) is type(value)


def test_a_number_too_long_for_an_integer_is_still_a_value() -> None:
    assert parse_value("9" * 10_000) == float("inf")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "a name"),
        ("   ", "a name"),
        (":deep", "a name"),
        ("[p=1]", "a name"),
        ("a:", "a variant after ':'"),
        ("a:[p=1]", "a variant after ':'"),
        ("a b", "nothing more before 'b'"),
        ("a:b:c", "nothing more before ':'"),
        ("a]", "nothing more before ']'"),
        ("a,b", "nothing more before ','"),
        ("a=1", "nothing more before '='"),
        ("a[]", "key=value inside the brackets"),
        ("a[", "key=value inside the brackets"),
        ("a[p]", "'=' after 'p'"),
        ("a[p=]", "a value for 'p'"),
        ("a[p=1,]", "a value for 'p'"),
        ("a[p=,1]", "a value for 'p'"),
        ("a[p=1", "',' or ']'"),
        ("a[p=1 2]", "',' or ']'"),
        ("a[p=1]]", "nothing more before ']'"),
        ("a[p=1][q=2]", "nothing more before '['"),
        ("a[p=1]:b", "nothing more before ':'"),
        ("a[p=1,p=2]", "'p' once"),
        ('a[p="x]', 'a closing `"`'),
        ('"', 'a closing `"`'),
    ],
)
def test_errors_show_the_text_and_what_was_expected(text: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    message = str(caught.value)
    assert message.startswith(f"selection {text!r}: expected {expected}; write name[:variant]")
    assert len(message.splitlines()) == 1


TEXTS = st.text() | st.text(st.sampled_from('ab1.:*[]=,"\\ \n\t-'), max_size=20)


@example('a["p\nq"=1,"p\nq"=2]')
@example('a["p\nq"]')
@example('"a\nb" "c\nd"')
@example('a[p="\\')
@example("\x1c\x85\u2028a")
@given(TEXTS)
def test_any_text_gives_a_selection_or_a_usage_error_of_one_line(text: str) -> None:
    try:
        found = parse(text)
    except UsageError as error:
        assert len(str(error).splitlines()) == 1
        assert repr(text) in str(error)
    else:
        assert isinstance(found, Selection)
        assert all(values for _, values in found.params)


@given(TEXTS)
def test_any_text_is_a_value(text: str) -> None:
    assert isinstance(parse_value(text), int | float | bool | str | None)


def written(value: object) -> str:
    """A value in the grammar, by its rules and not by the harness's code."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value).lower()  # True and None are written in small letters


# numbers of any length are not round: `parse_value` reads up to 299 digits as an integer
VALUES = (
    st.integers(-(10**200), 10**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none()
    | st.text(max_size=8)
)
SELECTIONS = st.builds(
    Selection,
    name=st.text(),
    variant=st.text(),
    params=st.dictionaries(
        st.text(max_size=8), st.lists(VALUES, min_size=1, max_size=3).map(tuple), max_size=3
    ).map(lambda d: tuple(d.items())),
)


@given(SELECTIONS, st.sampled_from(["", " ", "\n\t"]))
def test_a_selection_survives_the_way_through_text(chosen: Selection, gap: str) -> None:
    parts = [written(chosen.name), ":", written(chosen.variant)]
    for i, (key, values) in enumerate(chosen.params):
        parts += ["," if i else "[", written(key), "="]
        parts += [piece for v in values for piece in (",", written(v))][1:]
    parts += ["]"] if chosen.params else []
    found = parse(gap.join(parts))
    assert found == chosen
    # 1 == True == 1.0 in Python, but not to a parameter
    kinds = [[type(v) for v in values] for _, values in found.params]
    assert kinds == [[type(v) for v in values] for _, values in chosen.params]


WORDS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.\-]{0,8}", fullmatch=True).filter(
    lambda word: word.lower() not in ("true", "false", "none")
)


@given(WORDS, WORDS, WORDS, st.lists(WORDS, min_size=1, max_size=3))
def test_bare_words_need_no_quotes(name: str, variant: str, key: str, words: list[str]) -> None:
    found = parse(f"{name}:{variant}[{key}={','.join(words)}]")
    assert found == Selection(name, variant, ((key, tuple(words)),))
