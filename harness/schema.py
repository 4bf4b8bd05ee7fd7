"""The tables of a store.

Four hang on a run's identity: `planned` (runs that were going to be performed and have no row
yet), `rows` (the columns of `harness.rows`), `epochs` (one line an epoch) and `arrays` (whole
.npy files). A fifth, `gates`, has a line for each cell of each `harness gate`. Three more are
narrow and say again what `rows` says, so that few rows need to be read: `standing` (which
rows count in a table), `codes` and `newest`; `harness.enrol` keeps them.

Tables and columns may be added: `SCHEMA_VERSION` counts only changes that an older harness
would misread.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from harness.rows import COLUMNS, EPOCH_COLUMNS, Type

SCHEMA_VERSION = 1
SQL_TYPES: dict[Type, Any] = {
    "text": sa.Text(),
    "json": sa.Text(),
    "int": sa.BigInteger(),
    "float": sa.Double(),
    "bool": sa.Boolean(),
}


def _sequence() -> sa.Column[int]:
    """The order of insertion; SQLite counts up only a column of type INTEGER."""
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("sequence", kind, primary_key=True)


METADATA = sa.MetaData()
META = sa.Table("meta", METADATA, sa.Column("schema_version", sa.Integer, nullable=False))
ROWS = sa.Table(
    "rows",
    METADATA,
    _sequence(),
    *(sa.Column(column.name, SQL_TYPES[column.type]) for column in COLUMNS),
    sa.Index("rows_run_id", "run_id", unique=True),
    # all that says whether a row stands for a run, so that no row is read to find it
    sa.Index("rows_of_run", "run_key", "status", "data_fingerprint", "device_kind",
             "saved_bytes", "sequence"),
    # the beginning of a name is sought in the order of its letters, whatever the language
    sa.Index("rows_run_id_start", "run_id", postgresql_ops={"run_id": "text_pattern_ops"})
    .ddl_if(dialect="postgresql"),
)  # fmt: skip
STANDING = sa.Table(
    "standing",
    METADATA,
    sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
              primary_key=True, autoincrement=False),
    sa.Column("cell", sa.Text, nullable=False),
    sa.Column("repeat", sa.Text, nullable=False),
    sa.Column("seed", sa.BigInteger),
    sa.Column("ok", sa.SmallInteger, nullable=False),
    sa.Column("shape", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("choice", sa.Text, nullable=False),
    sa.Column("stands", sa.SmallInteger, nullable=False),
    sa.Column("counts", sa.SmallInteger, nullable=False),
    sa.Index("standing_repeat", "repeat", "stands"),
    sa.Index("standing_newest", "cell", "stands", "ok", "sequence"),
    sa.Index("standing_code", "cell", "stands", "shape", "code", "choice", "seed", "ok",
             "sequence"),
    sa.Index("standing_counts", "cell", "sequence", sqlite_where=sa.text("counts = 1"),
             postgresql_where=sa.text("counts = 1")),
)  # fmt: skip
CODES = sa.Table(
    "codes",
    METADATA,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("made", sa.Text, nullable=False),
)
NEWEST = sa.Table(
    "newest",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
)
PLANNED = sa.Table(
    "planned",
    METADATA,
    _sequence(),
    sa.Column("run_id", sa.Text, nullable=False, unique=True),
    sa.Column("run_key", sa.Text, nullable=False, index=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("planned_at", sa.Text, nullable=False),
    sa.Index("planned_label", "label", "host"),
)
EPOCHS = sa.Table(
    "epochs",
    METADATA,
    _sequence(),
    sa.Column("run_id", sa.Text, nullable=False, index=True),
    sa.Column("epoch", sa.BigInteger),
    *(sa.Column(name, sa.Double) for name in EPOCH_COLUMNS if name != "epoch"),
)
GATES = sa.Table(
    "gates",
    METADATA,
    _sequence(),
    sa.Column("gate_id", sa.Text, nullable=False, index=True),
    sa.Column("cell", sa.Text, nullable=False),
    sa.Column("started_at", sa.Text),
    sa.Column("base", sa.Text),
    sa.Column("head", sa.Text),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("profile", sa.Text),
    sa.Column("pairs", sa.BigInteger),
    *(sa.Column(name, sa.Double) for name in
      ("ratio", "ratio_low", "ratio_high", "visible", "base_ms", "head_ms")),
    *(sa.Column(name, sa.Text) for name in
      ("host", "cpu_model", "device_kind", "harness_version", "jax_version")),
)  # fmt: skip
ARRAYS = sa.Table(
    "arrays",
    METADATA,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("npy", sa.LargeBinary, nullable=False),
)
