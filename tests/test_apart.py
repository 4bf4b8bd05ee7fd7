"""Pickles that ask for memory get a child's, and no more of it than it may have."""

from __future__ import annotations

import io
import pickle
import resource
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from harness.errors import DataError
from harness_datasets import _apart
from harness_datasets._apart import read_rows_apart
from harness_datasets._npz import read_rows


def archive(path: Path, **pickles: bytes) -> Path:
    """An npz with one object array of three rows for each pickle."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|O", "fortran_order": False, "shape": (3,)}
    )
    with zipfile.ZipFile(path, "w") as file:
        for name, content in pickles.items():
            file.writestr(f"{name}.npy", header.getvalue() + content)
    return path


def objects(*rows: list[int]) -> bytes:
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return pickle.dumps(array, protocol=2)


def test_several_arrays_are_read_as_by_one_process(tmp_path: Path):
    path = archive(
        tmp_path / "a.npz", x=objects([5, 300, 70_000], [], [1]), y=objects([1], [2], [3, 4])
    )
    for name, (values, offsets) in zip("xy", read_rows_apart(path, "xy"), strict=True):
        wanted, at = read_rows(path, name)
        np.testing.assert_array_equal(values, wanted)
        np.testing.assert_array_equal(offsets, at)
        assert (values.dtype, offsets.dtype) == (np.int32, np.int64)


def test_what_is_wrong_with_a_file_is_said_in_the_same_words(tmp_path: Path):
    path = archive(tmp_path / "a.npz", x=b"cos\nsystem\n.")
    with pytest.raises(DataError) as apart:
        read_rows_apart(path, ["x"])
    with pytest.raises(DataError) as here:
        read_rows(path, "x")
    assert str(apart.value) == str(here.value)
    assert "'os.system'" in str(here.value)


# "remember this at place 2**29": a table of eight billion bytes, from eight
TABLE = b"\x80\x02Nr" + struct.pack("<I", 2**29) + b"."


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a process's memory")
def test_a_pickle_that_asks_for_gigabytes_gets_none(tmp_path: Path):
    path = archive(tmp_path / "a.npz", x=TABLE)
    with pytest.raises(DataError, match="replace it with an intact copy") as caught:
        read_rows_apart(path, ["x"])
    assert "\n" not in str(caught.value)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    assert peak < _apart.MEMORY_BYTES + 2**29


def test_a_child_that_is_killed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(DataError, match=r"read x died \(exit 1\)"):
        read_rows_apart(archive(tmp_path / "a.npz", x=objects([1], [2], [3])), ["x"])
