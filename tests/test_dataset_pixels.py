"""MNIST and CIFAR-10 as sequences, from small files in the published forms."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import (
    BATCH_NAMES,
    archive,
    cifar_batches,
    cifar_files,
    idx,
    mnist_splits,
    write_mnist,
)
from small import arrays

import harness
from harness import testing
from harness.files import import_files
from harness_datasets import pixels as module
from harness_datasets.pixels import pixels

MNIST_FILES = [file.name for file in module.MNIST]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's files are; empty at first."""
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "data"))
    made = tmp_path / "data" / "pixels"
    made.mkdir(parents=True)
    return made


def cifar_splits() -> list[tuple[np.ndarray, np.ndarray]]:
    *train, test = cifar_batches()
    images, labels = zip(*train, strict=True)
    return [(np.concatenate(images), np.concatenate(labels)), test]


def plain_grey(images: np.ndarray) -> np.ndarray:
    """Grey values [n, s s]: the nearest whole number to the weighted sum."""
    if images.ndim == 3:
        return images.reshape(len(images), -1)
    weighted = images.astype(float) @ np.array([0.299, 0.587, 0.114])
    return np.floor(weighted + 0.5 + 1e-9).reshape(len(images), -1)


def agree(dataset: harness.Dataset, splits: list[tuple[np.ndarray, np.ndarray]]) -> None:
    for split, (images, labels) in zip((dataset.train, dataset.test), splits, strict=True):
        x, y = arrays(split)["x"], arrays(split)["y"]
        assert y.dtype == np.int32
        np.testing.assert_array_equal(y, labels)
        if dataset.spec.kind == "tokens":
            assert x.dtype == np.int32
            np.testing.assert_array_equal(x, plain_grey(images))
            continue
        assert x.dtype == np.float32
        values = plain_grey(images) if dataset.spec.kind == "features" else images
        np.testing.assert_allclose(x, values.reshape(x.shape) / 255, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "shape"), [("tokens", (784,)), ("features", (784,)), ("image", (28, 28, 1))]
)
def test_mnist_is_its_pixels_row_by_row(folder: Path, kind: Any, shape: tuple[int, ...]):
    write_mnist(folder, packed=True)
    dataset = pixels(kind=kind)
    agree(dataset, mnist_splits())
    spec = dataset.spec
    assert (spec.kind, spec.shape, spec.num_classes) == (kind, shape, 10)
    assert (spec.vocab_size, spec.pad_id) == (256 if kind == "tokens" else None, None)
    assert spec.class_names == tuple("0123456789")


@pytest.mark.parametrize(
    ("kind", "shape"), [("tokens", (1024,)), ("features", (1024,)), ("image", (32, 32, 3))]
)
def test_cifar_is_grey_as_a_sequence_and_in_colour_as_an_image(
    folder: Path, kind: Any, shape: tuple[int, ...]
):
    (folder / "cifar-10-binary.tar.gz").write_bytes(archive(cifar_files()))
    dataset = pixels(source="cifar10", kind=kind)
    agree(dataset, cifar_splits())
    assert (dataset.spec.kind, dataset.spec.shape) == (kind, shape)
    assert dataset.spec.class_names[:2] == ("airplane", "automobile")


def test_the_kind_of_a_file_makes_no_difference(folder: Path):
    write_mnist(folder, packed=False)
    agree(pixels(), mnist_splits())
    write_mnist(folder, packed=True)
    for name in MNIST_FILES[:2]:
        (folder / name).unlink()
    agree(pixels(), mnist_splits())  # two of each
    for name, content in cifar_files().items():
        (folder / name).write_bytes(content)
    agree(pixels(source="cifar10"), cifar_splits())


def test_second_load_reads_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch):
    write_mnist(folder, packed=True)
    first = pixels()

    def fail(*args: Any) -> Any:
        raise AssertionError("it was prepared again")

    monkeypatch.setattr(module, "prepare", fail)
    second = pixels()
    assert first.spec == second.spec
    np.testing.assert_array_equal(arrays(first.test)["x"], arrays(second.test)["x"])


def test_fingerprint_follows_files_and_parameters(folder: Path):
    write_mnist(folder, packed=True)
    (folder / "cifar-10-binary.tar.gz").write_bytes(archive(cifar_files()))
    found = [
        pixels(source=source, kind=kind).spec.fingerprint
        for source in ("mnist", "cifar10")
        for kind in ("tokens", "features", "image")
    ]
    labels = mnist_splits()[1][1]
    (folder / MNIST_FILES[3]).write_bytes(gzip.compress(idx((labels + 1) % 10)))
    found.append(pixels().spec.fingerprint)
    assert len(set(found)) == 7


