"""IMDB movie reviews as padded sequences of word ids, positive or negative.

The published file holds each review as a list of word ranks, 1 for the most frequent
word. A load goes through two stages, both kept in the cache under the hash of the file
they came from: the ranks as flat arrays, and for each choice of parameters the padded
ids. The second load only maps the latter into memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

import harness
from harness.hookspecs import Register
from harness_datasets._apart import read_splits
from harness_datasets._imdb_words import (
    ADDRESS,
    MAX_INT32,
    PAD,
    VERSION,
    WORD_INDEX,
    Coding,
    Order,
    make_decoder,
    make_encoder,
)
from harness_datasets._ragged import last_values, open_or_make

CLASS_NAMES = ("negative", "positive")
SHUFFLE_SEED = 113  # the tutorial's
ORDER_SEED = 0  # of the words of shuffled reviews

# the place of some rows among all, and the rows
Blocks = Iterator[tuple[slice, np.ndarray]]


def imdb(
    *,
    vocab_size: Annotated[int, Ge(2), Le(MAX_INT32)] = 20_000,
    max_length: Annotated[int, Ge(1)] = 200,
    index_from: Annotated[int, Ge(0), Le(MAX_INT32)] = 3,
    oov_id: Annotated[int, Ge(1), Le(MAX_INT32)] = 2,
    order: Order = "published",
    buckets: Annotated[int, Ge(1)] = 1,
) -> harness.Dataset:
    """25,000 + 25,000 movie reviews, positive or negative (Maas et al. 2011).

    Both splits are `{"x": int32 [n, max_length], "y": int32 [n]}`. Rows come in the order
    of one `RandomState(113)` that shuffles the training rows, then the test rows. Reviews
    keep their last `max_length` words and are padded in front with 0.

    Args:
      vocab_size: ids run below it; rarer words become `oov_id`.
      max_length: words kept of each review. The longest has 2,493; from there on nothing is
        cut, and the prepared arrays take 0.5 GB of the cache.
      index_from: a word's id is its rank plus this, which frees ids for other meanings.
      oov_id: the id of all words outside the vocabulary; at or above `index_from` it is
        a word's id too, and `decode` cannot tell the two apart.
      order: of the words that are kept. "shuffled" leaves each review the same words in a
        random order of its own, the same at every load: what a model loses by that, it had
        from order. `encode` takes a text in the order that it has.
      buckets: how many lengths batches may be cut to: `max_length` and its halves, so that
        long reviews cost only the batches that they are in. 1 cuts nothing. The longest of
        the reviews has 2,493 words, half of them have at most 175.

    Raises:
      UsageError: `oov_id` is outside the vocabulary.
      DataError: the file cannot be downloaded, or is not what it should be.
    """
    coding = Coding(vocab_size, max_length, index_from, oov_id, order)
    source = harness.locate_files("imdb", [REVIEWS])[REVIEWS.name]
    arrays = load_arrays(source, coding)
    spec = harness.DataSpec(
        kind="tokens", shape=(max_length,), vocab_size=vocab_size, num_classes=2,
        class_names=CLASS_NAMES, pad_id=PAD, buckets=halves(max_length, buckets),
        fingerprint=coding.fingerprint(source.sha256),
    )  # fmt: skip
    return harness.Dataset(
        train={"x": arrays["train_x"], "y": arrays["train_y"]},
        test={"x": arrays["test_x"], "y": arrays["test_y"]},
        spec=spec,
        decode=make_decoder(coding),
        encode=make_encoder(coding),
    )


def halves(length: int, number: int) -> tuple[int, ...]:
    """A length and its halves, as many as asked for; none where nothing is to be cut.

    >>> halves(200, 3)
    (50, 100, 200)

    Raises:
      UsageError: there are not so many.
    """
    if number == 1:
        return ()
    if number > length.bit_length():
        raise harness.UsageError(
            f"buckets={number} with max_length={length}: it can be halved to "
            f"{length.bit_length()} lengths at most"
        )
    return tuple(length >> times for times in reversed(range(number)))


def load_arrays(source: harness.LocatedFile, coding: Coding) -> dict[str, np.ndarray]:
    """`<split>_x` int32 [n, t] and `<split>_y` int32 [n], memory-mapped from the cache."""
    folder = harness.cache_dir() / "prepared" / "imdb" / source.sha256
    parts = ("values", "offsets", "y")
    flat_names = [f"{split}_{part}" for split in ("train", "test") for part in parts]

    def encode() -> dict[str, np.ndarray]:
        flat = open_or_make(
            folder / f"flat-{VERSION}", flat_names, lambda: read_reviews(source.path)
        )
        return encode_splits(flat, coding)

    names = ("train_x", "train_y", "test_x", "test_y")
    return open_or_make(folder / coding.fingerprint(source.sha256)[:16], names, encode)


def read_reviews(path: Path) -> dict[str, np.ndarray]:
    """Reads `imdb.npz`.

    Returns:
      For split "train" and "test": `<split>_values` int32 [total], `<split>_offsets`
      int64 [n + 1] and `<split>_y` int32 [n].

    Raises:
      DataError: it is not that file, or it is not whole.
    """
    arrays: dict[str, np.ndarray] = {}
    splits = ("train", "test")
    found = read_splits(path, splits, num_classes=len(CLASS_NAMES))
    for split, (values, offsets, labels) in zip(splits, found, strict=True):
        if len(labels) != len(offsets) - 1:
            raise harness.DataError(
                f"{path} has {len(offsets) - 1} reviews in x_{split} and {len(labels)} "
                f"labels in y_{split}; replace it with an intact copy of the published file"
            )
        arrays |= {
            f"{split}_values": values, f"{split}_offsets": offsets, f"{split}_y": labels,
        }  # fmt: skip
    return arrays


def encode_splits(flat: dict[str, np.ndarray], coding: Coding) -> dict[str, np.ndarray]:
    """Shuffled, shifted and padded: `<split>_x` int32 [n, t] and `<split>_y` int32 [n]."""
    random, order_random = (np.random.RandomState(s) for s in (SHUFFLE_SEED, ORDER_SEED))
    arrays: dict[str, np.ndarray] = {}
    for split in ("train", "test"):
        labels = flat[f"{split}_y"]
        rows = np.arange(len(labels))
        random.shuffle(rows)
        ids = np.empty((len(rows), coding.max_length), dtype=np.int32)
        offsets = flat[f"{split}_offsets"]
        blocks = partial(last_values, offsets=offsets, rows=rows, length=coding.max_length)
        words = blocks(flat[f"{split}_values"])
        if coding.order == "shuffled":
            places = order_random.permutation(offsets[-1]).astype(np.int32)
            words = _sorted_by(blocks(places), words)
        for at, ranks in words:
            ids[at] = coding.encode(ranks)
        arrays |= {f"{split}_x": ids, f"{split}_y": labels[rows]}
    return arrays


def _sorted_by(places: Blocks, words: Blocks) -> Blocks:
    """Each row [t] of words in the order of its places; -1, no word, is before all of them."""
    for (at, block), (_, keys) in zip(words, places, strict=True):
        yield at, np.take_along_axis(block, keys.argsort(axis=1), axis=1)


def check_reviews(path: Path) -> None:
    """Raises DataError if `path` is not a whole `imdb.npz`."""
    read_reviews(path)


REVIEWS = harness.DataFile(
    name="imdb.npz",
    url=f"{ADDRESS}/imdb.npz",
    size=17_464_789,
    sha256="69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    check=check_reviews,
)


@harness.hookimpl
def register_datasets(register: Register) -> None:
    register(
        "imdb",
        imdb,
        variants={"shuffled": {"order": "shuffled"}},
        files=(REVIEWS, WORD_INDEX),
        description="25,000 + 25,000 movie reviews as word ids, positive or negative",
        paper="Maas et al. 2011, Learning Word Vectors for Sentiment Analysis",
    )
