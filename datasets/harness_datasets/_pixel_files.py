"""The files of MNIST and CIFAR-10, and which of them are used where several are here.

Images and labels of two folders may be of two different sets. So all files of a source are
from one folder: the user's, if it has any of them, and else the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import harness
from harness.errors import Unavailable
from harness.paths import data_dir
from harness_datasets._hashes import Unchanged
from harness_datasets._images import MNIST_SIDE, read_archive, read_idx, read_records

Source = Literal["mnist", "cifar10"]


def locate(source: Source) -> tuple[list[harness.LocatedFile], Unchanged]:
    """The files of a source: MNIST's four, or CIFAR-10's archive, or its six batches.

    Returns:
      The files, and what says whether they are still the same.

    Raises:
      Unavailable: one is not there.
    """
    own, cache = data_dir(), harness.cache_dir() / "data" / "pixels"
    folders = [cache] if own is None else [own / "pixels", cache]
    folder = next((each for each in folders if _any_of(source, each)), None)
    if folder is None:
        put = (
            "put it into HARNESS_DATA_DIR/pixels/, or run `harness data import pixels PATH...`"
        )
        raise Unavailable(_advice(source, FORMS[source][0], put))
    wanted = _chosen(source, folder)
    if absent := [one for one in wanted if not (folder / one.name).is_file()]:
        # one alone in the data folder would hide those in the cache, and the other way round
        put = "put it beside the others in HARNESS_DATA_DIR/pixels/"
        put = "run `harness data import pixels PATH...`" if folder == cache else put
        raise Unavailable(_advice(source, absent, put))
    unchanged = Unchanged(folder / one.name for one in wanted)
    found = harness.locate_files("pixels", wanted)
    return [found[one.name] for one in wanted], unchanged


def _any_of(source: Source, folder: Path) -> bool:
    return any((folder / one.name).is_file() for form in FORMS[source] for one in form)


def _chosen(source: Source, folder: Path) -> Sequence[harness.DataFile]:
    """The first form that is whole, or else what there is of MNIST's, or the batches."""
    for form in FORMS[source]:
        if all((folder / one.name).is_file() for one in form):
            return form
    if source == "cifar10":
        return BATCHES
    pairs = zip(MNIST, UNPACKED, strict=True)
    return [plain if (folder / plain.name).is_file() else packed for packed, plain in pairs]


def _advice(source: Source, absent: Sequence[harness.DataFile], put: str) -> str:
    addresses = {one.url for one in absent}
    address = addresses.pop() if len(addresses) == 1 else f"{MNIST_URL}/"
    return (
        f"pixels[source={source}] needs {', '.join(one.name for one in absent)} and downloads "
        f"nothing; get it from {address} and {put}"
    )


def check_images(path: Path) -> None:
    """Raises DataError if `path` holds no images of MNIST."""
    read_idx(path, (MNIST_SIDE, MNIST_SIDE))


def check_labels(path: Path) -> None:
    """Raises DataError if `path` holds no labels of MNIST."""
    read_idx(path, ())


def check_archive(path: Path) -> None:
    """Raises DataError if `path` is not the archive of CIFAR-10."""
    read_archive(path, [file.name for file in BATCHES])


def check_batch(path: Path) -> None:
    """Raises DataError if `path` is no batch of CIFAR-10."""
    read_records(path)


MNIST_URL = "https://storage.googleapis.com/cvdf-datasets/mnist"
MNIST = tuple(
    harness.DataFile(name=f"{name}.gz", url=f"{MNIST_URL}/{name}.gz", md5=md5, check=check)
    for name, md5, check in (
        ("train-images-idx3-ubyte", "f68b3c2dcbeaaa9fbdd348bbdeb94873", check_images),
        ("train-labels-idx1-ubyte", "d53e105ee54ea40749a09fcbcd1e9432", check_labels),
        ("t10k-images-idx3-ubyte", "9fb629c4189551a2d022fa330f9573f3", check_images),
        ("t10k-labels-idx1-ubyte", "ec29112dd5afa0611ce80d1b7f02629c", check_labels),
    )
)
UNPACKED = tuple(replace(file, name=file.name.removesuffix(".gz"), md5=None) for file in MNIST)
CIFAR_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
ARCHIVE = harness.DataFile(
    name="cifar-10-binary.tar.gz", url=CIFAR_URL, size=170_052_171,
    md5="c32a1d4ab5d03f1284b67883e8d87530", check=check_archive,
)  # fmt: skip
BATCHES = tuple(
    harness.DataFile(name=f"{name}.bin", url=CIFAR_URL, check=check_batch)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
)
FORMS = {"mnist": (MNIST, UNPACKED), "cifar10": ((ARCHIVE,), BATCHES)}
