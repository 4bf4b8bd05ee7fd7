"""Parameters from signatures, and values checked against them."""

from __future__ import annotations

import functools
import math
from typing import Annotated, Any, Literal, Optional

import pytest
from annotated_types import Ge, Gt, Interval, Le
from hypothesis import example, given
from hypothesis import strategies as st

from harness.entries import Entry, Parameter, Source
from harness.errors import PluginError, UsageError
from harness.grammar import parse
from harness.parameters import allowed, check, check_names, describe, show

Size = Annotated[int, Ge(1)]


class Model:
    """All that the annotations may say."""

    def __init__(
        self,
        data: Any,
        *,
        width: Size = 32,
        rate: Annotated[float, Interval(ge=0, le=1)] = 0.1,
        masked: bool = False,
        pool: Literal["mean", "max"] = "mean",
        limit: int | None = None,
        norm: Optional[Literal["layer", "batch"]] = None,  # noqa: UP045
        heads: Annotated[int | None, Ge(1), Le(8)] = 2,
        depth: Annotated[int, Ge(1)] | None = None,
        level: Literal[1, 2] = 1,
        name: str = "x",
        rngs: Any,
    ) -> None: ...


def parameter_of(factory: Any, name: str) -> Parameter:
    given = ("data", "rngs") if isinstance(factory, type) else ()
    return {p.name: p for p in describe(factory, given=given)}[name]


def test_a_class_is_described_without_self_and_what_is_given() -> None:
    names = [p.name for p in describe(Model, given=("data", "rngs"))]
    assert names == [
        "width", "rate", "masked", "pool", "limit", "norm", "heads", "depth", "level", "name",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "expected",
    [
        Parameter(name="width", type="int", default=32, minimum=1),
        Parameter(name="rate", type="float", default=0.1, minimum=0, maximum=1),
        Parameter(name="masked", type="bool", default=False),
        Parameter(name="pool", type="str", default="mean", choices=("mean", "max")),
        Parameter(name="limit", type="int", default=None, optional=True),
        Parameter(
            name="norm", type="str", default=None, optional=True, choices=("layer", "batch")
        ),
        Parameter(name="heads", type="int", default=2, optional=True, minimum=1, maximum=8),
        Parameter(name="depth", type="int", default=None, optional=True, minimum=1),
        Parameter(name="level", type="int", default=1, choices=(1, 2)),
        Parameter(name="name", type="str", default="x"),
    ],
    ids=lambda p: p.name,
)
def test_annotations_are_the_whole_declaration(expected: Parameter) -> None:
    assert parameter_of(Model, expected.name) == expected


def test_none_among_the_literals_makes_a_parameter_optional() -> None:
    def data(*, norm: Literal["layer", None] = None) -> None: ...  # noqa: PYI061

    parameter = parameter_of(data, "norm")
    assert parameter.optional and parameter.choices == ("layer",)
    assert check(parameter, None) is None


def test_default_is_kept_in_its_type() -> None:
    """`[rate=1]` and the default 1 are the same value, so they must be written the same."""

    def data(*, rate: float = 1, size: int = 2e4) -> None: ...  # type: ignore[assignment]

    rate, size = parameter_of(data, "rate").default, parameter_of(data, "size").default
    assert (type(rate), rate) == (float, 1.0)
    assert (type(size), size) == (int, 20_000)


def no_default(*, width: int) -> None: ...
def no_annotation(*, width=3) -> None: ...
def many(*widths: int) -> None: ...
def anything(**widths: int) -> None: ...
def of_list(*, width: list[int] = []) -> None: ...  # noqa: B006
def of_two(*, width: int | float = 3) -> None: ...
def of_mixed(*, width: Literal[1, "one"] = 1) -> None: ...
def outside(*, width: Annotated[int, Ge(4)] = 3) -> None: ...
def of_other_type(*, width: int = "3") -> None: ...  # type: ignore[assignment]
def none_unasked(*, width: int = None) -> None: ...  # type: ignore[assignment]
def no_choice(*, width: Literal["a", "b"] = "c") -> None: ...  # type: ignore[assignment]
def unknown(*, width: Foo = 3) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def misspelt(*, width: math.Integer = 3) -> None: ...  # type: ignore[name-defined]
def exclusive(*, width: Annotated[int, Gt(0)] = 3) -> None: ...
def exclusive_interval(*, width: Annotated[int, Interval(gt=0, le=4)] = 3) -> None: ...


@pytest.mark.parametrize(
    ("factory", "told"),
    [
        (no_default, "has no default"),
        (no_annotation, "has no annotation"),
        (many, "name each parameter"),
        (anything, "name each parameter"),
        (of_list, "list[int]"),
        (of_two, "int | float"),
        (of_mixed, "Literal[1, 'one']"),
        (outside, "width=3: expected int >= 4"),
        (of_other_type, "expected int"),
        (none_unasked, "width=none: expected int"),
        (no_choice, "width=c: expected a or b"),
        (unknown, "'Foo'"),
        (misspelt, "Integer"),
        (exclusive, "Ge"),
        (exclusive_interval, "Ge"),
    ],
    ids=lambda x: x.__name__ if callable(x) else "",
)
def test_unusable_declarations_are_refused(factory: Any, told: str) -> None:
    with pytest.raises(PluginError) as caught:
        describe(factory, given=())
    message = str(caught.value)
    assert told in message
    assert "width" in message and factory.__name__ in message
    assert len(message.splitlines()) == 1


def test_a_model_must_take_data_and_rngs() -> None:
    class NoRngs:
        def __init__(self, data: Any, *, width: int = 3) -> None: ...

    class Nothing:
        pass

    with pytest.raises(PluginError, match="takes no rngs; expected "):
        describe(NoRngs, given=("data", "rngs"))
    with pytest.raises(PluginError, match="takes no data and no rngs"):
        describe(Nothing, given=("data", "rngs"))


