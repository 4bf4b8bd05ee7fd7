"""Rows of Parquet, read in batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import harness
from harness.errors import Unavailable
from harness_datasets._rows import ROWS_AT_ONCE, Row, column_place, row_of


def parquet_rows(path: Path, text: str, label: str) -> Iterator[Row]:
    try:
        import pyarrow
    except ImportError:
        raise Unavailable(
            f"{path.name} is Parquet, which needs pyarrow; run pip install "
            "'model-zoo-harness[parquet]'"
        ) from None
    try:
        place = 0
        for batch in _batches(path, text, label):
            columns = [_values(path, batch.column(name), name) for name in (text, label)]
            for value in zip(*columns, strict=True):
                place += 1
                yield row_of(place, *value)
    except (pyarrow.ArrowException, UnicodeDecodeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the system; those of a damaged page have no number
        raise harness.DataError(
            f"{path.name} is no Parquet file that can be read ({' '.join(str(error).split())})"
            "; give an intact one"
        ) from None


def _batches(path: Path, text: str, label: str) -> Iterator[Any]:
    from pyarrow import parquet

    # pages are read as they are needed, not a whole group of rows at once
    with parquet.ParquetFile(path, buffer_size=2**20, pre_buffer=False) as file:
        for name in (text, label):
            column_place(path, file.schema_arrow.names, name)
        yield from file.iter_batches(batch_size=ROWS_AT_ONCE, columns=[text, label])


def _values(path: Path, column: Any, name: str) -> list[Any]:
    """A column's values; bytes that are not UTF-8 as those of CSV.

    Raises:
      DataError: Python has no such values, as dates after the year 9999.
    """
    import pyarrow

    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        raw = column.cast(pyarrow.large_binary()).to_pylist()
        return [v if v is None else v.decode(errors="surrogateescape") for v in raw]
    except (OverflowError, ValueError) as error:
        raise harness.DataError(
            f"{path.name} has a {column.type} in {name!r} that is no text or class "
            f"({' '.join(str(error).split())}); name another column with text=... or label=..."
        ) from None
