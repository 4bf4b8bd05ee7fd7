"""The values that tuning tries: what `--tune KEY=RANGE` stands for, and a sample of it.

A key names a hyper-parameter of the recipe or, as `model.NAME`, a parameter of the model. Each
key is an axis from 0 to 1, and a sample is so many points on all axes. One key is spaced
evenly, both ends included. Several keys are a Latin hypercube, whose every axis by itself is
spaced evenly as well: a model that lacks a key keeps the same values of the others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness import grammar
from harness.entries import Parameter, Scalar
from harness.errors import UsageError, did_you_mean
from harness.parameters import allowed, check, show
from harness.recipe import parameters as recipe_parameters

MODEL = "model."
DEFAULTS = {"learning_rate": "1e-4:1e-2:log"}
# hyper-parameters that cannot be tuned, and why
FIXED = {
    "epochs": "the rungs share out the epochs",
    "eval_batch_size": "it changes no result",
    "validation": "it decides what trials are compared on",
    "select": "it decides what trials are compared on",
    "limit": "it decides what trials are compared on",
}
SCALES = ("log", "linear")
# digits of a value between two ends
DIGITS = 3
# commas between values, as in `adamw[b1=0.9,b2=0.99],sgd`
OUTSIDE_BRACKETS = re.compile(r",(?![^\[\]]*\])")


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One key of a space.

    Attributes:
      key: as the user gave it: "learning_rate", "model.dropout".
      values: those listed, or the two ends of a range.
      scale: how the values between two ends are spaced; "listed" is no range.
    """

    key: str
    parameter: Parameter
    values: tuple[Scalar, ...]
    scale: Literal["log", "linear", "listed"]

    @property
    def text(self) -> str:
        """The range in full, as in `0.0001:0.01:log`."""
        if self.scale == "listed":
            return ",".join(map(show, self.values))
        return ":".join([*map(show, self.values), self.scale])

    @property
    def size(self) -> float:
        """How many values there are."""
        if self.scale == "listed":
            return len(self.values)
        low, high = self._ends
        return high - low + 1 if self.parameter.type == "int" else math.inf

    @property
    def _ends(self) -> tuple[Any, Any]:
        return self.values[0], self.values[-1]

    def is_at_end(self, value: Scalar, tried: Sequence[Scalar]) -> bool:
        """Whether a value of a range has no neighbour on one side, and there could be one."""
        if self.scale == "listed" or len(set(tried)) < 3:
            return False
        bounds = (self.parameter.minimum, self.parameter.maximum)
        ends = (min(tried), max(tried))  # type: ignore[type-var]
        return value in ends and value not in bounds

    def at(self, position: float) -> Scalar:
        """The value at a position from 0 to 1."""
        low, high = self._ends
        if self.scale == "listed":
            return self.values[_bin(position, len(self.values))]
        if self.scale == "log":
            value = low * (high / low) ** position
        elif self.parameter.type == "int":
            return low + _bin(position, high - low + 1)
        else:
            value = low + (high - low) * position
        rounded = round(value) if self.parameter.type == "int" else _short(value)
        return min(max(rounded, low), high)


def _bin(position: float, count: int) -> int:
    """Which of `count` equal parts of the axis a position is in."""
    return min(math.floor(position * count + 1e-9), count - 1)


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def parse_tune(options: Iterable[str]) -> dict[str, str]:
    """`KEY` or `KEY=RANGE`, several times: the text of each key's range, "" without one.

    Raises:
      UsageError: an option has another form, or a key is given twice.
    """
    found: dict[str, str] = {}
    for option in options:
        name, equals, text = option.partition("=")
        key = name.strip().replace("-", "_")
        if not key.removeprefix(MODEL) or (equals and not text.strip()):
            raise UsageError(
                f"tune {option!r}: expected KEY or KEY=RANGE, as in "
                "learning_rate=1e-4:1e-2:log or model.dropout=0.0:0.3"
            )
        if key in found:
            raise UsageError(f"tune {option!r}: the key is given twice; give one range")
        found[key] = text.strip()
    return found


