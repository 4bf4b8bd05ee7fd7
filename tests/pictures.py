"""Small files of images as they are published: IDX, and CIFAR-10's records."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np

MNIST_NAMES = (
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)  # fmt: skip
BATCH_NAMES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")


def idx(values: np.ndarray) -> bytes:
    """An IDX file of unsigned bytes."""
    return (
        bytes([0, 0, 8, values.ndim])
        + np.array(values.shape, ">u4").tobytes()
        + values.tobytes()
    )


def records(images: np.ndarray, labels: np.ndarray) -> bytes:
    """Records of images uint8 [n, 32, 32, 3] and labels uint8 [n]."""
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)  # [n, 3 s s]
    return np.concatenate([labels[:, None], planes], axis=1).tobytes()


def archive(files: dict[str, bytes]) -> bytes:
    """A `.tar.gz` of files in the folder that the published one has."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as made:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def made(seed: int, n: int, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images uint8 [n, *shape], and labels uint8 [n] of all ten classes."""
    random = np.random.RandomState(seed)
    images = random.randint(0, 256, (n, *shape)).astype(np.uint8)
    return images, random.permutation(n).astype(np.uint8) % 10


def mnist_splits() -> list[tuple[np.ndarray, np.ndarray]]:
    return [made(0, 40, 28, 28), made(1, 20, 28, 28)]


def write_mnist(folder: Path, *, packed: bool) -> None:
    """The four files of a small MNIST."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [part for split in mnist_splits() for part in split]
    for name, part in zip(MNIST_NAMES, parts, strict=True):
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(part), mtime=0))
        else:
            (folder / name).write_bytes(idx(part))


def cifar_batches() -> list[tuple[np.ndarray, np.ndarray]]:
    """Five batches of five images to train on and one of 20 to test on."""
    return [made(i, 20 if i == 5 else 10, 32, 32, 3) for i in range(6)]


def cifar_files() -> dict[str, bytes]:
    pairs = zip(BATCH_NAMES, cifar_batches(), strict=True)
    return {name: records(*batch) for name, batch in pairs}
