"""The words of IMDB's reviews: from ranks to ids, and between ids and texts.

The published file holds ranks of words; which words they are is in another, the index, which
only texts need.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

import harness

PAD = 0
VERSION = 1  # of the preparation below; a change makes other arrays, and so new folders
MAX_INT32 = 2**31 - 1
ADDRESS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"
# what Keras took out of the reviews, in front of which it put them into lower case
NO_WORD = str.maketrans(dict.fromkeys('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r', " "))

Order = Literal["published", "shuffled"]


@dataclass(frozen=True)
class Coding:
    """How ranks of words become padded ids: the parameters of `imdb`."""

    vocab_size: int
    max_length: int
    index_from: int
    oov_id: int
    order: Order = "published"

    def __post_init__(self) -> None:
        if self.oov_id >= self.vocab_size:
            raise harness.UsageError(
                f"oov_id={self.oov_id} with vocab_size={self.vocab_size}: expected an oov_id "
                "below vocab_size"
            )

    def fingerprint(self, source_sha256: str) -> str:
        """Hash of the data, the preparation and its parameters, in hexadecimal."""
        parts = {"source": source_sha256, "version": VERSION, **asdict(self)}
        if self.order == "published":  # what it was before there was another
            del parts["order"]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def encode(self, ranks: np.ndarray) -> np.ndarray:
        """Ids int32 [n, t] from ranks int32 [n, t], in which -1 means no word.

        >>> Coding(20, 3, index_from=3, oov_id=2).encode(np.array([[-1, 1, 17]]))
        array([[0, 4, 2]], dtype=int32)
        """
        # compared before the shift, because the sum may not fit into int32
        known = ranks < self.vocab_size - self.index_from
        ids = np.where(known, ranks + self.index_from, self.oov_id)
        return np.where(ranks < 0, PAD, ids).astype(np.int32, copy=False)


def make_decoder(coding: Coding) -> Callable[[np.ndarray], str]:
    """`decode(x int32 [t]) -> str`: the words of a row, separated by spaces.

    Padding is dropped and `oov_id` becomes `<oov>`. An id below `index_from` is no word
    and becomes `<reserved 1>`; an id without a word in the index becomes `<unknown 99>`.
    The word index is located, or downloaded, by the first call.
    """

    words = functools.cache(_located_words)

    def word(id_: int) -> str:
        if id_ == coding.oov_id:
            return "<oov>"
        if id_ < coding.index_from:
            return f"<reserved {id_}>"
        return words().get(id_ - coding.index_from, f"<unknown {id_}>")

    return lambda x: " ".join(word(int(id_)) for id_ in x if id_ != PAD)


def make_encoder(coding: Coding) -> Callable[[str], np.ndarray]:
    """`encode(text) -> x int32 [t]`: a text as the published reviews were prepared.

    Lower case, without punctuation but for apostrophes; words outside the vocabulary become
    `oov_id`, as `<oov>` does, and the last `max_length` words stand behind padding. It gives a
    row back of which `decode` has made a text, unless there are reserved ids in it. The word
    index is located, or downloaded, by the first call.

    Raises:
      UsageError: the text has no word.
    """

    @functools.cache
    def ranks() -> dict[str, int]:
        return {word: rank for rank, word in _located_words().items()}

    def encode(text: str) -> np.ndarray:
        # at spaces only: the index has words with other separators in them
        words = [word for word in text.lower().translate(NO_WORD).split(" ") if word]
        if not words:
            raise harness.UsageError("expected a text, got one without a word")
        row = np.full((1, coding.max_length), -1, np.int32)  # [1, t]
        known = [ranks().get(word, MAX_INT32) for word in words[-coding.max_length :]]
        row[0, -len(known) :] = known
        return coding.encode(row)[0]

    return encode


def _located_words() -> dict[int, str]:
    return read_words(harness.locate_files("imdb", [WORD_INDEX])[WORD_INDEX.name].path)


def read_words(path: Path) -> dict[int, str]:
    """Reads `imdb_word_index.json`: the word of each rank.

    Raises:
      DataError: it is no JSON object of words and ranks.
    """
    try:
        index = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        index = None
    if not isinstance(index, dict) or not index or {*map(type, index.values())} != {int}:
        raise harness.DataError(
            f"{path} is not the word index: expected a JSON object of words and their "
            "ranks; replace it with an intact copy of the published file"
        )
    return {rank: word for word, rank in index.items()}


def check_words(path: Path) -> None:
    """Raises DataError if `path` is not a word index."""
    read_words(path)


WORD_INDEX = harness.DataFile(
    name="imdb_word_index.json",
    url=f"{ADDRESS}/imdb_word_index.json",
    md5="bfafd718b763782e994055a2d397834f",
    check=check_words,
)
