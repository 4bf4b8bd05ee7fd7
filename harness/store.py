"""The store: what every run left behind, kept whatever happens to the next one.

A result (a row, its epochs, its arrays) is written in one transaction as soon as its run
ends: it appears whole or not at all. Several processes may write to one store at once.
Reading gives rows back as plain dicts or as a pandas data frame; `harness.database` has
the tables.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError

from harness import enrol
from harness.database import connect, told, writing
from harness.errors import AlreadyStored, StoreError, UsageError, first_line
from harness.frames import frame_of, frame_of_columns
from harness.rows import (
    COLUMNS,
    EPOCH_COLUMNS,
    EPOCH_TYPES,
    NAMES,
    Result,
    Row,
    complete,
    plain,
    up_to_date,
)
from harness.schema import ARRAYS, EPOCHS, GATES, NEWEST, PLANNED, ROWS, STANDING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

LISTED = 8  # runs in an error message
LAST = chr(0x10FFFF)  # no letter comes behind it
KEYS_AT_ONCE = 500  # databases bound the parameters of one query


def open_store(url: str, *, must_exist: bool = False) -> Store:
    """Opens a store, and makes it if it is new.

    Args:
      url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.
      must_exist: for commands that only read: an absent file is an error, not created.

    Raises:
      StoreError: the URL, its driver, the file or what the file holds is unusable.
    """
    engine, name = connect(url, must_exist=must_exist)
    try:
        with told(name):
            enrol.catch_up(engine)
    except BaseException:
        engine.dispose()
        raise
    return Store(engine, name)


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
        row = {column.name: plain(values[column.name], column.type) for column in COLUMNS}
        epochs = [{"run_id": run_id, **_epoch(values)} for values in result.epochs]
        arrays = [
            {"run_id": run_id, "name": name, "npy": npy} for name, npy in result.arrays.items()
        ]
        with told(self.name), writing(self._engine) as connection:
            try:
                inserted = connection.execute(sa.insert(ROWS), row).inserted_primary_key
            except IntegrityError:
                raise AlreadyStored(
                    f"store {self.name}: run {run_id} is stored already; a run is added once"
                ) from None
            if epochs:
                connection.execute(sa.insert(EPOCHS), epochs)
            if arrays:
                connection.execute(sa.insert(ARRAYS), arrays)
            done = PLANNED.c.run_key == row["run_key"]
            connection.execute(sa.delete(PLANNED).where(done))
            assert inserted is not None
            enrol.enrol(connection, [(inserted[0], row)])

    def plan(self, runs: Iterable[Mapping[str, str]]) -> None:
        """Writes down what is going to be performed, before anything is.

        Args:
          runs: for each its run_id, run_key, label, host and planned_at.
        """
        listed = [dict(run) for run in runs]
        with told(self.name), writing(self._engine) as connection:
            if listed:  # what is planned anew here is not lost any more
                here = {"here": sa.bindparam("here"), "what": sa.bindparam("what")}
                same = (PLANNED.c.label == here["what"]) & (PLANNED.c.host == here["here"])
                connection.execute(
                    sa.delete(PLANNED).where(same),
                    [{"what": run["label"], "here": run["host"]} for run in listed],
                )
                connection.execute(sa.insert(PLANNED), listed)

    def lost(self) -> list[dict[str, Any]]:
        """What was planned and has left no row: its driver was killed, or goes on still."""
        columns = [c for c in PLANNED.columns if c.name != "sequence"]
        query = sa.select(*columns).where(_without_row())
        return self._fetch(query.order_by(PLANNED.c.sequence))

    def add_gate(self, cells: Iterable[Mapping[str, Any]]) -> None:
        """Writes down what a gate found, a line a cell, all of them or none.

        Args:
          cells: values for the columns of `harness.schema.GATES`, all but the first.
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

    def result(self, run_id: str) -> Result | None:
        """A run with its epochs and arrays, None where the store has not got it."""
        found = self._select(ROWS.c.run_id == run_id)
        return self._result(found[0]) if found else None

    def _result(self, row: Row) -> Result:
        arrays = self._fetch(
            sa.select(ARRAYS.c.name, ARRAYS.c.npy).where(ARRAYS.c.run_id == row["run_id"])
        )
        return Result(
            row=row,
            epochs=tuple(self.epochs(row["run_id"])),
            arrays={a["name"]: bytes(a["npy"]) for a in arrays},
        )

    def results(self) -> Iterator[Result]:
        """Every run with its epochs and arrays, one after the other, in order."""
        yield from map(self._result, self.rows())

    def rows(self) -> list[Row]:
        """Every row, in the order in which the runs ended."""
        return self._select()

    def counted(self, among: Collection[int] | None = None) -> list[Row]:
        """The rows that the lines of a table are made of, in order, and no others are read.

        They are without `key_parts`, which has said already that they count.

        Args:
          among: numbers of rows, as in the index of `narrow`, if only these are tabulated.
        """
        if among is not None:
            return self._among(enrol.counted(self._standings(among)))
        return self._standing_rows(sa.text("counts = 1"))

    def unrepeated(self, among: Collection[int] | None = None) -> list[Row]:
        """As `counted`, with the rows of older code: of each run the one that counts."""
        if among is not None:
            return self._among(
                [line.sequence for line in enrol.unrepeated(self._standings(among))]
            )
        return self._standing_rows(STANDING.c.stands == 1)

    def narrow(self, names: Collection[str]) -> pd.DataFrame:
        """A few columns of every row, by the rows' numbers; see `frame_of`."""
        columns = [ROWS.c[name] for name in NAMES if name in names]
        query = sa.select(ROWS.c.sequence, *columns).order_by(ROWS.c.sequence)
        with told(self.name), self._engine.connect() as connection:
            lines = connection.execute(query).all()
        listed = [c.name for c in columns]
        return frame_of_columns({n: [li[i + 1] for li in lines] for i, n in enumerate(listed)},
                      [line[0] for line in lines])  # fmt: skip

    def count(self) -> int:
        """How many rows there are."""
        return self._count()

    def find(self, prefix: str) -> Row:
        """The run whose `run_id` is `prefix`, or the only one that starts with it.

        Raises:
          UsageError: none or several; the message lists candidates, the newest first.
        """
        if exact := self._select(ROWS.c.run_id == prefix):
            return exact[0]
        starts = (ROWS.c.run_id.startswith(prefix, autoescape=True),)
        if self._engine.dialect.name == "sqlite":  # whose LIKE knows no index
            starts = (ROWS.c.run_id >= prefix, ROWS.c.run_id < prefix + LAST)
        found = self._newest(*starts)
        if len(found) == 1:
            return found[0]
        if found:
            number = self._count(*starts)
            raise UsageError(
                f"{number} runs start with {prefix!r}, give more letters: "
                f"{_listing(found, number)}"
            )
        raise UsageError(
            f"no run starts with {prefix!r} in store {self.name}; the newest runs: "
            f"{_listing(self._newest(), self.count()) or 'none, `harness run` adds them'}"
        )

    def of_keys(self, run_keys: Iterable[str]) -> list[Row]:
        """The rows with one of these keys, in order.

        Of rows that agree in status, data, device and the size of what was kept only the
        newest, for no other one can stand for a run.
        """
        keys, found = list(run_keys), []
        alike = [ROWS.c[name] for name in ("run_key", "status", "data_fingerprint",
                                           "device_kind", "saved_bytes")]  # fmt: skip
        newest = sa.select(sa.func.max(ROWS.c.sequence)).group_by(*alike)
        for start in range(0, len(keys), KEYS_AT_ONCE):
            some = newest.where(ROWS.c.run_key.in_(keys[start : start + KEYS_AT_ONCE]))
            found += self._select(ROWS.c.sequence.in_(some))
        return found

    def newest(self, names: Iterable[str]) -> dict[str, Row]:
        """The newest row of each name that `harness.standing.names_of` gives to rows."""
        listed, at = list(dict.fromkeys(names)), {}
        for start in range(0, len(listed), KEYS_AT_ONCE):
            some = NEWEST.c.name.in_(listed[start : start + KEYS_AT_ONCE])
            told = self._fetch(sa.select(NEWEST.c.name, NEWEST.c.sequence).where(some))
            at |= {line["name"]: line["sequence"] for line in told}
        rows = self._numbered(at.values())
        return {name: rows[sequence] for name, sequence in at.items()}

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

    def _standing_rows(self, condition: Any) -> list[Row]:
        return self._without_parts(sa.select(STANDING.c.sequence).where(condition))

    def _among(self, numbers: Sequence[int]) -> list[Row]:
        """Rows of many numbers, in order."""
        parts = range(0, len(numbers), KEYS_AT_ONCE)
        return [
            row for at in parts for row in self._without_parts(numbers[at : at + KEYS_AT_ONCE])
        ]

    def _without_parts(self, numbers: Any) -> list[Row]:
        columns = [sa.null().label(n) if n == "key_parts" else ROWS.c[n] for n in NAMES]
        query = sa.select(*columns).where(ROWS.c.sequence.in_(numbers))
        return [up_to_date(row) for row in self._fetch(query.order_by(ROWS.c.sequence))]

    def _standings(self, among: Collection[int]) -> list[enrol.Entered]:
        with told(self.name), self._engine.connect() as connection:
            return enrol.entered(connection, among)

    def _numbered(self, sequences: Iterable[int]) -> dict[int, Row]:
        """Rows by their place in the order of the store."""
        listed, found = sorted(set(sequences)), {}
        for start in range(0, len(listed), KEYS_AT_ONCE):
            some = listed[start : start + KEYS_AT_ONCE]
            found |= zip(some, self._select(ROWS.c.sequence.in_(some)), strict=True)
        return found

    def _newest(self, *conditions: sa.ColumnElement[bool]) -> list[Row]:
        """The newest `LISTED` rows, in order."""
        query = sa.select(ROWS.c.sequence).where(*conditions)
        told = self._fetch(query.order_by(ROWS.c.sequence.desc()).limit(LISTED))
        return [*self._numbered(line["sequence"] for line in told).values()]

    def _count(self, *conditions: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count().label("n")).select_from(ROWS).where(*conditions)
        return self._fetch(query)[0]["n"]

    def _select(self, *conditions: sa.ColumnElement[bool]) -> list[Row]:
        query = sa.select(*(ROWS.c[name] for name in NAMES)).where(*conditions)
        return [up_to_date(row) for row in self._fetch(query.order_by(ROWS.c.sequence))]

    def _fetch(self, query: sa.Select[*tuple[Any, ...]]) -> list[dict[str, Any]]:
        with told(self.name), self._engine.connect() as connection:
            return [dict(values) for values in connection.execute(query).mappings()]


def _without_row() -> sa.ColumnElement[bool]:
    """Of planned runs, those whose key no row has."""
    return ~sa.exists().where(ROWS.c.run_key == PLANNED.c.run_key)


def _epoch(values: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(values) - set(EPOCH_COLUMNS)
    if unknown:
        raise KeyError(f"no such columns of an epoch: {sorted(unknown)}")
    return {name: plain(values.get(name), kind) for name, kind in EPOCH_TYPES.items()}


def _listing(rows: list[Row], number: int) -> str:
    """The newest runs of so many in one line, the newest first."""
    newest = [
        f"{row['run_id']} ({row['model']}{':' if row['variant'] else ''}{row['variant'] or ''} "
        f"on {row['dataset']}, seed {row['seed']}, {row['status']})"
        for row in reversed(rows)
    ]
    more = f" and {number - len(rows)} more" if number > len(rows) else ""
    return ", ".join(newest) + more
