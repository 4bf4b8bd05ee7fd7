"""Parameters read from a constructor's signature, and values checked against them.

An author writes ordinary typed keyword parameters with defaults; the annotation is the
whole declaration. Understood are `int`, `float`, `bool`, `str`, `Literal[...]`, each
possibly `| None`, and bounds as `Annotated[int, annotated_types.Ge(1)]`.
"""

from __future__ import annotations

import inspect
import json
import math
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

from harness.entries import Entry, Parameter, Scalar
from harness.errors import PluginError, UsageError, did_you_mean

TYPES: dict[Any, Literal["int", "float", "bool", "str"]] = {
    int: "int",
    float: "float",
    bool: "bool",
    str: "str",
}
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")


def describe(factory: Callable[..., Any], *, given: tuple[str, ...]) -> tuple[Parameter, ...]:
    """Reads the parameters of a plugin's constructor or function.

    Args:
      factory: a class or a function.
      given: names that the harness itself passes (`data` and `rngs` for a model).

    Raises:
      PluginError: a given name is absent, or a parameter has no default or a type that
        cannot be written on a command line.
    """
    if not (inspect.isclass(factory) or inspect.isroutine(factory)):
        raise PluginError(f"{factory!r} is not a class or function; register one of these")
    function = factory.__init__ if inspect.isclass(factory) else factory
    found = list(inspect.signature(function).parameters.values())
    if inspect.isclass(factory):
        # self; and a class without a constructor takes nothing
        found = [] if function is object.__init__ else found[1:]
    absent = [name for name in given if name not in {p.name for p in found}]
    if absent:
        raise PluginError(
            f"{factory.__qualname__}({', '.join(p.name for p in found)}) takes no "
            f"{' and no '.join(absent)}; expected {_shape(given)}"
        )
    own = [p for p in found if p.name not in given]
    scope = sys.modules[function.__module__].__dict__ if own else {}
    return tuple(_parameter(p, scope, factory) for p in own)


def _shape(given: tuple[str, ...]) -> str:
    """The arguments of a factory that is given these; a model's `rngs` stand at the end."""
    first, rest = given[0], given[1:]
    return f"({', '.join([first, '*', '<parameters with defaults>', *rest])})"


def _parameter(
    p: inspect.Parameter, scope: dict[str, Any], factory: Callable[..., Any]
) -> Parameter:
    where = f"parameter {p.name!r} of {factory.__qualname__}"
    if p.kind not in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD):
        raise PluginError(f"{where} is {p.kind.description}; name each parameter")
    if p.default is p.empty:
        raise PluginError(f"{where} has no default; give it one")
    if p.annotation is p.empty:
        raise PluginError(f"{where} has no annotation; write {p.name}: int = ..., or its type")
    bounds: dict[str, float] = {}
    hint, optional = _without_none(_evaluate(p.annotation, scope, where), bounds, where)
    choices: tuple[Scalar, ...] = ()
    if typing.get_origin(hint) is Literal:
        choices = tuple(c for c in typing.get_args(hint) if c is not None)
        optional = optional or None in typing.get_args(hint)
        kinds = {type(choice) for choice in choices}
        hint = kinds.pop() if len(kinds) == 1 else hint
    if hint not in TYPES:
        raise PluginError(
            f"{where} is annotated {hint!r}; use int, float, bool, str, Literal[...] "
            "or one of them with `| None`"
        )
    parameter = Parameter(
        name=p.name, type=TYPES[hint], default=p.default, optional=optional,
        choices=choices, **bounds,
    )  # fmt: skip
    try:
        # in its type: the default 1 of a float and a given 1.0 make the same run
        return replace(parameter, default=check(parameter, p.default))
    except UsageError as error:
        raise PluginError(f"{where} has an unusable default: {error}") from None


