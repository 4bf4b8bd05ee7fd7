from __future__ import annotations

import re

import pytest

pytest.importorskip("array_record.python.array_record_module")

from benchmarks.scale_data import huge, reading, trained


def test_files_and_arrays_are_trained_on_and_come_to_the_same():
    files, arrays = trained(20_480, seeds=1)
    assert files.startswith("| 20,480 | files |") and arrays.startswith("| 20,480 | arrays |")
    assert all("nan" not in line for line in (files, arrays))


def test_records_are_read_one_by_one_and_at_once():
    _, size, alone, together, _ = reading(1000).split("|")
    assert size.strip() == "1,000"
    assert all(float(rate.replace(",", "")) > 0 for rate in (alone, together))


@pytest.mark.parametrize("size", [10**5, 10**9])
def test_a_chunk_is_read_from_the_middle_of_an_order_of_any_size(size: int):
    line = huge(size, count=1)
    assert line.startswith(f"| {size:,} |") and len(re.findall(r"\d[\d,.]*", line)) == 7
