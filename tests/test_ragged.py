import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.errors import DataError
from harness_datasets import _ragged
from harness_datasets._ragged import Growing, last_values, open_or_make, open_or_write

VALUES = np.array([7, 8, 9, 5], dtype=np.int32)
OFFSETS = np.array([0, 3, 3, 4])


def made() -> dict[str, np.ndarray]:
    return {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "b": np.array([1, 2])}


def never() -> dict[str, np.ndarray]:
    raise AssertionError("the arrays were made again")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def window(rows: list[int], length: int) -> list[list[int]]:
    blocks = last_values(VALUES, OFFSETS, rows=np.array(rows), length=length)
    return [row for _, block in blocks for row in block.tolist()]


def test_last_values_are_aligned_right_in_the_order_asked_for() -> None:
    assert window([2, 0, 1], 2) == [[-1, 5], [8, 9], [-1, -1]]
    assert window([0], 5) == [[-1, -1, 7, 8, 9]]
    assert window([0, 0], 1) == [[9], [9]]


def test_blocks_cover_all_rows_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ragged, "ROWS_AT_ONCE", 2)
    rows = np.array([0, 1, 2, 0, 2])
    found = np.full((5, 2), 99, dtype=np.int32)
    for at, block in last_values(VALUES, OFFSETS, rows=rows, length=2):
        assert block.dtype == np.int32
        found[at] = block
    assert found.tolist() == [[8, 9], [-1, -1], [-1, 5], [8, 9], [-1, 5]]


def test_arrays_are_made_once_and_mapped_after_that(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    first = open_or_make(folder, ("a", "b"), made)
    second = open_or_make(folder, ("a", "b"), never)
    for arrays in (first, second):
        assert arrays["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert (arrays["a"].dtype, type(arrays["a"])) == (np.int32, np.ndarray)
        assert not arrays["a"].flags.writeable
    assert names(folder) == ["a.npy", "b.npy"]


@pytest.mark.parametrize("damage", ["truncate", "remove", "pickle"])
def test_damaged_folder_is_made_again(tmp_path: Path, damage: str) -> None:
    open_or_make(tmp_path / "folder", ("a", "b"), made)
    path = tmp_path / "folder" / "a.npy"
    if damage == "truncate":
        path.write_bytes(path.read_bytes()[:-4])
    elif damage == "remove":
        path.unlink()
    else:
        np.save(path, np.array([{}], dtype=object))
    assert open_or_make(tmp_path / "folder", ("a", "b"), made)["a"].shape == (2, 3)


def test_fault_while_making_leaves_no_folder(tmp_path: Path) -> None:
    def fail() -> dict[str, np.ndarray]:
        raise DataError("the file is foreign")

    with pytest.raises(DataError, match="foreign"):
        open_or_make(tmp_path / "folder", ("a",), fail)
    assert not (tmp_path / "folder").exists()


def test_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way of a folder")
    with pytest.raises(DataError, match="cannot be written .*HARNESS_CACHE_DIR"):
        open_or_make(tmp_path / "file" / "folder", ("a", "b"), made)


def test_what_numpy_says_of_a_full_disk_is_told(tmp_path: Path) -> None:
    def fail(part: Path) -> None:
        raise OSError("512 requested and 0 written")  # without a number

    with pytest.raises(DataError, match=r"cannot be written \(512 requested and 0 written\)"):
        open_or_write(tmp_path / "folder", ("a",), fail)


DIES = """
import os, sys
import numpy as np
from pathlib import Path
from harness_datasets import _ragged

def save(path, values, **rest):
    Path(path).write_bytes(b"half of an array")
    os._exit(9)

np.save = save
_ragged.open_or_make(Path(sys.argv[1]), ("a",), lambda: {"a": np.arange(3)})
"""


def test_process_that_dies_half_way_leaves_nothing_that_counts(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    assert subprocess.run([sys.executable, "-c", DIES, str(folder)]).returncode == 9
    assert not folder.exists()
    assert (tmp_path / "folder.part").exists(), "it died elsewhere than this test means"
    assert open_or_make(folder, ("a", "b"), made)["b"].tolist() == [1, 2]
    assert not (tmp_path / "folder.part").exists()


MAKES = """
import sys, time
import numpy as np
from pathlib import Path
from harness_datasets._ragged import open_or_make

def make():
    print("made", flush=True)
    sys.stdin.read()
    return {"a": np.arange(3)}

open_or_make(Path(sys.argv[1]), ("a",), make)
"""


def test_two_processes_make_the_arrays_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKES, str(tmp_path / "folder")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as first:
        assert first.stdin is not None
        assert first.stdout is not None
        assert first.stdout.readline() == "made\n"  # it holds the lock from here on
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as second:
            assert second.stdout is not None
            with pytest.raises(subprocess.TimeoutExpired):
                second.wait(timeout=1)
            first.stdin.close()
            assert second.stdout.read() == ""
    assert (first.returncode, second.returncode) == (0, 0)


def test_a_file_that_grows_is_an_array_like_any_other(tmp_path: Path) -> None:
    blocks = [np.arange(3), np.arange(0), np.arange(1000)]
    growing = Growing(tmp_path / "a.npy", np.int32)
    for block in blocks:
        growing.append(block)
    growing.close()
    found = np.load(tmp_path / "a.npy", mmap_mode="r", allow_pickle=False)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, np.concatenate(blocks))


def test_arrays_written_by_the_maker_itself_are_written_once(tmp_path: Path) -> None:
    def write(part: Path) -> None:
        assert names(part) == []
        np.save(part / "a.npy", np.arange(3))

    folder = tmp_path / "folder"
    assert open_or_write(folder, ("a",), write)["a"].tolist() == [0, 1, 2]

    def again(part: Path) -> None:
        raise AssertionError("the arrays were written again")

    assert open_or_write(folder, ("a",), again)["a"].tolist() == [0, 1, 2]


def test_fault_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def fail(part: Path) -> None:
        (part / "scratch").write_text("texts")
        raise DataError("the file is foreign")

    with pytest.raises(DataError, match="foreign"):
        open_or_write(tmp_path / "folder", ("a",), fail)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