def recipe_axis(key: str, text: str) -> Axis:
    """The axis of a hyper-parameter of the recipe.

    Raises:
      UsageError: there is none of this name, it cannot be tuned, or the range is off.
    """
    known = {name: p for name, p in recipe_parameters().items() if name not in FIXED}
    if key in FIXED:
        raise UsageError(f"tune {key!r}: {key} cannot be tuned, {FIXED[key]}")
    if key not in known:
        near = did_you_mean(key, known, what="hyper-parameters")
        raise UsageError(
            f"tune {key!r}: no hyper-parameter that can be tuned; a parameter of the models is "
            f"{MODEL}{key}; {near}"
        )
    return make_axis(key, text, known[key])


def make_axis(key: str, text: str, parameter: Parameter) -> Axis:
    """The axis that a range stands for, held against the parameter's type and bounds.

    Raises:
      UsageError: the range has another form, or a value is none of the parameter's.
    """
    text = text or DEFAULTS.get(key, "")
    if not text:
        raise UsageError(
            f"tune {key!r} has no default range; write {key}=low:high, or list its values"
        )
    try:
        ends = text.split(":")
        if _is_range(ends, parameter):
            return _range(key, ends, parameter)
        return _listed(key, text, parameter)
    except UsageError as error:
        raise UsageError(f"tune {f'{key}={text}'!r}: {error}") from None


def _is_range(ends: Sequence[str], parameter: Parameter) -> bool:
    """Whether a text is a range: a colon, and numbers or a parameter that is a number."""
    numbers = all(_is_number(grammar.parse_value(end.strip())) for end in ends[:2])
    return len(ends) > 1 and (numbers or parameter.type in ("int", "float"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _range(key: str, ends: Sequence[str], parameter: Parameter) -> Axis:
    if parameter.type not in ("int", "float") or parameter.choices:
        raise UsageError(f"{parameter.name} takes {allowed(parameter)}; list its values")
    scale = ends[2].strip() if len(ends) > 2 else "log" if key in DEFAULTS else "linear"
    values = [grammar.parse_value(end.strip()) for end in ends[:2]]
    expected = "expected low:high, low:high:log or low:high:linear"
    if len(ends) > 3:
        raise UsageError(f"{len(ends)} parts; {expected}")
    if scale not in SCALES:
        raise UsageError(f"{scale!r} is no scale; {expected}")
    for value in values:
        if not _is_number(value):
            raise UsageError(f"{value!r} is no finite number; {expected}")
    low, high = (check(parameter, value) for value in values)
    assert isinstance(low, int | float) and isinstance(high, int | float)
    if not low < high or math.isinf(high - low):
        raise UsageError("expected low:high with two finite numbers, the smaller one first")
    if scale == "log" and low <= 0:
        raise UsageError(f"a logarithmic range begins above 0; write {show(low)}:"
                         f"{show(high)}:linear, or raise {show(low)}")  # fmt: skip
    return Axis(key=key, parameter=parameter, values=(low, high), scale=scale)  # type: ignore[arg-type]


def _listed(key: str, text: str, parameter: Parameter) -> Axis:
    listed = [value.strip() for value in OUTSIDE_BRACKETS.split(text)]
    values = tuple(check(parameter, grammar.parse_value(value)) for value in listed)
    if len(set(values)) < max(len(values), 2):
        raise UsageError(
            "expected two or more different values; one alone is no matter of tuning"
        )
    return Axis(key=key, parameter=parameter, values=values, scale="listed")


def sample(keys: int, count: int) -> list[list[float]]:
    """Points of the unit cube, float [count, keys]; the same at every call.

    Args:
      keys: how many, 1 or more.
      count: how many points, 2 or more.
    """
    if keys == 1:
        return [[i / (count - 1)] for i in range(count)]
    import numpy as np  # both here: one key needs neither
    from scipy.stats import qmc

    # each axis in the middles of `count` equal parts, in an order of its own
    cube = qmc.LatinHypercube(keys, scramble=False, rng=np.random.default_rng(0))
    return cube.random(count).tolist()


def check_size(axes: Sequence[Axis], count: int) -> None:
    """Refuses more trials than a space has points.

    Raises:
      UsageError: says how many there are.
    """
    size = space_size(axes)
    if size < count:
        names = " and ".join(axis.key for axis in axes)
        raise UsageError(
            f"a budget of {count} trials, but there are only {size:g} different values of "
            f"{names}; lower --budget, or widen the range"
        )


def space_size(axes: Iterable[Axis]) -> float:
    """How many points a space has."""
    return math.prod(axis.size for axis in axes)
