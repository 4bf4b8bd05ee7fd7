"""Rows of text and label, from wherever they come, to splits of token ids in the cache.

Three passes, none of which holds the texts in memory, but for a bounded part of them that byte
pairs are learnt from. The first writes the usable ones to a
scratch file and keeps twenty bytes a row: label, length and a hash of the text. That is enough
to say which rows are held out for testing. The second fits the vocabulary to the rest, the
third writes ids as one flat array a split. Small splits are padded once more, to arrays;
large ones are read by position from where they lie.
"""

from __future__ import annotations

import functools
import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import harness
from harness.errors import counted
from harness.progress import note
from harness_datasets import _tokenizers
from harness_datasets._gather import Gathered, Labels, gather, hold_out, in_order, untested
from harness_datasets._notes import Note
from harness_datasets._ragged import Growing, open_or_write
from harness_datasets._rows import Part
from harness_datasets._splits import SPLITS, splits
from harness_datasets._tokenizers import PAD, Tokens, Vocabulary

VERSION = 2  # of the preparation below; a change makes other arrays, and so new folders
ORDER_SEED = 113
TEXTS_AT_ONCE, CHARACTERS_AT_ONCE = 1024, 2**22
FLAT = (
    *(f"{split}_{part}" for split in SPLITS for part in ("values", "offsets", "order", "y")),
    "about", "vocabulary",
)  # fmt: skip


@dataclass(frozen=True)
class Coding:
    """How texts become ids and rows become splits: parameters of the data sets.

    Attributes:
      vocab_size: ids at most.
      max_length: t, tokens that are kept of a text: its last ones.
      test_share: of the rows that are held out where there is no test split.
      split_seed: of that choice.
    """

    tokens: Tokens
    vocab_size: int
    max_length: int
    lower_case: bool
    test_share: float
    split_seed: int

    def __post_init__(self) -> None:
        _tokenizers.check_size(self.tokens, self.vocab_size)
        _tokenizers.check_installed(self.tokens)

    def normalised(self, text: str) -> str:
        return _tokenizers.normalised(text, self.tokens, lower_case=self.lower_case)

    def fingerprint(self, source: Any, *, has_test: bool = False) -> str:
        """Hash of the source, the preparation and its parameters, in hexadecimal.

        Args:
          source: what the rows come from; it can be written as JSON.
          has_test: whether test rows come with it, so that none are held out.
        """
        parts = {"source": source, "version": VERSION, **asdict(self)}
        # NFC, lower case and what is a letter follow it
        parts["unicode"] = unicodedata.unidata_version
        for name in ("test_share", "split_seed") if has_test else ():
            del parts[name]
        if self.tokens == "byte":
            del parts["vocab_size"]
        if self.tokens == "bpe":
            from importlib.metadata import version

            parts["tokenizers"] = version("tokenizers")
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def load(
    name: str, fingerprint: str, coding: Coding, *,
    train: Sequence[Part], test: Sequence[Part], class_names: Sequence[str] = (),
    check: Callable[[], None] = lambda: None,
) -> harness.Dataset:  # fmt: skip
    """The data set of some rows, out of the cache where it is there.

    Args:
      name: of the data set, for its folder and its notes.
      fingerprint: of all that the arrays depend on.
      test: without any, a share of the training rows is held out.
      class_names: of all classes, in their order; without them, the labels, sorted.
      check: raises if the rows, now that they are read, are no longer those of `fingerprint`.

    Raises:
      DataError: the rows are no two classes of texts, or cannot be read or written.
    """
    folder = harness.cache_dir() / "prepared" / name / fingerprint[:16]

    def write(part: Path) -> None:
        _prepare(part, coding, train=train, test=test, class_names=class_names)
        check()

    flat = open_or_write(folder / "flat", FLAT, write)
    about = _from_bytes(flat["about"])
    names = [part.name for part in (*train, *test)]
    for kept in about["notes"]:
        note(f"{name}: {Note(*kept).line(names)}")
    made = splits(folder / "padded", flat, coding.max_length)
    spec = harness.DataSpec(
        kind="tokens", shape=(coding.max_length,), vocab_size=about["vocab_size"],
        num_classes=len(about["class_names"]), class_names=tuple(about["class_names"]),
        pad_id=PAD, fingerprint=fingerprint,
    )  # fmt: skip
    # only decoding and encoding need it
    vocabulary = functools.cache(
        lambda: _tokenizers.restored(coding.tokens, _from_bytes(flat["vocabulary"]))
    )
    return harness.Dataset(
        train=made["train"], test=made["test"], spec=spec,
        decode=lambda x: vocabulary().text(x[x != PAD]),
        encode=_encoder(coding, vocabulary),
    )  # fmt: skip


