"""Which files of MNIST and CIFAR-10 are used, and what is asked for where one is absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import BATCH_NAMES, cifar_batches, cifar_files, idx, write_mnist
from small import arrays

from harness.errors import Unavailable
from harness_datasets import _pixel_files as module
from harness_datasets.pixels import pixels

MNIST_FILES = [file.name for file in module.MNIST]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where imported files are; it is not there at first."""
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)
    return tmp_path / "cache" / "data" / "pixels"


@pytest.fixture
def folder(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's files are; empty at first."""
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "data"))
    made = tmp_path / "data" / "pixels"
    made.mkdir(parents=True)
    return made


@pytest.mark.parametrize(
    ("source", "names", "address"),
    [
        ("mnist", MNIST_FILES, "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        ("cifar10", ["cifar-10-binary.tar.gz"], module.ARCHIVE.url),
    ],
)
def test_without_files_one_line_says_where_to_put_what(
    source: Any, names: list[str], address: str, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*args: Any, **more: Any) -> Any:
        raise AssertionError("a download was tried")

    monkeypatch.setattr("harness.files.download", fail)
    with pytest.raises(Unavailable) as caught:
        pixels(source=source)
    assert str(caught.value) == (
        f"pixels[source={source}] needs {', '.join(names)} and downloads nothing; get it from "
        f"{address} and put it into HARNESS_DATA_DIR/pixels/, or run "
        "`harness data import pixels PATH...`"
    )


def test_only_what_is_absent_is_asked_for(folder: Path):
    write_mnist(folder, packed=True)
    (folder / MNIST_FILES[2]).unlink()
    with pytest.raises(Unavailable, match=rf"needs {MNIST_FILES[2]} and downloads nothing"):
        pixels()
    (folder / "data_batch_1.bin").write_bytes(cifar_files()["data_batch_1.bin"])
    with pytest.raises(Unavailable) as caught:
        pixels(source="cifar10")
    # a batch has no address of its own: it is in the archive
    assert str(caught.value) == (
        f"pixels[source=cifar10] needs {', '.join(BATCH_NAMES[1:])} and downloads nothing; get "
        "it from https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz and put it beside the "
        "others in HARNESS_DATA_DIR/pixels/"
    )


def another_mnist(folder: Path) -> None:
    """Unpacked images of zeros in the place of the packed ones."""
    write_mnist(folder, packed=False)
    for file in module.UNPACKED[::2]:
        images = np.zeros((40 if "train" in file.name else 20, 28, 28), np.uint8)
        (folder / file.name).write_bytes(idx(images))


def test_the_data_folder_comes_before_the_cache_whatever_the_form(folder: Path, cache: Path):
    write_mnist(cache, packed=True)
    another_mnist(folder)
    assert not arrays(pixels().train)["x"].any()
    for file in folder.iterdir():
        file.unlink()
    assert arrays(pixels().train)["x"].any()


def test_cifar_batches_in_the_data_folder_come_before_an_archive_in_the_cache(
    folder: Path, cache: Path
):
    cache.mkdir(parents=True)
    (cache / "cifar-10-binary.tar.gz").write_bytes(b"not even an archive")
    for name, content in cifar_files().items():
        (folder / name).write_bytes(content)
    expected = np.concatenate([labels for _, labels in cifar_batches()[:-1]])
    assert arrays(pixels(source="cifar10").train)["y"].tolist() == expected.tolist()


def test_no_set_is_put_together_from_two_folders(folder: Path, cache: Path):
    write_mnist(cache, packed=True)
    another_mnist(folder)
    labels = module.UNPACKED[1].name
    (folder / labels).unlink()
    beside = "needs train-labels.*/train-labels-.* and put it beside the others in HARNESS_DATA"
    with pytest.raises(Unavailable, match=beside):
        pixels()
    for file in folder.iterdir():
        file.unlink()
    (cache / MNIST_FILES[1]).unlink()
    with pytest.raises(Unavailable, match="needs train-labels.* and run `harness data import"):
        pixels()
