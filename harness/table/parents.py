"""What a variant changed: its accuracy minus its parent's, paired over seeds.

A row says which parameters its variant changes. The parent cell has the same data set
and recipe, no variant, the same value for every other parameter, and no other fingerprint
of the data.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell as far as parents matter.

    Attributes:
      key: which line of the table it is.
      setting: data set and recipe; cells are compared only within one.
      data: the data's fingerprint, which only a run that read it knows.
      parent: the entry that a variant belongs to, "" if it is none.
      params: all parameters, resolved.
      changes: names of those that the variant changes.
    """

    key: int
    setting: Hashable
    model: str
    variant: str
    parent: str
    params: dict[str, Any]
    changes: frozenset[str] = frozenset()
    data: str | None = None


def parents(cells: Sequence[Cell]) -> dict[int, int]:
    """The key of each variant's parent cell, for those that have exactly one."""
    bases: dict[tuple[Hashable, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        if not cell.variant:
            bases[cell.setting, cell.model].append(cell)
    found: dict[int, int] = {}
    for cell in cells:
        same = [b for b in bases[cell.setting, cell.parent] if _agree(cell, b)]
        if cell.variant and len(same) == 1:
            found[cell.key] = same[0].key
    return found


def _agree(child: Cell, base: Cell) -> bool:
    """Whether two cells have the same parameters, but for what the variant changes.

    The data of one name may have changed between them: what is known to be apart is.
    """
    if None not in (child.data, base.data) and child.data != base.data:
        return False
    return _unchanged(child.params, child) == _unchanged(base.params, child)


def _unchanged(params: dict[str, Any], child: Cell) -> dict[str, Any]:
    return {name: value for name, value in params.items() if name not in child.changes}


def differences(ok: pd.DataFrame, parent_of: dict[int, int]) -> pd.DataFrame:
    """Mean, spread and number of the paired differences of each child.

    Args:
      ok: runs with columns `cell`, `seed` and `test_accuracy`, one a cell and seed.
      parent_of: from `parents`.

    Returns:
      Columns `vs_parent`, `vs_parent_sd` and `vs_parent_n` by the child's key.
    """
    narrow = ok[["cell", "seed", "test_accuracy"]]  # rows are wide, and cut cell by cell
    of_seed = narrow.set_index("seed")
    accuracy = {key: runs["test_accuracy"] for key, runs in of_seed.groupby("cell")}
    lines = {}
    for child, parent in parent_of.items():
        if child in accuracy and parent in accuracy:
            paired = (accuracy[child] - accuracy[parent]).dropna()
            if len(paired):
                lines[child] = (paired.mean(), paired.std(ddof=1), len(paired))
    columns = ["vs_parent", "vs_parent_sd", "vs_parent_n"]
    frame = pd.DataFrame.from_dict(lines, orient="index", columns=columns)
    return frame.astype(
        {"vs_parent": "float64", "vs_parent_sd": "float64", "vs_parent_n": "Int64"}
    )