@pytest.mark.parametrize("factory", [3, None, functools.partial(of_list), Model(None, rngs=0)])
def test_only_classes_and_functions_are_described(factory: Any) -> None:
    with pytest.raises(PluginError, match="is not a class or function"):
        describe(factory, given=())


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        ("int", 4, 4),
        ("int", 2e4, 20_000),
        ("int", -0.0, 0),
        ("float", 4, 4.0),
        ("float", 0.5, 0.5),
        ("float", math.inf, math.inf),
        ("bool", True, True),
        ("str", "mean", "mean"),
    ],
)
def test_values_are_taken_in_the_parameters_type(kind: Any, value: Any, result: Any) -> None:
    checked = check(Parameter(name="p", type=kind, default=None), value)
    assert checked == result
    assert type(checked) is type(result)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", True), ("int", 0.5), ("int", math.inf), ("int", -math.inf), ("int", math.nan),
        ("int", "4"), ("int", None), ("int", 2**63), ("int", -1e19), ("int", [4]), ("int", {}),
        ("float", False), ("float", "0.5"), ("float", None), ("float", 10**400),
        ("float", math.nan),
        ("bool", 1), ("bool", 0.0), ("bool", "true"), ("bool", None),
        ("str", 4), ("str", True), ("str", None), ("str", ["a"]), ("str", b"a"),
    ],
)  # fmt: skip
def test_values_of_another_type_are_refused(kind: Any, value: Any) -> None:
    with pytest.raises(UsageError, match=f"^p=.*: expected {kind}$"):
        check(Parameter(name="p", type=kind, default=None), value)


def test_none_is_for_optional_parameters() -> None:
    optional = Parameter(name="p", type="int", default=None, optional=True, minimum=1)
    assert check(optional, None) is None
    with pytest.raises(UsageError, match="p=0: expected int >= 1 or none"):
        check(optional, 0)


def test_bounds_are_inclusive() -> None:
    rate = Parameter(name="p", type="float", default=0.0, minimum=0, maximum=1)
    assert (check(rate, 0), check(rate, 1)) == (0.0, 1.0)
    for value in (-1e-9, 1.0000001, math.inf, math.nan):
        with pytest.raises(UsageError, match="expected float >= 0 and <= 1"):
            check(rate, value)


def test_a_choice_is_of_the_choices_type() -> None:
    """True equals 1 in Python, but it is no choice between numbers."""
    level = Parameter(name="p", type="int", default=1, choices=(1, 2))
    assert check(level, 2.0) == 2
    with pytest.raises(UsageError, match="p=true: expected 1 or 2"):
        check(level, True)


def test_a_refused_value_is_shown_as_it_differs() -> None:
    rate = Parameter(name="p", type="float", default=0.0, maximum=0.9)
    with pytest.raises(UsageError, match=r"p=0\.9000000001: expected float <= 0\.9"):
        check(rate, 0.9000000001)


ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@example("one\ntwo", "int", False)
@example(["one\ntwo"], "str", False)
@example(10**400, "float", False)
@given(ANY_VALUE, st.sampled_from(["int", "float", "bool", "str"]), st.booleans())
def test_any_value_is_converted_or_refused_in_one_line(
    value: Any, kind: Any, optional: bool
) -> None:
    parameter = Parameter(name="p", type=kind, default=0, optional=optional)
    try:
        checked = check(parameter, value)
    except UsageError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert checked == value
        assert type(checked).__name__ == kind or (optional and checked is None)


@given(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=8)
)  # fmt: skip
def test_a_value_is_shown_as_a_selection_takes_it(value: Any) -> None:
    assert parse(f"m[p={show(value)}]").params == (("p", (value,)),)


def test_allowed_in_words() -> None:
    words = [allowed(p) for p in describe(Model, given=("data", "rngs"))]
    assert words == [
        "int >= 1", "float >= 0 and <= 1", "bool", "mean or max", "int or none",
        "layer or batch or none", "int >= 1 and <= 8 or none", "int >= 1 or none", "1 or 2",
        "str",
    ]  # fmt: skip


def entry_with(*parameters: Parameter) -> Entry:
    source = Source(name="a", origin="file", target="a.py", version="1", source_hash="0")
    return Entry(kind="model", name="net", source=source, parameters=parameters)


def test_a_wrong_name_lists_what_is_allowed() -> None:
    entry = entry_with(
        Parameter(name="width", type="int", default=32, minimum=1),
        Parameter(name="pool", type="str", default="mean", choices=("mean", "max")),
    )
    with pytest.raises(UsageError) as caught:
        check_names(entry, ["widht"])
    assert str(caught.value) == (
        "model 'net' has no parameter 'widht'; did you mean 'width'? its parameters: "
        "width (int >= 1, default 32), pool (mean or max, default mean)"
    )
    assert list(check_names(entry, ["pool"])) == ["width", "pool"]


def test_an_entry_without_parameters_says_so() -> None:
    with pytest.raises(UsageError, match="its parameters: none$"):
        check_names(entry_with(), {"width": 3})


def test_a_guess_survives_a_parameter_called_known() -> None:
    entry = entry_with(Parameter(name="unknown_rate", type="float", default=0.1))
    with pytest.raises(UsageError, match="did you mean 'unknown_rate'"):
        check_names(entry, ["unknown_rat"])


def test_a_class_without_a_constructor_has_no_parameters():
    class Plain:
        pass

    assert describe(Plain, given=()) == ()
    with pytest.raises(PluginError, match=r"takes no predictions; expected \(predictions, \*,"):
        describe(Plain, given=("predictions",))
