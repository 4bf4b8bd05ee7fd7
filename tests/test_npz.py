"""Hostile and damaged files; the ordinary one is tested with the data set."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from harness_datasets import _npz
from harness_datasets._npz import read_labels, read_rows

ROWS = [[5, 300, 70_000], [], [1]]


def objects(rows: list[Any]) -> np.ndarray:
    found = np.empty(len(rows), dtype=object)
    found[:] = rows
    return found


def save(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def save_pickle(path: Path, content: bytes, *, rows: int = 3) -> Path:
    """An object array of the npz whose pickle is `content`."""
    file = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": (rows,)}
    np.lib.format.write_array_header_1_0(file, header)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", file.getvalue() + content)
    return path


def refusal(path: Path, name: str = "x") -> str:
    with pytest.raises(DataError) as caught:
        read_rows(path, name)
    message = str(caught.value)
    assert message.startswith(f"{path} is not the data it should be: ")
    assert message.endswith("replace it with an intact copy of the published file")
    assert "\n" not in message
    return message


class Touch:
    """A pickle that would create a file if it were opened by an open unpickler."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_rows_come_out_flat_with_their_offsets(tmp_path: Path) -> None:
    values, offsets = read_rows(save(tmp_path / "a.npz", x=objects(ROWS)), "x")
    assert (values.dtype, offsets.dtype) == (np.int32, np.int64)
    assert values.tolist() == [5, 300, 70_000, 1]
    assert offsets.tolist() == [0, 3, 3, 4]


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
@pytest.mark.parametrize("protocol", [0, 2, 3])
def test_old_protocols_and_both_names_of_numpys_core_are_read(
    tmp_path: Path, module: bytes, protocol: int
) -> None:
    content = pickle.dumps(objects(ROWS), protocol=protocol)
    changed = content.replace(b"numpy._core.multiarray", module)
    assert module in changed
    values, _ = read_rows(save_pickle(tmp_path / "a.npz", changed), "x")
    assert values.tolist() == [5, 300, 70_000, 1]


def test_pickle_that_runs_code_runs_nothing_and_is_told(tmp_path: Path) -> None:
    made = tmp_path / "made"
    path = save(tmp_path / "a.npz", x=objects([[1], Touch(made), [2]]))
    assert f"'{os.mkdir.__module__}.mkdir', which is refused" in refusal(path)
    assert not made.exists()
    with np.load(path, allow_pickle=True) as opened:
        opened["x"]
    assert made.exists(), "the pickle of this test does nothing, so the test shows nothing"


@pytest.mark.parametrize(
    "name", [b"builtins\neval", b"numpy\nload", b"numpy.lib.format\nread_array", b"os\nsystem"]
)
def test_every_other_name_is_refused(tmp_path: Path, name: bytes) -> None:
    path = save_pickle(tmp_path / "a.npz", b"c" + name + b"\n.")
    assert f"asks for {name.decode().replace(chr(10), '.')!r}" in refusal(path)


def test_what_numpys_names_are_given_is_kept_and_not_run(tmp_path: Path) -> None:
    # a dtype with forged flags and raw bytes in place of items: numpy would take them for
    # the addresses of objects
    forged = b"cnumpy\ndtype\n(S'O8'\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntb."
    assert "holds no object array" in refusal(save_pickle(tmp_path / "a.npz", forged))


def test_stand_ins_cannot_be_altered(tmp_path: Path) -> None:
    path = save_pickle(tmp_path / "a.npz", b"cnumpy\ndtype\n}b.")
    assert "alters a function of numpy's" in refusal(path)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([[1], [2.5]], id="a float"),
        pytest.param([[1], ["2"]], id="a word"),
        pytest.param([[1], [None]], id="nothing"),
        pytest.param([[1], [[2], [3]]], id="a list in a list"),
        pytest.param([[1], (2,)], id="a tuple"),
        pytest.param([[1], 2], id="no list"),
        pytest.param([[1], [2**31]], id="more than 32 bits"),
        pytest.param([[1], [-1]], id="a negative"),
        pytest.param([[], []], id="no word at all"),
    ],
)
def test_rows_of_anything_but_words_are_refused(tmp_path: Path, rows: list[Any]) -> None:
    refusal(save(tmp_path / "a.npz", x=objects(rows)))


@pytest.mark.parametrize(
    "content",
    [b"", b"N.", b"]K\x01a.", pickle.dumps(objects(ROWS))[:-20], b"\x80\x04.", b"\xff" * 9],
)
def test_pickles_without_an_object_array_are_refused(tmp_path: Path, content: bytes) -> None:
    refusal(save_pickle(tmp_path / "a.npz", content))


def test_rows_other_than_announced_are_refused(tmp_path: Path) -> None:
    path = save_pickle(tmp_path / "a.npz", pickle.dumps(objects(ROWS)), rows=4)
    assert "4 rows are announced, 3 are there" in refusal(path)


