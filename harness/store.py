"""The store: what every run left behind, kept whatever happens to the next one.

A result (a row, its epochs, its arrays) is written in one transaction as soon as its run
ends: it appears whole or not at all. Several processes may write to one store at once.
Reading gives rows back as plain dicts or as a pandas data frame; `harness.database` has
the tables.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError

from harness.database import ARRAYS, EPOCHS, GATES, PLANNED, ROWS, connect, told, writing
from harness.errors import AlreadyStored, StoreError, UsageError, first_line
from harness.rows import (
    COLUMNS,
    EPOCH_COLUMNS,
    EPOCH_TYPES,
    NAMES,
    OLDER,
    Result,
    Row,
    Type,
    complete,
    storable,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

FRAME_TYPES: dict[Type, str] = {
    "text": "string",
    "json": "string",
    "int": "Int64",
    "float": "float64",
    "bool": "boolean",
}
LISTED = 8  # runs in an error message
KEYS_AT_ONCE = 500  # databases bound the parameters of one query


def open_store(url: str, *, must_exist: bool = False) -> Store:
    """Opens a store, and makes it if it is new.

    Args:
      url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.
      must_exist: for commands that only read: an absent file is an error, not created.

    Raises:
      StoreError: the URL, its driver, the file or what the file holds is unusable.
    """
    return Store(*connect(url, must_exist=must_exist))


class Store:
    """An open store; close it, or use it as a context manager.

    Every method raises `StoreError` when the database fails.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self.name = name
        self._engine = engine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives back the connections; a SQLite store is then one file again."""
        self._engine.dispose()

    def add(self, result: Result) -> None:
        """Writes a run's row, epochs and arrays, all of them or none.

        NaN is stored as a missing number, in every database.

        Raises:
          StoreError: the run is stored already, or the database refuses.
        """
        run_id = result.row["run_id"]
        values = complete(result.row)
        row = {column.name: _plain(values[column.name], column.type) for column in COLUMNS}
        epochs = [{"run_id": run_id, **_epoch(values)} for values in result.epochs]
        arrays = [
            {"run_id": run_id, "name": name, "npy": npy} for name, npy in result.arrays.items()
        ]
        with told(self.name), writing(self._engine) as connection:
            try:
                connection.execute(sa.insert(ROWS), row)
            except IntegrityError:
                raise AlreadyStored(
                    f"store {self.name}: run {run_id} is stored already; a run is added once"
                ) from None
            if epochs:
                connection.execute(sa.insert(EPOCHS), epochs)
            if arrays:
                connection.execute(sa.insert(ARRAYS), arrays)

    def plan(self, runs: Iterable[Mapping[str, str]]) -> None:
        """Writes down what is going to be performed, before anything is.

        Args:
          runs: for each its run_id, run_key, label, host and planned_at.
        """
        listed = [dict(run) for run in runs]
        with told(self.name), writing(self._engine) as connection:
            for run in listed:  # what is planned anew here is not lost any more
                same = (PLANNED.c.label == run["label"]) & (PLANNED.c.host == run["host"])
                connection.execute(sa.delete(PLANNED).where(same & _without_row()))
            if listed:
                connection.execute(sa.insert(PLANNED), listed)

    def lost(self) -> list[dict[str, Any]]:
        """What was planned and has left no row: its driver was killed, or goes on still."""
        columns = [c for c in PLANNED.columns if c.name != "sequence"]
        query = sa.select(*columns).where(_without_row())
        return self._fetch(query.order_by(PLANNED.c.sequence))

    def add_gate(self, cells: Iterable[Mapping[str, Any]]) -> None:
        """Writes down what a gate found, a line a cell, all of them or none.

        Args:
          cells: values for the columns of `harness.database.GATES`, all but the first.
        """
        listed = [
            {name: None if value != value else value for name, value in cell.items()}
            for cell in cells
        ]
        if listed:
            with told(self.name), writing(self._engine) as connection:
                connection.execute(sa.insert(GATES), listed)

    def gates(self) -> list[dict[str, Any]]:
        """Every cell of every gate, in the order in which the gates ended."""
        columns = [c for c in GATES.columns if c.name != "sequence"]
        return self._fetch(sa.select(*columns).order_by(GATES.c.sequence))

    def results(self) -> Iterator[Result]:
        """Every run with its epochs and arrays, one after the other, in order."""
        for row in self.rows():
            arrays = self._fetch(
                sa.select(ARRAYS.c.name, ARRAYS.c.npy).where(ARRAYS.c.run_id == row["run_id"])
            )
            yield Result(
                row=row,
                epochs=tuple(self.epochs(row["run_id"])),
                arrays={a["name"]: bytes(a["npy"]) for a in arrays},
            )

    def rows(self) -> list[Row]:
        """Every row, in the order in which the runs ended."""
        return self._select()

    def find(self, prefix: str) -> Row:
        """The run whose `run_id` is `prefix`, or the only one that starts with it.

        Raises:
          UsageError: none or several; the message lists candidates, the newest first.
        """
        found = self._select(sa.func.substr(ROWS.c.run_id, 1, len(prefix)) == prefix)
        found = [row for row in found if row["run_id"] == prefix] or found
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"{len(found)} runs start with {prefix!r}, give more letters: {_listing(found)}"
            )
        raise UsageError(
            f"no run starts with {prefix!r} in store {self.name}; the newest runs: "
            f"{_listing(self.rows()) or 'none, `harness run` adds them'}"
        )

    def of_keys(self, run_keys: Iterable[str]) -> list[Row]:
        """All rows with one of these keys, in order."""
        keys = list(run_keys)
        found: list[Row] = []
        for start in range(0, len(keys), KEYS_AT_ONCE):
            found += self._select(ROWS.c.run_key.in_(keys[start : start + KEYS_AT_ONCE]))
        return found

    def of_entries(self, pairs: Iterable[tuple[str, str]]) -> list[Row]:
        """All rows of a data set and a model by their entries' names, in order."""
        listed, found = list(pairs), []
        for start in range(0, len(listed), KEYS_AT_ONCE):
            both = sa.tuple_(ROWS.c.dataset, ROWS.c.model)
            found += self._select(both.in_(listed[start : start + KEYS_AT_ONCE]))
        return found

    def epochs(self, run_id: str) -> list[dict[str, Any]]:
        """A run's epochs in order, each with the names of `EPOCH_COLUMNS`."""
        query = sa.select(*(EPOCHS.c[name] for name in EPOCH_COLUMNS))
        return self._fetch(query.where(EPOCHS.c.run_id == run_id).order_by(EPOCHS.c.sequence))

    def array(self, run_id: str, name: str) -> np.ndarray | None:
        """One stored array of a run, or None if the run has none of that name.

        Raises:
          StoreError: the stored bytes are not those of an array of numbers.
        """
        query = sa.select(ARRAYS.c.npy).where(ARRAYS.c.run_id == run_id, ARRAYS.c.name == name)
        found = self._fetch(query)
        return self._array(run_id, name, found[0]["npy"]) if found else None

    def arrays(self, name: str, run_ids: Iterable[str]) -> dict[str, np.ndarray]:
        """The array of one name of many runs, by run, without those that have none.

        Raises:
          StoreError: the stored bytes are not those of an array of numbers.
        """
        listed = list(run_ids)
        found: dict[str, np.ndarray] = {}
        for start in range(0, len(listed), KEYS_AT_ONCE):
            some = ARRAYS.c.run_id.in_(listed[start : start + KEYS_AT_ONCE])
            query = sa.select(ARRAYS.c.run_id, ARRAYS.c.npy).where(ARRAYS.c.name == name, some)
            found |= {
                line["run_id"]: self._array(line["run_id"], name, line["npy"])
                for line in self._fetch(query)
            }
        return found

    def _array(self, run_id: str, name: str, npy: bytes) -> np.ndarray:
        import numpy as np

        try:
            return np.load(io.BytesIO(npy), allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise StoreError(
                f"store {self.name}: array {name!r} of run {run_id} is damaged "
                f"({first_line(error)}); measure the run again"
            ) from None

    def frame(self) -> pd.DataFrame:
        """Every row as a data frame; see `frame_of`."""
        return frame_of(self.rows())

    def _select(self, *conditions: sa.ColumnElement[bool]) -> list[Row]:
        query = sa.select(*(ROWS.c[name] for name in NAMES)).where(*conditions)
        return [_up_to_date(row) for row in self._fetch(query.order_by(ROWS.c.sequence))]

    def _fetch(self, query: sa.Select[*tuple[Any, ...]]) -> list[dict[str, Any]]:
        with told(self.name), self._engine.connect() as connection:
            return [dict(values) for values in connection.execute(query).mappings()]


def _up_to_date(row: Row) -> Row:
    return row | {k: v for k, v in OLDER.items() if row[k] is None}


def _without_row() -> sa.ColumnElement[bool]:
    """Of planned runs, those whose key no row has."""
    return ~sa.exists().where(ROWS.c.run_key == PLANNED.c.run_key)


def frame_of(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a data frame with every column, in order.

    Text is `string`, integers are `Int64` and truth values `boolean`, all three with
    `pd.NA` where a value is missing; floats are plain `float64` with NaN. Behind them stands
    a column for each name in `metrics`, as in `test_macro_f1`.
    """
    import pandas as pd

    listed = [complete(row) for row in rows]
    series: dict[str, Any] = {}
    for column in COLUMNS:
        dtype: Any = FRAME_TYPES[column.type]
        series[column.name] = pd.Series([row[column.name] for row in listed], dtype=dtype)
    frame = pd.DataFrame(series)
    measured = [_metrics(row["metrics"]) for row in listed]
    for name in dict.fromkeys(name for values in measured for name in values):
        frame[name] = pd.Series([values.get(name) for values in measured], dtype="float64")
    return frame


def _metrics(text: str | None) -> dict[str, float | None]:
    """The metrics of a row by name; a plugin may have written anything there."""
    return {
        name: value
        for name, value in json.loads(text or "{}").items()
        if name not in NAMES and (value is None or type(value) in (int, float))
    }


def _epoch(values: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(values) - set(EPOCH_COLUMNS)
    if unknown:
        raise KeyError(f"no such columns of an epoch: {sorted(unknown)}")
    return {name: _plain(values.get(name), kind) for name, kind in EPOCH_TYPES.items()}


def _plain(value: Any, kind: Type) -> Any:
    """A value as every database takes it: no NumPy scalar, no NaN, no NUL in text."""
    if value is None or (kind in ("int", "float") and value != value):
        return None
    if kind == "bool":
        return bool(value)
    if kind == "float":
        return float(value)
    if kind == "int":
        return int(value)
    return storable(str(value))


def _listing(rows: list[Row]) -> str:
    """Some runs in one line, the newest first."""
    newest = [
        f"{row['run_id']} ({row['model']}{':' if row['variant'] else ''}{row['variant'] or ''} "
        f"on {row['dataset']}, seed {row['seed']}, {row['status']})"
        for row in reversed(rows[-LISTED:])
    ]
    more = f" and {len(rows) - LISTED} more" if len(rows) > LISTED else ""
    return ", ".join(newest) + more
