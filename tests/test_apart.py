"""Pickles that ask for memory or time get a child's, and no more than it may have."""

from __future__ import annotations

import io
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from harness.errors import DataError
from harness_datasets import _apart
from harness_datasets._apart import read_splits
from harness_datasets._npz import read_labels, read_rows


def header(dtype: str) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": dtype, "fortran_order": False, "shape": (3,)}
    )
    return file.getvalue()


def archive(path: Path, **pickles: bytes) -> Path:
    """An npz with three rows, from a pickle, and three labels for each split."""
    with zipfile.ZipFile(path, "w") as file:
        for split, content in pickles.items():
            file.writestr(f"x_{split}.npy", header("|O") + content)
            file.writestr(f"y_{split}.npy", header("<i8") + struct.pack("<3q", 0, 1, 1))
    return path


def objects(*rows: list[int]) -> bytes:
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return pickle.dumps(array, protocol=2)


def refusal(path: Path) -> str:
    with pytest.raises(DataError, match="replace it with an intact copy") as caught:
        read_splits(path, ["a"], num_classes=2)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_several_splits_are_read_as_by_one_process(tmp_path: Path):
    path = archive(
        tmp_path / "a.npz", a=objects([5, 300, 70_000], [], [1]), b=objects([1], [2], [3, 4])
    )
    for name, found in zip("ab", read_splits(path, "ab", num_classes=2), strict=True):
        wanted = (*read_rows(path, f"x_{name}"), read_labels(path, f"y_{name}", num_classes=2))
        for ours, theirs in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(ours, theirs)
            assert ours.dtype == theirs.dtype


def test_what_is_wrong_with_a_file_is_said_in_the_same_words(tmp_path: Path):
    path = archive(tmp_path / "a.npz", a=b"cos\nsystem\n.")
    with pytest.raises(DataError) as here:
        read_rows(path, "x_a")
    assert refusal(path) == str(here.value)
    assert "'os.system'" in str(here.value)


# "remember this at place 2 ** 29": a table of eight billion bytes, from eight
TABLE = b"\x80\x02Nr" + struct.pack("<I", 2**29) + b"."
# a pair of the same pair of the same pair ..., used as a key: hashing takes 2 ** 60 steps
PAIRS = b"\x80\x02}K\x01" + b"2\x86" * 60 + b"K\x00s."


# in a process whose only child is the reader's: the peak is that of the largest child ever
MEASURED = """
import resource, sys
from pathlib import Path
from harness.errors import DataError
from harness_datasets._apart import read_splits
try:
    read_splits(Path(sys.argv[1]), ["a"], num_classes=2)
except DataError:
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a process's memory")
def test_a_pickle_that_asks_for_gigabytes_gets_none(tmp_path: Path):
    path = archive(tmp_path / "a.npz", a=TABLE)
    refusal(path)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, check=True
    )
    assert 0 < int(done.stdout) < _apart.MEMORY_BYTES + 2**29


CHILD = """
import sys
from harness_datasets import _apart
_apart.CPU_S = 2
sys.argv = ["apart", sys.argv[1], "a", "2"]
_apart.main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows bounds no process's time")
def test_a_pickle_that_never_ends_is_ended(tmp_path: Path):
    import subprocess

    path = archive(tmp_path / "a.npz", a=PAIRS)
    child = subprocess.run([sys.executable, "-c", CHILD, str(path)], timeout=60)
    assert child.returncode < 0  # SIGXCPU or, behind it, SIGKILL


def test_a_child_that_dies_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    path = archive(tmp_path / "a.npz", a=objects([1], [2], [3]))
    assert "the process that read a died (exit 1)" in refusal(path)