def test_one_row_in_many_places_is_refused_before_it_is_written_out(tmp_path: Path) -> None:
    """A file of a few kilobytes would unpack to billions of words."""
    path = save(tmp_path / "a.npz", x=objects([[7] * 1000] * 1000))
    assert "one stands in many places" in refusal(path)


def test_truncated_archive_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x=objects([list(range(5000))]))
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        refusal(path)


def test_flipped_bits_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x=objects([list(range(5000))]))
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    path.write_bytes(damaged)
    refusal(path)


def test_page_of_html_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"\n<!DOCTYPE html><title>log in</title>")
    assert "it is a page of HTML" in refusal(tmp_path / "a.npz")


def test_foreign_archives_are_refused(tmp_path: Path) -> None:
    assert "no item named 'x.npy'" in refusal(save(tmp_path / "a.npz", y=np.arange(3)))
    assert "it is int64 [3]" in refusal(save(tmp_path / "b.npz", x=np.arange(3)))
    square = np.empty((2, 2), dtype=object)
    assert "it is object [2, 2]" in refusal(save(tmp_path / "c.npz", x=square))
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x.npy", b"no array")
    refusal(tmp_path / "d.npz")
    refusal(tmp_path / "absent.npz")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_packed_as_numpy_packs_none_is_not_unpacked(
    tmp_path: Path, method: int
) -> None:
    """`zipfile` unpacks these without any bound."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
        archive.writestr("x.npy", b"0" * 10_000_000)
    assert "packed in a way that NumPy does not use" in refusal(tmp_path / "a.npz")


def test_a_member_that_unpacks_to_more_than_it_says_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(200_000_000))
    content = path.read_bytes()
    size = struct.pack("<L", 200_000_000)
    assert content.count(size) >= 1
    path.write_bytes(content.replace(size, struct.pack("<L", 1000)))
    tracemalloc.start()
    try:
        refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.npz", x=objects([[7] * 200_000]))
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(_npz, "LIMIT", 100_000)
    assert "more than 100,000" in refusal(path)


def test_labels_come_out_as_int32(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", y=np.array([0, 1, 1], dtype=np.int64))
    labels = read_labels(path, "y", num_classes=2)
    assert labels.dtype == np.int32
    assert labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (np.array([0, 2]), "labels run from 0 to 1"),
        (np.array([0, -1]), "labels run from 0 to 1"),
        (np.array([0.0, 1.0]), r"it is float64 \[2\]"),
        (np.array([[0], [1]]), r"it is int64 \[2, 1\]"),
        (np.array([], dtype=np.int64), "or none"),
        (objects([0, 1]), r"it is object \[2\]"),
    ],
)
def test_labels_of_another_kind_are_refused(
    tmp_path: Path, labels: np.ndarray, why: str
) -> None:
    path = save(tmp_path / "a.npz", y=labels)
    with pytest.raises(DataError, match=why):
        read_labels(path, "y", num_classes=2)


def test_labels_that_announce_more_than_there_is_are_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    header = {"descr": "<i8", "fortran_order": False, "shape": (10**15,)}
    np.lib.format.write_array_header_1_0(file, header)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("y.npy", file.getvalue() + b"12345678")
    with pytest.raises(DataError, match="announced, 8 bytes are there"):
        read_labels(tmp_path / "a.npz", "y", num_classes=2)


def rows_or_refusal(folder: Path, content: bytes) -> None:
    """Reads a file of these bytes: rows, labels, or a refusal of one line each."""
    path = folder / "any.npz"
    path.write_bytes(content)
    for read in (lambda: read_rows(path, "x"), lambda: read_labels(path, "y", num_classes=2)):
        try:
            read()
        except DataError as error:
            assert "\n" not in str(error)


@given(content=st.binary(max_size=1000))
def test_any_bytes_are_an_archive_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    rows_or_refusal(tmp_path_factory.mktemp("any"), content)


# whatever a pickle machine does with these is done: most streams of bytes end at the first
OPCODES = st.lists(
    st.sampled_from(
        # without p and r: their numbers ask for tables of gigabytes, which test_apart.py does
        [bytes([op]) for op in b"(.0123FIJKLMNPQRSTUVXabcdeghijloqstuB]}){"]
        + [b"cnumpy\ndtype\n", b"cos\nsystem\n", b"cnumpy\nndarray\n", b"K\x01",
           b"X\x01\0\0\0a", b"\x80\x04", b"\x93", b"\x94", b"\x8c\x02os", b"\x85",
           b"\x86", b"\x87", b"\x81"]
    ),
    max_size=40,
)  # fmt: skip


@given(codes=OPCODES)
def test_any_pickle_gives_rows_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, codes: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    path = save_pickle(folder / "a.npz", b"".join(codes) + b".")
    rows_or_refusal(folder, path.read_bytes())


@given(data=st.data())
def test_a_good_archive_with_bytes_changed_or_cut_gives_rows_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("any")
    good = save(folder / "a.npz", x=objects(ROWS), y=np.array([0, 1, 0])).read_bytes()
    content = bytearray(good)
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    rows_or_refusal(folder, bytes(content[: data.draw(st.integers(0, len(good)))]))
