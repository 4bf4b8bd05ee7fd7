"""Files of text and label as users have them, read row by row.

CSV, TSV, JSON Lines and Parquet are read as streams, so that a table may be larger than
memory. A row that cannot be used comes out too, with what is wrong with it; only a file that
as a whole is something else ends the reading.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import harness
from harness_datasets._delimited import commas, tabs
from harness_datasets._parquet import parquet_rows
from harness_datasets._rows import LONGEST, Part, Row, refuse_other_encodings, row_of


def find(path: str) -> list[Path]:
    """The files of a path or of a pattern such as `reviews/*.csv`, sorted.

    Raises:
      DataError: there is none.
      UsageError: one is of a kind that is not read.
    """
    # of os.path, which raises nothing for names that no file can have
    given = os.path.expanduser(path)
    names = [given] if os.path.isfile(given) else glob.glob(given)
    found = sorted(Path(name) for name in names if os.path.isfile(name))
    if not found:
        what = "is a folder" if os.path.isdir(given) else "is not there"
        raise harness.DataError(
            f"{path!r} {what} (in {Path.cwd()}); give the path of a file, or a pattern such as "
            "'reviews/*.csv'"
        )
    for one in found:
        if one.suffix.lower() not in READERS:
            raise harness.UsageError(
                f"{one.name} is of a kind that is not read; expected {', '.join(READERS)}"
            )
    return found


def part(path: Path, *, text: str, label: str) -> Part:
    """The rows of a file; `text` and `label` name its columns.

    The stream raises:
      DataError: the file cannot be read, or is not what its name says.
      UsageError: it has no such column.
      Unavailable: it is Parquet, and pyarrow is not here.
    """
    suffix = path.suffix.lower()
    unit = "row" if suffix == ".parquet" else "line"
    return Part(path.name, unit, lambda: _told(path, READERS[suffix](path, text, label)))


def _told(path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    try:
        yield from rows
    except OSError as error:
        raise harness.DataError(
            f"{path} cannot be read ({error.strerror or error}); make it readable"
        ) from None


def _json_lines(path: Path, text: str, label: str) -> Iterator[Row]:
    refuse_other_encodings(path)
    with path.open("rb") as file:
        place = 0
        while line := file.readline(LONGEST):
            place += 1
            if len(line) == LONGEST and not line.endswith(b"\n"):
                while line and not line.endswith(b"\n"):
                    line = file.readline(LONGEST)
                yield Row(place, fault=f"is longer than {LONGEST:,} bytes")
            else:
                yield _of_json(place, line, text, label)


def _of_json(place: int, line: bytes, text: str, label: str) -> Row:
    if not line.strip():
        return Row(place, fault="is empty")
    try:
        value = json.loads(line.decode("utf-8-sig" if place == 1 else "utf-8"))
    except UnicodeDecodeError:
        return Row(place, fault="is not valid UTF-8")
    except (ValueError, RecursionError):
        return Row(place, fault="is not JSON")
    if not isinstance(value, dict):
        return Row(place, fault="is no JSON object")
    for name in (text, label):
        if name not in value:
            keys = ", ".join(" ".join(key.split())[:30] for key in list(value)[:6])
            keys = keys.encode(errors="replace").decode()  # half a pair of surrogates
            return Row(place, fault=f"has no {name!r} (its keys: {keys or 'none'})")
    return row_of(place, value[text], value[label])


Reader = Callable[[Path, str, str], Iterator[Row]]
READERS: dict[str, Reader] = {
    ".csv": commas,
    ".tsv": tabs,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": parquet_rows,
}
