"""Rows of Parquet, and files that are damaged."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from tables import rows_of, write

import harness
from harness.errors import Unavailable
from harness_datasets._rows import Row
from harness_datasets._tables import part


def test_parquet_is_read_in_parts_with_labels_of_any_type(tmp_path: Path):
    path = tmp_path / "a.parquet"
    table = pa.table({"y": [1, 0, None], "t": ["good", None, "bad"], "more": [1.0, 2.0, 3.0]})
    parquet.write_table(table, path, row_group_size=2)
    assert rows_of(path, text="t", label="y") == [
        Row(1, "good", "1"), Row(2, fault="has no text"), Row(3, fault="has no label"),
    ]  # fmt: skip
    assert part(path, text="t", label="y").unit == "row"


def test_parquet_with_categories_and_spoilt_bytes(tmp_path: Path):
    path = tmp_path / "a.parquet"
    spoilt = pa.array([b"caf\xe9", b"tea"]).cast(pa.string(), safe=False)
    labels = pa.array(["a", "b"]).dictionary_encode()
    parquet.write_table(pa.table({"text": spoilt, "label": labels}), path)
    first, second = rows_of(path)
    assert second == Row(2, "tea", "b") and first.label == "a"
    with pytest.raises(UnicodeEncodeError):
        first.text.encode()


def test_dates_that_python_does_not_have_are_one_line(tmp_path: Path):
    path = tmp_path / "a.parquet"
    days = pa.array([10**9, 0], pa.int32()).cast(pa.date32())
    parquet.write_table(pa.table({"text": ["good", "bad"], "label": days}), path)
    with pytest.raises(harness.DataError, match="a.parquet has a date32.* in 'label' that is"):
        rows_of(path)


def test_a_damaged_parquet_file_is_one_line_wherever_the_damage_is(tmp_path: Path):
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"good {i}" for i in range(500)], "label": ["a"] * 500})
    parquet.write_table(
        table, path, compression="snappy", use_dictionary=False, store_schema=False
    )
    whole = path.read_bytes()
    pages = whole[:100] + b"\xff" * 400 + whole[500:]
    for damaged in (whole.replace(b"label", b"\xff\xfebel"), pages):
        path.write_bytes(damaged)
        with pytest.raises(
            harness.DataError, match="is no Parquet file .*; give an intact one"
        ):
            rows_of(path)


def test_parquet_without_its_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Unavailable, match=r"needs pyarrow; run pip install '.*\[parquet\]'$"):
        rows_of(write(tmp_path / "a.parquet", "x"))
