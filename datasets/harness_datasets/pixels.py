"""MNIST and CIFAR-10 as sequences of pixels, from files that the user has.

Read row by row, an image is a sequence of 784 or 1,024 tokens of a vocabulary of 256 grey
values: what is next to each other in the image may be far apart in the sequence. The same
images are there as numbers, and with their colours, for models that see images as such.
Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np

import harness
from harness.hookspecs import Register
from harness_datasets._images import (
    CLASSES,
    read_archive,
    read_mnist,
    read_records,
    split_records,
)
from harness_datasets._pixel_files import ARCHIVE, BATCHES, MNIST, UNPACKED, Source, locate
from harness_datasets._ragged import open_or_make

VERSION = 1  # of the preparation; a change makes other arrays, and so new folders
GREYS = 256
# a thousandth of what red, green and blue weigh in a grey value (ITU-R BT.601)
LUMA = (299, 587, 114)
SHADES = " .:-=+*#%@"
CIFAR_NAMES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
NAMES = ("train_x", "train_y", "test_x", "test_y")

Kind = Literal["tokens", "features", "image"]


def pixels(*, source: Source = "mnist", kind: Kind = "tokens") -> harness.Dataset:
    """60,000 + 10,000 digits (LeCun et al. 1998) or 50,000 + 10,000 photographs.

    `HARNESS_DATA_DIR/pixels/` holds the files as they are published: the four of MNIST, with or
    without `.gz`, or `cifar-10-binary.tar.gz` or the six `.bin` files in it. `harness data
    import pixels PATH...` copies them into the cache instead, which is looked into where that
    folder has none of them.

    Both splits are `{"x": [n, *shape], "y": int32 [n]}` in the order of the files, pixels row
    by row from the top left. No id is padding: 0 is the value of a black pixel.

    Args:
      source: "mnist", 28 x 28 grey digits, or "cifar10", 32 x 32 photographs in colour.
      kind: "tokens" are int32 [784] or [1024] grey values from 0 to 255, as in Tay et al. 2021,
        "Long Range Arena", arXiv:2011.04006. "features" are the same as float32 from 0 to 1,
        "image" is float32 [28, 28, 1] or, in colour, [32, 32, 3].

    Raises:
      Unavailable: a file is not there; the message says where to put it.
      DataError: a file is not what it should be or changed meanwhile, or the cache cannot
        be written.
    """
    files, unchanged = locate(source)
    parts = {
        "version": VERSION, "source": source, "kind": kind,
        "files": [file.sha256 for file in files],
    }  # fmt: skip
    fingerprint = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    folder = harness.cache_dir() / "prepared" / "pixels" / fingerprint[:16]

    def make() -> dict[str, np.ndarray]:
        made = prepare(source, kind, files)
        unchanged.check()
        return made

    arrays = open_or_make(folder, NAMES, make)
    shape = arrays["train_x"].shape[1:]
    return harness.Dataset(
        train={"x": arrays["train_x"], "y": arrays["train_y"]},
        test={"x": arrays["test_x"], "y": arrays["test_y"]},
        spec=harness.DataSpec(
            kind=kind, shape=shape, vocab_size=GREYS if kind == "tokens" else None,
            num_classes=CLASSES, class_names=CIFAR_NAMES if source == "cifar10" else (),
            pad_id=None, fingerprint=fingerprint,
        ),
        decode=draw,
        encode=partial(read_values, kind=kind, shape=shape),
    )  # fmt: skip


def prepare(
    source: Source, kind: Kind, files: Sequence[harness.LocatedFile]
) -> dict[str, np.ndarray]:
    """`<split>_x` [n, *shape] and `<split>_y` int32 [n] from what `locate` found.

    Raises:
      DataError: a file is not what it should be.
    """
    paths = [file.path for file in files]
    if source == "mnist":
        splits = [read_mnist(*paths[:2]), read_mnist(*paths[2:])]
    else:
        names = [file.name for file in BATCHES]
        if len(paths) == 1:
            found = read_archive(paths[0], names)
            records = [found[name] for name in names]
        else:
            records = [read_records(path) for path in paths]
        splits = [split_records(np.concatenate(records[:-1])), split_records(records[-1])]
    arrays = [part for x, y in splits for part in (as_kind(x, kind), y.astype(np.int32))]
    return dict(zip(NAMES, arrays, strict=True))


def as_kind(images: np.ndarray, kind: Kind) -> np.ndarray:
    """Images uint8 [n, s, s, 1 or 3] as tokens int32 [n, s s], features or image float32."""
    if kind == "image":
        return images.astype(np.float32) / (GREYS - 1)
    grey = to_grey(images).reshape(len(images), -1)  # [n, s, s] -> [n, s s]
    if kind == "features":
        return grey.astype(np.float32) / (GREYS - 1)
    return grey.astype(np.int32)


def to_grey(images: np.ndarray) -> np.ndarray:
    """Grey values uint8 [..., s, s] of images uint8 [..., s, s, 1 or 3], rounded."""
    if images.shape[-1] == 1:
        return images[..., 0]
    # one colour after the other: all of them at once would be four times the images
    total = np.full(images.shape[:-1], 500, np.uint32)
    for i, weight in enumerate(LUMA):
        total += np.uint32(weight) * images[..., i]
    return (total // 1000).astype(np.uint8)


def draw(x: np.ndarray) -> str:
    """The image as lines of text; a lighter pixel is a denser character.

    Args:
      x: one example, of any kind.
    """
    x = np.asarray(x)
    values = x if x.dtype.kind == "i" else np.rint(x * (GREYS - 1))
    if x.ndim == 3:
        values = to_grey(values.astype(np.uint8))
    side = math.isqrt(values.size)
    shades = values.reshape(side, side).astype(int) * len(SHADES) // GREYS  # [s s] -> [s, s]
    # a character is about twice as high as wide
    return "\n".join("".join(SHADES[s] * 2 for s in row).rstrip() for row in shades)


def read_values(text: str, *, kind: Kind, shape: tuple[int, ...]) -> np.ndarray:
    """The example of whole numbers from 0 to 255, separated by spaces or commas.

    Raises:
      UsageError: there are more or fewer than in `shape`, or one is no such number.
    """
    given = text.replace(",", " ").split()
    if len(given) != math.prod(shape):
        raise harness.UsageError(f"expected {math.prod(shape)} numbers, got {len(given)}")
    for one in given:
        if not (one.isascii() and one.isdigit() and len(one) < 4 and int(one) < GREYS):
            raise harness.UsageError(
                f"expected whole numbers from 0 to {GREYS - 1}, got {one[:20]!r}"
            )
    values = np.array(given, np.int32).reshape(shape)
    return values if kind == "tokens" else values.astype(np.float32) / (GREYS - 1)


@harness.hookimpl
def register_datasets(register: Register) -> None:
    register(
        "pixels",
        pixels,
        variants={"cifar10": {"source": "cifar10"}, "image": {"kind": "image"}},
        files=(*MNIST, *UNPACKED, ARCHIVE, *BATCHES),
        description="MNIST or CIFAR-10 as sequences of grey pixels, from the user's own files",
        paper="LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition; "
        "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
    )
