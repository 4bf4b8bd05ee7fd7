"""Keeps the narrow tables of the store in step with its rows, in the rows' own transaction.

`standing` has a line for each row: `stands` is 1 where no repeat of the same run has taken its
place, `counts` where a line of the table is made of it, as `harness.standing` decides.
`newest` has the newest row of each name. What an older harness has added without them is
caught up with when the store is opened.

Of a cell's rows few can decide which of them count. The newest one that says what the
newest code is (a result, where the cell has one) is always of that code itself. So is each
row of the same shape, of which the same is known, only if it was made by the very same. What
remains are the rows of that code and those of other shapes, of each group of equal ones
the newest.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from harness.database import LOCK, writing
from harness.rows import NAMES, Row
from harness.schema import CODES, NEWEST, PLANNED, ROWS, STANDING
from harness.standing import (
    TRIAL,
    Line,
    Standing,
    counting,
    digest,
    names_of,
    shape_of,
    standing_of,
)

AT_ONCE = 500  # databases bound the parameters of one query
BATCH = 10_000  # rows that are caught up with at once; they are wide
# in PostgreSQL a row may be seen after one with a higher number
LATE = 1000


def enrol(connection: Connection, rows: Sequence[tuple[int, Row]]) -> None:
    """Enters stored rows, each with its number, and decides anew what counts beside them."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK + 1)))
    found = {sequence: standing_of(row) for sequence, row in rows}
    _write_down(connection, found)
    _remember(connection, rows)
    for cell in sorted(_decide_repeats(connection, found)):
        _decide_cell(connection, cell)


def catch_up(engine: Engine) -> None:
    """Enters the rows that are not, in an order that ends where it was begun."""
    with engine.connect() as connection:
        if not _missing(connection, 1):
            return
    with writing(engine, alone=True) as connection:
        has_row = sa.exists().where(ROWS.c.run_key == PLANNED.c.run_key)
        connection.execute(sa.delete(PLANNED).where(has_row))
        while missing := _missing(connection, BATCH):
            query = sa.select(ROWS.c.sequence, *(ROWS.c[name] for name in NAMES))
            wanted = query.where(ROWS.c.sequence.in_(missing)).order_by(ROWS.c.sequence)
            told = [dict(line) for line in connection.execute(wanted).mappings()]
            enrol(connection, [(row.pop("sequence"), row) for row in told])


def _missing(connection: Connection, number: int) -> list[int]:
    """The first numbers of rows that have no line yet."""
    last = connection.execute(sa.select(sa.func.max(STANDING.c.sequence))).scalar() or 0
    last -= LATE if connection.dialect.name == "postgresql" else 0
    entered = sa.exists().where(STANDING.c.sequence == ROWS.c.sequence)
    query = sa.select(ROWS.c.sequence).where(ROWS.c.sequence > last, ~entered)
    return [*connection.execute(query.order_by(ROWS.c.sequence).limit(number)).scalars()]


def _write_down(connection: Connection, found: Mapping[int, Standing]) -> None:
    codes, lines = {}, []
    for sequence, standing in found.items():
        code = digest(standing.made)
        codes[code] = json.dumps(standing.made)
        lines.append({
            "sequence": sequence, "cell": standing.cell, "repeat": standing.repeat,
            "seed": standing.seed, "ok": standing.ok, "code": code,
            "shape": shape_of(standing.made), "choice": standing.choice,
            "stands": 0, "counts": 0,
        })  # fmt: skip
    known = _insert(connection, CODES).on_conflict_do_nothing()
    connection.execute(known, [{"code": c, "made": codes[c]} for c in sorted(codes)])
    connection.execute(sa.insert(STANDING), lines)


def _remember(connection: Connection, rows: Iterable[tuple[int, Row]]) -> None:
    """Enters rows under their names, where none is newer."""
    newest = {name: sequence for sequence, row in rows for name in names_of(row)}
    insert = _insert(connection, NEWEST)
    later = insert.on_conflict_do_update(
        index_elements=[NEWEST.c.name],
        set_={"sequence": insert.excluded.sequence},
        where=insert.excluded.sequence > NEWEST.c.sequence,
    )
    connection.execute(later, [{"name": n, "sequence": newest[n]} for n in sorted(newest)])


def _decide_repeats(connection: Connection, found: Mapping[int, Standing]) -> set[str]:
    """Of each run of new rows lets its newest result stand, or else its newest row.

    Returns:
      The cells in which other rows stand now.
    """
    entered = [(s.repeat, s.ok, sequence, s.cell, 0) for sequence, s in found.items()]
    listed = sorted({s.repeat for s in found.values()})
    columns = [STANDING.c[n] for n in ("repeat", "ok", "sequence", "cell", "stands")]
    standing = sa.select(*columns).where(STANDING.c.stands == 1)
    for start in range(0, len(listed), AT_ONCE):
        some = STANDING.c.repeat.in_(listed[start : start + AT_ONCE])
        entered += [tuple(line) for line in connection.execute(standing.where(some))]
    lines = sorted(line for line in entered if line[3] != TRIAL)
    best = {repeat: sequence for repeat, _, sequence, _, _ in lines}
    changed = [
        (cell, {"number": sequence, "now": 1 - stands})
        for repeat, _, sequence, cell, stands in lines
        if (best[repeat] == sequence) != bool(stands)
    ]
    _update(connection, "stands", [update for _, update in changed])
    return {cell for cell, _ in changed}


