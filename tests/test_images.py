"""Files of images in the forms in which MNIST and CIFAR-10 are published, whole and damaged."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from pictures import archive, idx, records

import harness
from harness_datasets import _images
from harness_datasets._images import (
    read_archive,
    read_idx,
    read_mnist,
    read_records,
    split_records,
)

NAMES = ("data_batch_1.bin", "test_batch.bin")


def random_bytes(*shape: int, high: int = 256) -> np.ndarray:
    return np.random.RandomState(0).randint(0, high, shape).astype(np.uint8)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_idx_is_read_plain_and_packed_whatever_its_name(tmp_path: Path):
    images = random_bytes(3, 28, 28)
    for name in ("plain", "named.gz"):
        for content in (idx(images), gzip.compress(idx(images))):
            found = read_idx(written(tmp_path / name, content), (28, 28))
            assert found.dtype == np.uint8
            np.testing.assert_array_equal(found, images)


def test_idx_has_its_numbers_with_the_most_significant_byte_first(tmp_path: Path):
    content = bytes([0, 0, 8, 1, 0, 0, 1, 2]) + bytes(range(256)) + b"ab"
    assert read_idx(written(tmp_path / "labels", content), ()).tolist() == [*range(256), 97, 98]


IMAGES = idx(random_bytes(2, 28, 28))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "does not begin as one of bytes in 3 dimensions"),
        (b"<html></html>", "does not begin"),
        (idx(random_bytes(2)), "does not begin"),
        (b"\x00\x00\x0d\x03" + IMAGES[4:], "does not begin"),
        (IMAGES[:9], "ends after 5 of 12 bytes"),
        (idx(random_bytes(2, 28, 27)), r"expected \[n, 28, 28\], got \[2, 28, 27\]"),
        (idx(random_bytes(0, 28, 28)), r"got \[0, 28, 28\]"),
        (IMAGES[:4] + b"\xff\xff\xff\xff" + IMAGES[8:], r"got \[4294967295, 28, 28\]"),
        (IMAGES[:-1], "ends after 1,567 of 1,568 bytes"),
        (IMAGES + b"\x00", "more behind its last value"),
        (gzip.compress(IMAGES)[:-10], "end-of-stream"),
        (gzip.compress(IMAGES)[:40] + bytes(40), "."),
        (b"\x1f\x8b" + bytes(30), "."),
    ],
    ids=range(13),  # the bytes hold a time, and every process of the tests names them alike
)
def test_what_is_no_idx_file_is_one_line(tmp_path: Path, content: bytes, why: str):
    path = written(tmp_path / "images", content)
    with pytest.raises(harness.DataError) as caught:
        read_idx(path, (28, 28))
    message = str(caught.value)
    assert message.startswith(f"{path} is not the IDX file it should be: ")
    assert message.endswith("; replace it with an intact copy of the published file")
    assert "\n" not in message
    with pytest.raises(harness.DataError, match=why):
        read_idx(path, (28, 28))


def test_an_absent_file_is_one_line(tmp_path: Path):
    with pytest.raises(harness.DataError, match="No such file"):
        read_idx(tmp_path / "images", (28, 28))


def test_mnist_is_images_with_their_labels(tmp_path: Path):
    images, labels = random_bytes(5, 28, 28), random_bytes(5, high=10)
    first, second = (
        written(tmp_path / name, idx(values)) for name, values in (("x", images), ("y", labels))
    )
    x, y = read_mnist(first, second)
    np.testing.assert_array_equal(x, images[..., None])
    np.testing.assert_array_equal(y, labels)
    for wrong, why in (
        (labels[:4], "4 labels for the 5 images of x"),
        (labels + 10, "label 1"),
    ):
        written(second, idx(wrong))
        with pytest.raises(harness.DataError, match=f"y is not the file of labels .*{why}"):
            read_mnist(first, second)


def test_cifar_is_a_label_and_three_planes_of_colour(tmp_path: Path):
    images, labels = random_bytes(4, 32, 32, 3), random_bytes(4, high=10)
    path = written(tmp_path / "data_batch_1.bin", records(images, labels))
    assert path.stat().st_size == 4 * 3073
    x, y = split_records(read_records(path))
    np.testing.assert_array_equal(x, images)
    np.testing.assert_array_equal(y, labels)
    second = path.read_bytes()[3073 : 2 * 3073]
    assert second[0] == labels[1]
    assert [*second[1:33]] == images[1, 0, :, 0].tolist()  # the first row of the red plane


def batches() -> dict[str, bytes]:
    return {
        name: records(random_bytes(n, 32, 32, 3), random_bytes(n, high=10))
        for n, name in enumerate(NAMES, start=2)
    }


def test_an_archive_is_read_without_being_unpacked(tmp_path: Path):
    files = {"readme.html": b"<html>", **batches(), "batches.meta.txt": b"airplane"}
    path = written(tmp_path / "cifar.tar.gz", archive(files))
    found = read_archive(path, NAMES)
    assert {name: part.tobytes() for name, part in found.items()} == batches()
    assert [entry.name for entry in tmp_path.iterdir()] == ["cifar.tar.gz"]


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_header_that_says_it_is_long_is_not_taken_into_memory(tmp_path: Path, kind: bytes):
    long = tarfile.TarInfo("long")
    long.type, long.size = kind, 2**26
    with gzip.open(tmp_path / "cifar.tar.gz", "wb", compresslevel=1) as file:
        file.write(long.tobuf(tarfile.GNU_FORMAT))
        for _ in range(64):
            file.write(bytes(2**20))
        file.write(gzip.decompress(archive(batches())))
    tracemalloc.start()
    try:
        found = read_archive(tmp_path / "cifar.tar.gz", NAMES)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
    assert {name: part.tobytes() for name, part in found.items()} == batches()


def test_links_and_folders_of_an_archive_have_no_content(tmp_path: Path):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as made:
        for name, kind in (("data_batch_1.bin", tarfile.SYMTYPE), ("b", tarfile.DIRTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.linkname = kind, 4000, "/etc/passwd"
            made.addfile(entry)
    whole = content.getvalue()[:1024] + gzip.decompress(archive(batches()))
    found = read_archive(written(tmp_path / "cifar.tar", whole), NAMES)
    assert {name: part.tobytes() for name, part in found.items()} == batches()


def damaged() -> list[tuple[bytes, str]]:
    whole = batches()
    first = whole[NAMES[0]]
    return [
        (b"", "."),
        (b"<html></html>", "."),
        (archive({NAMES[0]: first}), "it has no test_batch.bin"),
        (archive({**whole, NAMES[0]: first[:-1]}), "records of 3073 bytes, got 6,145 bytes"),
        (archive({**whole, NAMES[0]: b""}), "records of 3073 bytes, got 0 bytes"),
        (archive({**whole, NAMES[0]: b"\x0a" + first[1:]}), "label 10, expected 0 to 9"),
        (archive(whole)[:4000], "."),
    ]


@pytest.mark.parametrize("number", range(7))
def test_a_damaged_archive_is_one_line(tmp_path: Path, number: int):
    content, why = damaged()[number]
    path = written(tmp_path / "cifar.tar.gz", content)
    with pytest.raises(harness.DataError) as caught:
        read_archive(path, NAMES)
    assert str(caught.value).startswith(
        f"{path} is not the archive of CIFAR-10 batches it should"
    )
    assert "\n" not in str(caught.value)
    with pytest.raises(harness.DataError, match=why):
        read_archive(path, NAMES)


def test_no_more_is_read_than_is_sensible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_images, "MOST", 3)
    four = random_bytes(4, 32, 32, 3), random_bytes(4, high=10)
    path = written(tmp_path / "batch.bin", records(*four))
    with pytest.raises(harness.DataError, match="got 9,220 bytes"):
        read_records(path)
    with pytest.raises(harness.DataError, match=r"got \[4, 28, 28\]"):
        read_idx(written(tmp_path / "x", idx(random_bytes(4, 28, 28))), (28, 28))


def test_a_folder_in_the_place_of_a_file_is_one_line(tmp_path: Path):
    with pytest.raises(harness.DataError, match="is not the batch of CIFAR-10"):
        read_records(tmp_path)
