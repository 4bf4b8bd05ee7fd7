"""Handwritten digits as sequences of 64 pixels: real data that needs no download.

scikit-learn brings the images with it. Read row by row, an 8 x 8 image is a sequence of
64 tokens of a vocabulary of 17 grey values, so that every model for text runs on it.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version

import numpy as np

import harness
from harness.hookspecs import Register
from harness_datasets._ragged import open_or_make

SIDE = 8
GREYS = 17
SPLIT_SEED = 0
SHADES = " .:-=+*#%@"


def digits() -> harness.Dataset:
    """1,437 + 360 handwritten digits, 8 x 8 pixels of 17 grey values (Alpaydin and Kaynak).

    Both splits are `{"x": int32 [n, 64], "y": int32 [n]}`, pixels row by row from the top
    left. The split is fixed and keeps the share of each digit. No id is padding: 0 is
    the value of a white pixel.

    Raises:
      DataError: the cache cannot be written.
    """
    # importing scikit-learn costs over two seconds, so its arrays are kept
    folder = harness.cache_dir() / "prepared" / "digits" / version("scikit-learn")
    names = ("train_x", "train_y", "test_x", "test_y")
    arrays = open_or_make(folder, names, split_digits)
    fingerprint = hashlib.sha256()
    for name in names:
        fingerprint.update(arrays[name].tobytes())
    return harness.Dataset(
        train={"x": arrays["train_x"], "y": arrays["train_y"]},
        test={"x": arrays["test_x"], "y": arrays["test_y"]},
        spec=harness.DataSpec(
            kind="tokens", shape=(SIDE * SIDE,), vocab_size=GREYS, num_classes=10,
            pad_id=None, fingerprint=fingerprint.hexdigest(),
        ),
        decode=draw,
        encode=read_pixels,
    )  # fmt: skip


def split_digits() -> dict[str, np.ndarray]:
    """The four arrays from scikit-learn: `<split>_x` int32 [n, 64], `<split>_y` int32 [n]."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)  # float64 [n, 64], int64 [n]
    train_x, test_x, train_y, test_y = train_test_split(
        pixels, labels, test_size=0.2, stratify=labels, random_state=SPLIT_SEED
    )
    arrays = {"train_x": train_x, "train_y": train_y, "test_x": test_x, "test_y": test_y}
    return {name: np.asarray(values).astype(np.int32) for name, values in arrays.items()}


def draw(x: np.ndarray) -> str:
    """The digit as eight lines of text; a darker pixel is a denser character.

    Args:
      x: int [64], one example.
    """
    shades = np.asarray(x) * (len(SHADES) - 1) // (GREYS - 1)
    rows = shades.reshape(SIDE, SIDE)  # [64] -> [8, 8]
    # a character is about twice as high as wide
    return "\n".join("".join(SHADES[s] * 2 for s in row).rstrip() for row in rows)


def read_pixels(text: str) -> np.ndarray:
    """The example of 64 numbers, separated by spaces or commas: int32 [64].

    Raises:
      UsageError: there are more or fewer, or one is no whole number from 0 to 16.
    """
    pixels = text.replace(",", " ").split()
    if len(pixels) != SIDE * SIDE:
        raise harness.UsageError(f"expected {SIDE * SIDE} numbers, got {len(pixels)}")
    for pixel in pixels:
        if not (pixel.isascii() and pixel.isdigit() and len(pixel) < 4 and int(pixel) < GREYS):
            raise harness.UsageError(
                f"expected whole numbers from 0 to {GREYS - 1}, got {pixel[:20]!r}"
            )
    return np.array(pixels, dtype=np.int32)


@harness.hookimpl
def register_datasets(register: Register) -> None:
    register(
        "digits",
        digits,
        description="1,797 handwritten digits as sequences of 64 pixels; needs no download",
        paper="Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI",
    )