def _decide_cell(connection: Connection, cell: str) -> None:
    counts = set(counting(_candidates(connection, cell)))
    before = set(
        connection.execute(
            sa.select(STANDING.c.sequence).where(STANDING.c.cell == cell, sa.text("counts = 1"))
        ).scalars()
    )
    gone = [{"number": sequence, "now": 0} for sequence in sorted(before - counts)]
    come = [{"number": sequence, "now": 1} for sequence in sorted(counts - before)]
    _update(connection, "counts", gone + come)


def _candidates(connection: Connection, cell: str) -> list[Line]:
    """The rows of a cell that can decide which of them count, in order."""
    here = (STANDING.c.cell == cell, STANDING.c.stands == 1)
    newest = (
        sa.select(STANDING.c.shape, STANDING.c.code)
        .where(*here)
        .order_by(STANDING.c.ok.desc(), STANDING.c.sequence.desc())
        .limit(1)
    )
    anchor = connection.execute(newest).first()
    if anchor is None:  # a repeat elsewhere has taken the place of its only row
        return []
    shape, code = anchor
    same = [STANDING.c[name] for name in ("shape", "code", "choice", "seed", "ok")]
    last = sa.func.max(STANDING.c.sequence).label("sequence")
    parts = [
        sa.select(*same, last).where(*here, condition).group_by(*same)
        for condition in (
            (STANDING.c.shape == shape) & (STANDING.c.code == code),
            STANDING.c.shape < shape,
            STANDING.c.shape > shape,
        )
    ]
    found = [line for part in parts for line in connection.execute(part).all()]
    made = _codes(connection, {line.code for line in found})
    lines = [
        Line(line.sequence, line.seed, line.ok, made[line.code], line.choice) for line in found
    ]
    return sorted(lines, key=lambda line: line.sequence)


def _codes(connection: Connection, codes: Iterable[str]) -> dict[str, dict[str, str]]:
    listed, found = sorted(codes), {}
    for start in range(0, len(listed), AT_ONCE):
        some = sa.select(CODES).where(CODES.c.code.in_(listed[start : start + AT_ONCE]))
        found |= {line.code: json.loads(line.made) for line in connection.execute(some)}
    return found


def _update(connection: Connection, name: str, updates: Sequence[Mapping[str, int]]) -> None:
    if updates:
        at = STANDING.c.sequence == sa.bindparam("number")
        statement = sa.update(STANDING).where(at).values({name: sa.bindparam("now")})
        connection.execute(statement, list(updates))


def _insert(connection: Connection, table: sa.Table) -> Any:
    """An insert that can say what becomes of what is there already."""
    return {"sqlite": sqlite, "postgresql": postgresql}[connection.dialect.name].insert(table)


class Entered(NamedTuple):
    """A line of `standing`, with what made its row."""

    sequence: int
    cell: str
    repeat: str
    seed: int | None
    ok: int
    shape: str
    code: str
    choice: str
    made: Mapping[str, str]


def entered(connection: Connection, among: Collection[int]) -> list[Entered]:
    """The lines of rows that are no trials, in order.

    Args:
      among: the numbers of the rows.
    """
    names = Entered._fields[:-1]
    query = sa.select(*(STANDING.c[name] for name in names)).where(STANDING.c.cell != TRIAL)
    wanted = set(among)
    if len(wanted) <= AT_ONCE:
        query = query.where(STANDING.c.sequence.in_(wanted))
    told = connection.execute(query.order_by(STANDING.c.sequence))
    lines = [line for line in told if line.sequence in wanted]
    made = _codes(connection, {line.code for line in lines})
    return [Entered(**line._mapping, made=made[line.code]) for line in lines]


def unrepeated(lines: Iterable[Entered]) -> list[Entered]:
    """The lines that stand among these, in order."""
    best: dict[str, Entered] = {}
    for line in lines:
        before = best.get(line.repeat)
        if before is None or line.ok >= before.ok:
            best[line.repeat] = line
    return sorted(best.values(), key=lambda line: line.sequence)


def counted(lines: Iterable[Entered]) -> list[int]:
    """The numbers of the lines that count among these, in order."""
    cells: dict[str, list[Entered]] = {}
    for line in unrepeated(lines):
        cells.setdefault(line.cell, []).append(line)
    found: list[int] = []
    for some in cells.values():
        newest = max(some, key=lambda line: (line.ok, line.sequence))
        found += counting([
            Line(line.sequence, line.seed, line.ok, line.made, line.choice) for line in some
            if line.shape != newest.shape or line.code == newest.code
        ])  # fmt: skip
    return sorted(found)
