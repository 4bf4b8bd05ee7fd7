"""The rows of a store that a table is made of, without a look at the others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from harness.frames import frame_of
from harness.rows import NAMES, TYPES
from harness.store import Store
from harness.table.conditions import asked_for, where


@dataclass(frozen=True, kw_only=True, eq=False)
class Read:
    """What is tabulated.

    Attributes:
      frame: the rows that `counted` would keep, or with columns to group by `unrepeated`.
      rows: how many rows the store has, or how many of them meet the conditions.
    """

    frame: pd.DataFrame
    rows: int


def read_table(store: Store, conditions: Sequence[str] = (), *, by: bool = False) -> Read:
    """Reads the rows of a table's lines.

    Without conditions the store knows them. Conditions may take away the very rows that count,
    so that others count in their place: the columns that they name are read of every row,
    and which of the remaining rows count is decided here.

    Args:
      by: whether the lines are groups by columns, which hold the rows of older code too.

    Raises:
      UsageError: as `where`.
      StoreError: the store cannot be read.
    """
    if not conditions:
        rows = store.unrepeated() if by else store.counted()
        return Read(frame=frame_of(rows), rows=len(rows) or store.count())
    some = store.narrow(asked_for(conditions))
    kept = where(some, conditions, known=_known(some.columns)).index.tolist()
    rows = store.unrepeated(kept) if by else store.counted(kept)
    return Read(frame=frame_of(rows), rows=len(kept))


def _known(columns: Collection[str]) -> list[str]:
    """The columns that a frame of whole rows would have."""
    return [*NAMES, *(name for name in columns if name not in TYPES)]