def _encoder(
    coding: Coding, vocabulary: Callable[[], Vocabulary]
) -> Callable[[str], np.ndarray]:
    def encode(text: str) -> np.ndarray:
        plain = coding.normalised(text)
        if not plain:
            raise harness.UsageError("expected a text, got one without a word")
        x = np.full(coding.max_length, PAD, dtype=np.int32)
        ids = vocabulary().ids([plain])[0][-coding.max_length :]
        x[len(x) - len(ids) :] = ids
        return x

    return encode


def _prepare(
    folder: Path, coding: Coding, *,
    train: Sequence[Part], test: Sequence[Part], class_names: Sequence[str],
) -> None:  # fmt: skip
    """Writes the arrays of `FLAT` into an empty folder."""
    names, first = _training(folder / "train.texts", train, coding, class_names)
    if test:
        second = gather(
            test, folder / "test.texts", coding.normalised, Labels(names), first=len(train)
        )
        chosen = {"train": (first, first.all()), "test": (second, second.all())}
        notes = first.notes + second.notes
    else:
        held = hold_out(first, share=coding.test_share, seed=coding.split_seed)
        chosen = {"train": (first, ~held), "test": (first, held)}
        notes = first.notes + untested(first, held, names)
    learnt_from = first.texts(_learnt_from(first, chosen["train"][1], coding.tokens))
    vocabulary = _tokenizers.fit(coding.tokens, learnt_from, vocab_size=coding.vocab_size)
    for split, (gathered, rows) in chosen.items():
        _write_split(folder, split, gathered, rows, vocabulary, length=coding.max_length)
    about = {"class_names": names, "vocab_size": vocabulary.size, "notes": notes}
    np.save(folder / "about.npy", _to_bytes(about))
    np.save(folder / "vocabulary.npy", _to_bytes(vocabulary.kept()))
    for scratch in folder.glob("*.texts"):
        scratch.unlink()


def _training(
    path: Path, parts: Sequence[Part], coding: Coding, class_names: Sequence[str]
) -> tuple[list[str], Gathered]:
    """The names of the classes, and the rows of training, labelled by their places in it.

    Raises:
      DataError: there is one class only.
    """
    labels = Labels(class_names) if class_names else Labels()
    gathered = gather(parts, path, coding.normalised, labels)
    names = list(class_names) or sorted(labels.names, key=in_order)
    places = {name: place for place, name in enumerate(names)}
    gathered.labels = np.array([places[n] for n in labels.names], np.int32)[gathered.labels]
    if len(np.unique(gathered.labels)) < 2:
        raise harness.DataError(
            f"{parts[0].name} has one class only, {names[gathered.labels[0]]!r} in all "
            f"{counted(len(gathered.labels), 'row')}; expected two or more in the column of "
            "labels"
        )
    return names, gathered


def _learnt_from(gathered: Gathered, rows: np.ndarray, tokens: Tokens) -> np.ndarray:
    """Which of the training rows, a mask [n], the vocabulary is fitted to, as a mask [n].

    All of them, or for byte pairs the split's first that are together no longer than
    `MERGED_BYTES`.
    """
    if tokens != "bpe":
        return rows
    places = np.flatnonzero(rows)
    places = places[_order(len(places))]
    ends = np.cumsum(gathered.lengths[places])
    count = int(np.searchsorted(ends, _tokenizers.MERGED_BYTES, side="right"))
    chosen = np.zeros_like(rows)
    chosen[places[: max(1, count)]] = True
    return chosen


def _order(count: int) -> np.ndarray:
    """A split's order: a table is often sorted by its labels, and first rows stand for all."""
    return np.random.RandomState(ORDER_SEED).permutation(count)


def _write_split(
    folder: Path, split: str, gathered: Gathered, rows: np.ndarray,
    vocabulary: Vocabulary, *, length: int,
) -> None:  # fmt: skip
    """The arrays of a split, of the rows of a mask: ids in their order, labels shuffled."""
    values = Growing(folder / f"{split}_values.npy", np.int32)
    lengths: list[np.ndarray] = []
    for texts in _batched(gathered.texts(rows)):
        ids = [one[-length:] for one in vocabulary.ids(texts)]
        values.append(np.concatenate(ids))
        lengths.append(np.array([len(one) for one in ids], dtype=np.int64))
    values.close()
    y = gathered.labels[rows]  # [n]
    order = _order(len(y))
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])  # [n + 1]
    for part, kept in (("offsets", offsets), ("order", order), ("y", y[order])):
        np.save(folder / f"{split}_{part}.npy", kept)


def _batched(texts: Iterator[str]) -> Iterator[list[str]]:
    """Lists of some texts, few where they are long."""
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if len(batch) == TEXTS_AT_ONCE or characters > CHARACTERS_AT_ONCE:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _to_bytes(value: Any) -> np.ndarray:
    """JSON as uint8 [length]."""
    return np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)


def _from_bytes(values: np.ndarray) -> Any:
    return json.loads(values.tobytes())