def test_a_file_that_changes_while_it_is_read_leaves_no_arrays(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_mnist(folder, packed=True)
    prepare = module.prepare

    def meanwhile(*words: Any) -> Any:
        made = prepare(*words)
        (folder / MNIST_FILES[0]).write_bytes(b"other")
        return made

    monkeypatch.setattr(module, "prepare", meanwhile)
    with pytest.raises(harness.DataError, match=f"{MNIST_FILES[0]} changed while it was read"):
        pixels()
    assert not [*(tmp_path / "cache" / "prepared" / "pixels").rglob("*.npy")]


def test_a_damaged_file_is_named_and_leaves_no_arrays(folder: Path, tmp_path: Path):
    write_mnist(folder, packed=True)
    path = folder / MNIST_FILES[2]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(harness.DataError, match=rf"{path} is not the IDX file .*; replace it"):
        pixels()
    cifar = folder / "cifar-10-binary.tar.gz"
    cifar.write_bytes(archive({name: b"x" for name in BATCH_NAMES}))
    with pytest.raises(harness.DataError, match=rf"{cifar} is not the archive .*; replace it"):
        pixels(source="cifar10")
    assert not [*(tmp_path / "cache").rglob("*.npy")]


def test_files_can_be_imported(tmp_path: Path):
    write_mnist(tmp_path / "own", packed=True)
    write_mnist(tmp_path / "plain", packed=False)
    (tmp_path / "own" / "cifar-10-binary.tar.gz").write_bytes(archive(cifar_files()))
    files = (*module.MNIST, *module.UNPACKED, module.ARCHIVE, *module.BATCHES)
    half = tmp_path / "half" / MNIST_FILES[0]
    half.parent.mkdir()
    half.write_bytes((tmp_path / "own" / MNIST_FILES[0]).read_bytes()[:-100])
    for wrong in (half, tmp_path / "own" / MNIST_FILES[1]):
        wrong = wrong.rename(half)
        with pytest.raises(harness.DataError, match="is not the IDX file it should be"):
            import_files("pixels", files, [wrong])
    write_mnist(tmp_path / "own", packed=True)
    import_files("pixels", files, [*(tmp_path / "own").iterdir()])
    agree(pixels(), mnist_splits())
    agree(pixels(source="cifar10"), cifar_splits())
    import_files("pixels", files, [*(tmp_path / "plain").iterdir()])


def test_draw_shows_light_pixels_as_dense_characters():
    x = np.zeros((28, 28), np.int32)
    x[1, :3] = [255, 0, 128]
    expected = ["", "@@  ++", *[""] * 26]
    assert module.draw(x.reshape(-1)).split("\n") == expected
    assert module.draw((x / 255).astype(np.float32).reshape(-1)).split("\n") == expected
    assert module.draw((x / 255).astype(np.float32)[..., None]).split("\n") == expected
    white = np.ones((32, 32, 3), np.float32)
    assert module.draw(white).split("\n") == ["@" * 64] * 32


@pytest.mark.parametrize("kind", ["tokens", "features", "image"])
def test_numbers_are_read_as_pixels(folder: Path, kind: Any):
    (folder / "cifar-10-binary.tar.gz").write_bytes(archive(cifar_files()))
    dataset = pixels(source="cifar10", kind=kind)
    assert dataset.encode is not None
    row = arrays(dataset.test)["x"][5]
    values = row if kind == "tokens" else np.rint(row * 255).astype(int)
    found = dataset.encode(", ".join(map(str, values.reshape(-1))))
    assert found.dtype == row.dtype
    np.testing.assert_array_equal(found, row)


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "expected 4 numbers, got 0"), ("1 2 3 256", "from 0 to 255, got '256'"),
     ("1 2 3 -1", "got '-1'"), ("1 2 3 ²", "got '²'"), ("1 2 3 0.5", "got '0.5'")],
)  # fmt: skip
def test_text_that_is_no_image_is_one_line(text: str, why: str):
    with pytest.raises(harness.UsageError, match=f"{why}$"):
        module.read_values(text, kind="tokens", shape=(4,))


def test_conformance(folder: Path, described_here: None):
    write_mnist(folder, packed=True)
    (folder / "cifar-10-binary.tar.gz").write_bytes(archive(cifar_files()))
    left = []
    for check in testing.checks("pixels"):
        try:
            check()
        except pytest.skip.Exception as reason:
            left.append((check.name, str(reason)))
    assert left == [("lengths", "exempt: nothing is padding: all examples have one length")]


def test_conformance_is_not_to_be_had_without_files(described_here: None):
    check = testing.checks("pixels")[0]
    with pytest.raises(pytest.skip.Exception, match="needs train-images-idx3-ubyte.gz"):
        check()
