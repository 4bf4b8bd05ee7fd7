"""Texts to token ids: words, characters, bytes, or byte pairs that are merged.

Two steps. `normalised` brings a text into one form, which is what is counted and compared:
Unicode's NFC and, unless case matters, lower case. A vocabulary is fitted to the texts of
training and turns such a text into ids. Id 0 is padding, in all of them.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import repeat
from typing import Any, Literal, Protocol

import numpy as np

import harness
from harness.errors import Unavailable

Tokens = Literal["word", "character", "byte", "bpe"]
PAD = 0
UNKNOWN = 1
BYTES = 256
# different words that are counted at a time; beyond it the rarer half is forgotten
COUNTED = 2_000_000
# of texts that byte pairs are learnt from; where nothing is between words, learning takes some
# seventy times as much memory
MERGED_BYTES = 2**23
SELECTORS = range(0xFE00, 0xFE10)  # they choose between two looks of a character


class _Separators(dict[int, int | str | None]):
    """What becomes of a character between words, found out when it is first met.

    Letters, marks, digits and apostrophes stay; an emoji is a word of its own; invisible
    characters, such as the soft hyphen, vanish; all else is a space.
    """

    def __missing__(self, code: int) -> int | str | None:
        kind = unicodedata.category(chr(code))
        if kind == "Cf" or code in SELECTORS:
            self[code] = None
        elif kind == "So":
            self[code] = f" {chr(code)} "
        else:
            self[code] = code if kind[0] in "LMN" else " "
        return self[code]


SEPARATORS = _Separators({ord("'"): "'", ord("’"): "'"})


def normalised(text: str, tokens: Tokens, *, lower_case: bool) -> str:
    """The form of a text that its tokens are taken from; empty if there is none in it.

    >>> normalised("The film’s “good” – 10/10! 🙂", "word", lower_case=True)
    "the film's good 10 10 🙂"

    Of words nothing else is left, with a space between two of them. The other kinds keep
    every character but for white space at the ends.
    """
    plain = unicodedata.normalize("NFC", text.lower() if lower_case else text)
    if tokens != "word":
        return plain.strip()
    words = plain.translate(SEPARATORS).split()
    if "'" not in plain and "’" not in plain:
        return " ".join(words)
    bare = (word.strip("'") for word in words)
    return " ".join(word for word in bare if word)


class Vocabulary(Protocol):
    """What turns normalised texts into ids from 1 on, and back.

    Attributes:
      size: ids run below it; 0 is padding.
    """

    size: int

    def ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Ids int32 [t], one array a text."""
        ...

    def text(self, ids: np.ndarray) -> str:
        """Something to read for ids [t], none of which is padding."""
        ...

    def kept(self) -> Any:
        """What `restored` makes the same vocabulary of; it can be written as JSON."""
        ...


class Listed:
    """The most frequent words or characters, from id 2 on; all others are id 1."""

    def __init__(self, pieces: Sequence[str], *, between: str) -> None:
        self._pieces = ("", "<unk>" if between else "\N{REPLACEMENT CHARACTER}", *pieces)
        self._ids = {piece: place for place, piece in enumerate(pieces, start=2)}
        self._between = between
        self.size = len(self._pieces)

    def ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        pieces = ((text.split(" ") if self._between else text) for text in texts)
        found = (map(self._ids.get, each, repeat(UNKNOWN)) for each in pieces)
        return [np.fromiter(each, dtype=np.int32) for each in found]

    def text(self, ids: np.ndarray) -> str:
        return self._between.join(self._pieces[id_] for id_ in ids.tolist())

    def kept(self) -> Any:
        return self._pieces[2:]


class Bytes:
    """Each byte of UTF-8 is its value plus 1: nothing is learnt, and nothing is unknown."""

    size = BYTES + 1

    def ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [
            np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32) + 1 for text in texts
        ]

    def text(self, ids: np.ndarray) -> str:
        # the first character may have been cut
        return (ids - 1).astype(np.uint8).tobytes().decode(errors="replace")

    def kept(self) -> Any:
        return None


class Merged:
    """Byte pairs, merged from the most frequent on, by Hugging Face's tokenizers."""

    def __init__(self, written: str) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(written)
        self._written = written
        self.size = self._tokenizer.get_vocab_size() + 1

    def ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(one.ids, dtype=np.int32) + 1 for one in found]

    def text(self, ids: np.ndarray) -> str:
        return self._tokenizer.decode((ids - 1).tolist(), skip_special_tokens=False)

    def kept(self) -> Any:
        return self._written


def check_size(tokens: Tokens, vocab_size: int) -> None:
    """Raises UsageError for a vocabulary that is too small for its kind of tokens."""
    if tokens == "bpe" and vocab_size <= BYTES:
        raise harness.UsageError(
            f"vocab_size={vocab_size} with tokens=bpe: expected at least {BYTES + 1}, one for "
            "each byte and one for padding"
        )


def check_installed(tokens: Tokens) -> None:
    """Raises Unavailable for tokens that need a package which is not here."""
    if tokens == "bpe" and find_spec("tokenizers") is None:
        raise Unavailable(
            "tokens=bpe needs tokenizers; run pip install 'model-zoo-harness[bpe]', or take "
            "word, character or byte"
        )


def fit(tokens: Tokens, texts: Iterable[str], *, vocab_size: int) -> Vocabulary:
    """Learns a vocabulary.

    Args:
      texts: normalised, of the training rows alone.
      vocab_size: ids at most, padding and the unknown among them; bytes have 257.
    """
    if tokens == "byte":
        return Bytes()
    if tokens == "bpe":
        return Merged(_merge(texts, vocab_size=vocab_size - 1))
    split: Callable[[str], Iterable[str]] = str.split if tokens == "word" else iter
    counts = _counted(map(split, texts))
    # of equally frequent ones the first by code points, so that the order of rows is nothing
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    pieces = [piece for piece, _ in ranked[: vocab_size - 2]]
    return restored(tokens, pieces)


def restored(tokens: Tokens, kept: Any) -> Vocabulary:
    """The vocabulary that `kept` was taken from."""
    if tokens == "byte":
        return Bytes()
    if tokens == "bpe":
        return Merged(kept)
    return Listed(kept, between=" " if tokens == "word" else "")


def _counted(rows: Iterator[Iterable[str]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for pieces in rows:
        counts.update(pieces)
        if len(counts) > COUNTED:
            counts = Counter(dict(counts.most_common(COUNTED // 2)))
    return counts


def _merge(texts: Iterable[str], *, vocab_size: int) -> str:
    """Byte-level pair merges, as the tokenizer's own JSON.

    There are no special tokens: a text that holds one would be given its id.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=2, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    # a character has four bytes at most, so that the longest text too is bounded
    tokenizer.train_from_iterator((text[: MERGED_BYTES // 4] for text in texts), trainer)
    return tokenizer.to_str()
