"""Results as files: JSON Lines and Parquet, one record a run, nothing left out.

A record is a row with its epochs and arrays, so that a store can be written out, carried
to another machine and taken in there; what says where a run was measured travels with it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from harness.errors import DataError, StoreError, UsageError, first_line
from harness.paths import written_atomically
from harness.rows import (
    COLUMNS,
    EPOCH_TYPES,
    NAMES,
    Result,
    check_value,
    complete,
    storable_row,
)

FORMATS = (".jsonl", ".parquet")
# results in memory at a time, and how large they may be together before no more are taken
GROUP = 64
GROUP_BYTES = 64 << 20
Record = dict[str, Any]


def to_record(result: Result) -> Record:
    """A result as JSON values."""
    return {
        "row": storable_row(result.row),
        "epochs": list(result.epochs),
        "arrays": {n: base64.b64encode(npy).decode() for n, npy in result.arrays.items()},
    }


def from_record(record: Any) -> Result:
    """The inverse of `to_record`. Columns that a later harness added are left out.

    Raises:
      ValueError: the record is not one.
    """
    if not isinstance(record, dict) or not {"row", "epochs", "arrays"} <= set(record):
        raise ValueError("expected an object with row, epochs and arrays")
    row, epochs, arrays = record["row"], record["epochs"], record["arrays"]
    if not isinstance(row, dict) or not isinstance(row.get("run_id"), str):
        raise ValueError("its row has no run_id")
    if not isinstance(epochs, list) or not all(isinstance(e, dict) for e in epochs):
        raise ValueError("its epochs are no list of objects")
    if not isinstance(arrays, dict):
        raise ValueError("its arrays are no object")
    kept = complete({k: v for k, v in row.items() if k in NAMES})
    for column in COLUMNS:
        check_value(column.name, kept[column.name], column.type)
    history = tuple({k: v for k, v in e.items() if k in EPOCH_TYPES} for e in epochs)
    for name, value in ((name, value) for epoch in history for name, value in epoch.items()):
        check_value(name, value, EPOCH_TYPES[name])
    for name in arrays:
        check_value("an array's name", name, "text")
    decoded = {n: base64.b64decode(text, validate=True) for n, text in arrays.items()}
    return Result(row=kept, epochs=history, arrays=decoded)


def write_file(path: Path, results: Iterable[Result]) -> int:
    """Writes results to a new file; returns how many.

    Raises:
      UsageError: the file's name ends in no known format, or there is no folder for it.
      StoreError: it cannot be written.
    """
    write = {".jsonl": _json_lines, ".parquet": _parquet}[_format(path)]
    if not path.absolute().parent.is_dir():
        raise UsageError(f"cannot write {str(path)!r}: there is no folder {path.parent}")
    try:
        with written_atomically(path) as part:
            return write(part, map(to_record, results))
    except OSError as error:  # pyarrow's errors of the disk are some too
        raise StoreError(
            f"{path} cannot be written ({error.strerror or first_line(error)})"
        ) from None


def read_file(path: Path) -> Iterator[Result]:
    """The results in a file.

    Raises:
      UsageError: there is no such file, or its name ends in no known format.
      DataError: it is damaged; says in which record.
      StoreError: it cannot be read now.
    """
    read = {".jsonl": _read_json_lines, ".parquet": _read_parquet}[_format(path)]
    if not path.is_file():
        raise UsageError(f"no file {str(path)!r} to import")
    number = 0
    try:
        for record in read(path):
            yield from_record(record)
            number += 1
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}); try again") from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(
            f"{path}, record {number + 1}: {first_line(error)}; expected what "
            "`harness store export` writes"
        ) from None


def _format(path: Path) -> str:
    if path.suffix not in FORMATS:
        raise UsageError(f"{str(path)!r}: expected a file named *{' or *'.join(FORMATS)}")
    return path.suffix


def _json_lines(path: Path, records: Iterable[Record]) -> int:
    count = 0
    with open(path, "w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record) + "\n")
            count += 1
    return count


def _read_json_lines(path: Path) -> Iterator[Any]:
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _parquet(path: Path, records: Iterable[Record]) -> int:
    pa, parquet = _pyarrow()
    types = {
        "text": pa.string(), "json": pa.string(), "int": pa.int64(), "float": pa.float64(),
        "bool": pa.bool_(),
    }  # fmt: skip
    # rows are columns to query; epochs and arrays stay whole beside them
    schema = pa.schema(
        [(column.name, types[column.type]) for column in COLUMNS]
        + [("epochs_json", pa.string()), ("arrays_json", pa.string())]
    )
    count = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _groups(map(_flat, records)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count


def _groups(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Records by the few, each few a row group of its own that is read by itself."""
    group: list[Record] = []
    for record in records:
        group.append(record)
        size = sum(len(each["arrays_json"]) for each in group)
        if len(group) == GROUP or size >= GROUP_BYTES:
            yield group
            group = []
    if group:
        yield group


def _flat(record: Record) -> Record:
    """A record as columns."""
    texts = {f"{name}_json": json.dumps(record[name]) for name in ("epochs", "arrays")}
    return record["row"] | texts


def _read_parquet(path: Path) -> Iterator[Any]:
    pa, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                for batch in file.iter_batches(batch_size=GROUP, row_groups=[number]):
                    yield from map(_nested, batch.to_pylist())
    except pa.ArrowException as error:
        raise ValueError(first_line(error)) from None


def _nested(row: Record) -> Record:
    """The inverse of `_flat`."""
    epochs, arrays = (json.loads(row.pop(f"{name}_json")) for name in ("epochs", "arrays"))
    return {"row": row, "epochs": epochs, "arrays": arrays}


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise StoreError(
            "Parquet needs pyarrow; run pip install 'model-zoo-harness[parquet]', or name "
            "the file *.jsonl"
        ) from None
    return pyarrow, pyarrow.parquet
