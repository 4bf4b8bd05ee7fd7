"""The keys that a command tuned, of which a row names those that its model has.

Trials are points of the whole space. A model that lacks a key is tried at the same values of
the others, so a command that names fewer keys would try other values: one key is spaced evenly
with both ends, several are a Latin hypercube. Which of both it was the chosen values tell: they
are among those that were tried.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.entries import Parameter, Scalar
from harness.errors import UsageError
from harness.space import MODEL, Axis, make_axis, recipe_axis, sample
from harness.suites import MAX_BUDGET

TYPES: Mapping[type, Literal["int", "float", "bool", "str"]] = {
    bool: "bool", int: "int", float: "float", str: "str",
}  # fmt: skip
MOST = 5  # keys whose orders are tried
BUDGETS = range(2, MAX_BUDGET + 1)
# what `tune` holds in a row
Tune = Mapping[str, Any]


@dataclass(frozen=True)
class Whole:
    """What a command has to tune, so that a row's trials are made again.

    Attributes:
      space: ranges by key, in order.
      doubt: why the trials may be others all the same; "" if they are not.
    """

    space: Mapping[str, str]
    doubt: str = ""


def whole_spaces(tunes: Sequence[Tune]) -> list[Whole]:
    """What is to be tuned for each row, of rows that one command may have made.

    Args:
      tunes: of rows that agree in all else that a command says.
    """
    alone = [_tried(one, list(one["space"])) for one in tunes]
    orders = [
        order
        for order in _orders([one["space"] for one in tunes])
        if _explains(order, tunes, alone)
    ]
    ranges = {key: text for one in tunes for key, text in one["space"].items()}
    if not orders or False not in alone:
        return [
            _by_itself(one, lone, orders, [key for key in ranges if key not in one["space"]])
            for one, lone in zip(tunes, alone, strict=True)
        ]
    own = [_tried(one, orders[0]) is False for one in tunes]
    within = [one for one, is_own in zip(tunes, own, strict=True) if not is_own]
    certain = not any(_differ(one, orders[0], order) for one in within for order in orders)
    doubt = "" if certain else "tuned by these keys in an order that the rows do not tell"
    whole = Whole({key: ranges[key] for key in orders[0]}, doubt)
    return [
        Whole(one["space"]) if is_own else whole
        for one, is_own in zip(tunes, own, strict=True)
    ]  # fmt: skip


def _by_itself(
    tune: Tune, alone: bool | None, orders: Sequence[Sequence[str]], others: Sequence[str]
) -> Whole:
    """A row's own keys, and the doubt whether there were more.

    Args:
      alone: whether its values are among those that its own keys give.
      orders: of larger spaces that may have given them.
      others: keys of the other rows.
    """
    own, more = ", ".join(tune["space"]), ", ".join(others)
    doubt = ""
    if alone is False:
        perhaps = f" (perhaps {more})" if more else ""
        doubt = (
            f"tuned in a command of more keys than {own}{perhaps}; the one below tries other "
            "values"
        )
    elif others and (
        alone is None or any(_differ(tune, list(tune["space"]), order) for order in orders)
    ):
        doubt = f"tuned by {own} alone or beside {more}, which the rows do not tell"
    return Whole(tune["space"], doubt)


def _explains(
    order: Sequence[str], tunes: Sequence[Tune], alone: Sequence[bool | None]
) -> bool:  # fmt: skip
    """Whether a space of these keys, and no smaller one, gives the rows their values.

    Rows whose own keys give theirs may have been made by another command.
    """
    tried = [_tried(one, order) for one in tunes]
    have = {key for one, fits in zip(tunes, tried, strict=True) if fits for key in one["space"]}
    rest = [lone for lone, fits in zip(alone, tried, strict=True) if fits is False]
    return have == set(order) and all(rest)


def _orders(spaces: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, ...]]:
    """Orders of all keys in which those of each space stand as they do there."""
    ranges: dict[str, str] = {}
    for space in spaces:
        if any(ranges.setdefault(key, text) != text for key, text in space.items()):
            return  # no one command has given both
    if len(ranges) > MOST:
        return
    for order in itertools.permutations(ranges):
        if all([key for key in order if key in space] == list(space) for space in spaces):
            yield order


def _tried(tune: Tune, keys: Sequence[str]) -> bool | None:
    """Whether the chosen values are among those that a space of these keys tries.

    None where nothing was chosen, or where the row does not tell what there was to choose.
    """
    points, chosen = _points(tune, keys), tune.get("chosen") or {}
    return None if points is None else tuple(chosen[k] for k in keys if k in chosen) in points


def _differ(tune: Tune, first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether two spaces try other values, and either of them the chosen one."""
    if not (_tried(tune, first) and _tried(tune, second)):
        return False
    # the model's own keys have the same order in both
    return _points(tune, first) != _points(tune, second)


def _points(tune: Tune, keys: Sequence[str]) -> set[tuple[Scalar, ...]] | None:
    """The values of the model's own keys that a space of these keys tries."""
    chosen = tune.get("chosen") or {}
    if tune["budget"] not in BUDGETS:
        return None
    try:
        axes = {key: _axis(key, text, chosen[key]) for key, text in tune["space"].items()}
    except (KeyError, UsageError):
        return None
    return {
        tuple(axes[key].at(at) for key, at in zip(keys, point, strict=True) if key in axes)
        for point in sample(len(keys), tune["budget"])
    }


def _axis(key: str, text: str, value: Scalar) -> Axis:
    """The axis of a key; of a model's parameter the type is that of a value it had."""
    if not key.startswith(MODEL):
        return recipe_axis(key, text)
    name = key.removeprefix(MODEL)
    parameter = Parameter(name=name, type=TYPES[type(value)], default=value, optional=True)
    return make_axis(key, text, parameter)
