"""The user's own texts and labels, from a CSV, TSV, JSON Lines or Parquet file.

The file is read once, row by row, and may be larger than memory; what it was prepared to is
kept in the cache under the hash of its content and the parameters, and mapped after that.
Vocabulary and merges come from the training rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Le

import harness
from harness.errors import Unavailable
from harness.hookspecs import Register
from harness_datasets import _tables, _texts
from harness_datasets._hashes import Unchanged, content_hash
from harness_datasets._tokenizers import Tokens


def text_file(
    *,
    path: str = "",
    test_path: str = "",
    text: str = "text",
    label: str = "label",
    tokens: Tokens = "word",
    vocab_size: Annotated[int, Ge(3), Le(1_000_000)] = 20_000,
    max_length: Annotated[int, Ge(1)] = 200,
    lower_case: bool = True,
    test_share: Annotated[float, Ge(0.01), Le(0.9)] = 0.2,
    split_seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0,
) -> harness.Dataset:
    """Texts of a table of your own, one row an example.

    Both splits are {"x": int32 [n, max_length], "y": int32 [n]} in one fixed random order,
    or sources of such examples where they would take more than half a gigabyte. Texts keep
    their last `max_length` tokens and are padded in front with 0. Classes are the different
    labels, sorted; numbers by their value, and 1.0 in CSV or TSV is 1.

    A row that cannot be used (no label, no text, another number of fields, no JSON, no
    UTF-8, in the test file a label that training has not) is left out; a note counts them
    and names the first. Another names rows of CSV that a quotation mark lets go over very
    many lines: they are used.

    Args:
      path: a .csv, .tsv, .jsonl, .ndjson or .parquet file, from the working folder on, or a
        pattern of several, such as "reviews/*.csv". CSV and TSV have a first line of column
        names; a quotation mark in TSV is part of the text.
      test_path: the same, of the test rows; "" holds out a share of the rows of `path`.
      text: the column of texts.
      label: the column of labels.
      tokens: words (letters, marks and digits, with apostrophes, and each emoji), characters,
        bytes of UTF-8, or byte pairs merged by their frequency in training, of which the
        first 8 MiB are looked at ("bpe"; Sennrich et al. 2016, Neural Machine Translation of
        Rare Words with Subword Units, arXiv:1508.07909), which needs the extra `bpe`.
      vocab_size: ids at most, the most frequent in training; bytes have 257. 0 is padding, 1
        a word or character outside.
      max_length: tokens kept of each text.
      lower_case: whether upper case is made lower; all text is brought to Unicode's NFC.
      test_share: of the rows of each class that are held out; those of one text together.
      split_seed: of that choice.

    Raises:
      Unavailable: `path` is not given, or a package that it needs is not here.
      DataError: a file is not there, cannot be read or changes meanwhile, or has no usable
        rows of two classes.
      UsageError: it has no such column, or is of another kind.
    """
    if not path:
        raise Unavailable(
            'text_file needs a file of yours; name it as in text_file[path="reviews.csv"], a '
            f"table with the columns {text!r} and {label!r}"
        )
    coding = _texts.Coding(tokens, vocab_size, max_length, lower_case, test_share, split_seed)
    train, test = _tables.find(path), _tables.find(test_path) if test_path else []
    unchanged = Unchanged([*train, *test])
    hashes = _hashes(train), _hashes(test)
    for file, content in zip(test, hashes[1], strict=True):
        if content in hashes[0]:
            raise harness.UsageError(
                f"{file} is in test_path and, as it is or as a copy, in path; a test on rows "
                "of training says nothing, so name each file once"
            )
    source = {"text": text, "label": label, "train": hashes[0], "test": hashes[1]}
    return _texts.load(
        "text_file", coding.fingerprint(source, has_test=bool(test)), coding,
        train=[_tables.part(file, text=text, label=label) for file in train],
        test=[_tables.part(file, text=text, label=label) for file in test],
        check=unchanged.check,
    )  # fmt: skip


def _hashes(files: Sequence[Path]) -> list[tuple[str, str]]:
    """Kind and content of each file; a file's name is nothing."""
    return [(file.suffix.lower(), content_hash(file)) for file in files]


@harness.hookimpl
def register_datasets(register: Register) -> None:
    register(
        "text_file",
        text_file,
        description="texts and labels of your own CSV, TSV, JSON Lines or Parquet file",
    )