def _evaluate(annotation: Any, scope: dict[str, Any], where: str) -> Any:
    """An annotation's object; under `from __future__ import annotations` it is text."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, scope)
    except Exception as error:  # whatever evaluating a stranger's text raises
        raise PluginError(f"{where} is annotated {annotation!r}: {error}") from None


def _without_none(hint: Any, bounds: dict[str, float], where: str) -> tuple[Any, bool]:
    """The type in `type | None`, bounds taken out, and whether None stood there."""
    hint = _strip_annotated(hint, bounds, where)
    if typing.get_origin(hint) not in (types.UnionType, typing.Union):
        return hint, False
    inner = [h for h in typing.get_args(hint) if h is not type(None)]
    optional = len(inner) < len(typing.get_args(hint))
    if len(inner) > 1:
        return hint, optional
    return _strip_annotated(inner[0], bounds, where), optional


def _strip_annotated(hint: Any, bounds: dict[str, float], where: str) -> Any:
    """Takes the bounds out of `Annotated[type, Ge(1), ...]` and returns the type."""
    if typing.get_origin(hint) is not typing.Annotated:
        return hint
    import annotated_types  # here, so that planning from the index need not load it

    for mark in hint.__metadata__:
        parts = mark if isinstance(mark, annotated_types.GroupedMetadata) else [mark]
        for part in parts:
            if isinstance(part, annotated_types.Ge):
                bounds["minimum"] = typing.cast(float, part.ge)
            if isinstance(part, annotated_types.Le):
                bounds["maximum"] = typing.cast(float, part.le)
            if isinstance(part, annotated_types.Gt | annotated_types.Lt):
                raise PluginError(f"{where} is bounded by {part}; use Ge and Le (inclusive)")
    return hint.__origin__


def check(parameter: Parameter, value: Any) -> Scalar:
    """Returns `value` as the parameter's type.

    An integer is taken for a float, and `2e4` for an integer; nothing else is converted.

    Raises:
      UsageError: says what was given and what is allowed.
    """
    if value is None and parameter.optional:
        return None
    converted = _convert(parameter.type, value)
    low, high = parameter.minimum, parameter.maximum
    if (
        converted is None
        or (parameter.choices and converted not in parameter.choices)
        or (low is not None and not converted >= low)  # type: ignore[operator]
        or (high is not None and not converted <= high)  # type: ignore[operator]
    ):
        raise UsageError(f"{parameter.name}={show(value)}: expected {allowed(parameter)}")
    return converted


def _convert(kind: str, value: Any) -> Scalar:
    """The value in its type, or None if it is of another one."""
    if kind == "bool":
        return value if isinstance(value, bool) else None
    if kind == "str":
        return value if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if kind == "float":
        with suppress(OverflowError):  # an integer beyond the largest float
            return None if math.isnan(value) else float(value)
        return None
    # what a database column holds; it leaves infinity and "not a number" out, too
    whole = abs(value) < 2**63 and value == int(value)
    return int(value) if whole else None


def allowed(parameter: Parameter) -> str:
    """What a parameter takes, in words: `int >= 1`, `mean or max`, `float or none`."""
    if parameter.choices:
        text = " or ".join(show(choice) for choice in parameter.choices)
    else:
        text = parameter.type
        if parameter.minimum is not None:
            text += f" >= {parameter.minimum:g}"
        if parameter.maximum is not None:
            text += (
                f"{' and' if parameter.minimum is not None else ''} <= {parameter.maximum:g}"
            )
    return f"{text} or none" if parameter.optional else text


def show(value: Any) -> str:
    """A value as it is written in a selection."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    if not isinstance(value, str):
        return " ".join(repr(value).split())
    if WORD.fullmatch(value) and value.lower() not in ("true", "false", "none"):
        return value
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text.splitlines()) == 1 else json.dumps(value)


def check_names(entry: Entry, names: Mapping[str, Any] | list[str]) -> dict[str, Parameter]:
    """The entry's parameters by name, after a check that each of `names` is one.

    Raises:
      UsageError: an unknown name; the message lists what there is.
    """
    known = {p.name: p for p in entry.parameters}
    for name in names:
        if name not in known:
            listing = [
                f"{p.name} ({allowed(p)}, default {show(p.default)})" for p in known.values()
            ]
            guess = did_you_mean(name, known, what="parameters").rpartition("known param")[0]
            raise UsageError(
                f"{entry.kind} {entry.name!r} has no parameter {name!r}; {guess}"
                f"its parameters: {', '.join(listing) or 'none'}"
            )
    return known
