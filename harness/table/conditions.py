"""Conditions such as `accuracy > 0.8`: the rows of a frame for which they hold.

pandas evaluates the condition. Before it does, the text is parsed here and only plain
comparisons pass: no call, no attribute, no `@`, so that a condition from a file or a web
form can do nothing but compare columns.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pandas as pd

from harness.errors import UsageError, did_you_mean, first_line
from harness.rows import NAMES

ALIASES = {"accuracy": "test_accuracy", "loss": "test_loss", "params": "param_count"}
REVERSED = {column: alias for alias, column in ALIASES.items()}
WORDS = {"true": True, "false": False}
FORM = 'write a comparison such as "accuracy > 0.8" or "model == \'mlp\' and epochs >= 5"'
ALLOWED = (
    ast.Expression, ast.Name, ast.Load, ast.Constant, ast.List, ast.Tuple,
    ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.Invert, ast.USub, ast.UAdd,
    ast.BinOp, ast.BitAnd, ast.BitOr, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod,
    ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn,
)  # fmt: skip


def asked_for(conditions: Sequence[str]) -> set[str]:
    """The columns of rows that conditions need: `metrics` for a name that is none of them.

    A condition that cannot be read needs none; `where` refuses it.
    """
    found: set[str] = set()
    for condition in conditions:
        try:
            tree = ast.parse(condition.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        named = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
        columns = [
            name if name in NAMES else ALIASES.get(name, f"test_{name}") for name in named
        ]
        found |= {name if name in NAMES else "metrics" for name in columns}
    return found


def where(
    frame: pd.DataFrame, conditions: Sequence[str], *, known: Collection[str] | None = None
) -> pd.DataFrame:
    """The rows for which every condition holds, in their order.

    A condition compares columns with values: `<`, `<=`, `==`, `!=`, `>=`, `>`, `in`, `and`,
    `or`, `not` and arithmetic. `accuracy`, `loss` and `params` stand for `test_accuracy`,
    `test_loss` and `param_count`. Of a missing value no comparison holds, nor its `not`.

    Args:
      known: all columns that there are, where the frame has some of them.

    Raises:
      UsageError: a condition is malformed, names an unknown column (the nearest are
        listed), calls or reaches into something, or compares text with numbers.
    """
    floats = frame.select_dtypes("float64").columns
    # NaN would be unequal to everything, and so meet `!=` and `not`
    comparable = frame.astype(dict.fromkeys(floats, "Float64"))
    for condition in conditions:
        names = list(frame.columns if known is None else known)
        frame = frame.loc[_holds(comparable, condition, names).loc[frame.index]]
    return frame


def column_named(name: str, known: Iterable[str], *, what: str, hint: str = "") -> str:
    """A column's own name, from that name or its alias.

    Args:
      hint: what else to do about an unknown column, before the known ones.

    Raises:
      UsageError: there is no such column; says `what` asked for it.
    """
    columns = list(known)
    # the last is a metric's, which a table shows without its prefix
    for candidate in (name, ALIASES.get(name, name), f"test_{name}"):
        if candidate in columns:
            return candidate
    names = [*columns, *(alias for alias, column in ALIASES.items() if column in columns)]
    known_ones = did_you_mean(name, names, what="columns")
    raise UsageError(f"{what}: no column {name!r}; {hint}{known_ones}")


def _holds(frame: pd.DataFrame, condition: str, known: list[str]) -> pd.Series:
    """A truth value a row; where pandas cannot tell, it does not hold."""
    expression = _checked(condition, known)
    try:
        result: Any = frame.eval(expression, engine="python")
    except Exception as error:  # pandas raises as it likes on types that do not compare
        raise UsageError(
            f"condition {condition!r}: {_mixed(frame, expression) or first_line(error)}; "
            "compare text with text and numbers with numbers"
        ) from None
    if not isinstance(result, pd.Series) or not pd.api.types.is_bool_dtype(result.dtype):
        raise UsageError(f"condition {condition!r} is neither true nor false; {FORM}")
    return result.astype("boolean").fillna(False).astype(bool)


def _mixed(frame: pd.DataFrame, expression: str) -> str:
    """Which column and value of a comparison are text and a number, "" if it is neither."""
    for node in ast.walk(ast.parse(expression, mode="eval")):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            names = [side.id for side in sides if isinstance(side, ast.Name)]
            values = [side.value for side in sides if isinstance(side, ast.Constant)]
            for name, value in itertools.product(names, values):
                is_number = pd.api.types.is_numeric_dtype(frame[name].dtype)
                if is_number == isinstance(value, str):
                    held, given = ("numbers", "text") if is_number else ("text", "a number")
                    return f"{REVERSED.get(name, name)!r} holds {held} and {value!r} is {given}"
    return ""


def _checked(condition: str, columns: list[str]) -> str:
    """The condition with the columns' own names, after a look at all its parts."""
    try:
        tree = ast.parse(condition.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UsageError(f"condition {condition!r} cannot be read; {FORM}") from None
    for node in ast.walk(tree):
        if not isinstance(node, ALLOWED):
            raise UsageError(
                f"condition {condition!r}: only columns and values may be compared; {FORM}"
            )
    return ast.unparse(_Names(condition, columns).visit(tree))


class _Names(ast.NodeTransformer):
    """Replaces each name by the column's own, or by a truth value."""

    def __init__(self, condition: str, columns: list[str]) -> None:
        self.what = f"condition {condition!r}"
        self.columns = columns
        self.compared: set[int] = set()

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """What a column is compared with may be text that lost its quotes."""
        if isinstance(node.left, ast.Name):
            self.compared |= {id(n) for side in node.comparators for n in ast.walk(side)}
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in WORDS:
            return ast.Constant(WORDS[node.id])
        is_value = id(node) in self.compared
        quotes = f'if it is text, write "{node.id}" in quotes; ' if is_value else ""
        return ast.Name(
            column_named(node.id, self.columns, what=self.what, hint=quotes), ast.Load()
        )
