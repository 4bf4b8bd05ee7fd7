"""Text classification data sets of Hugging Face: by name, or from a folder on disk.

What the library `datasets` has prepared before is found in its cache without a connection;
a download is only tried for what is not there. Rows are read from its memory-mapped Arrow
files and prepared as those of `text_file` are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le

import harness
from harness.errors import Unavailable, first_line
from harness.files import may_download
from harness.hookspecs import Register
from harness_datasets import _texts
from harness_datasets._hashes import Unchanged, content_hash
from harness_datasets._rows import ROWS_AT_ONCE, Part, Row, label_name
from harness_datasets._tokenizers import Tokens


def hf(
    *,
    name: str = "",
    config: str = "",
    text: str = "text",
    label: str = "label",
    train_split: str = "train",
    test_split: str = "test",
    tokens: Tokens = "word",
    vocab_size: Annotated[int, Ge(3), Le(1_000_000)] = 20_000,
    max_length: Annotated[int, Ge(1)] = 200,
    lower_case: bool = True,
    test_share: Annotated[float, Ge(0.01), Le(0.9)] = 0.2,
    split_seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0,
) -> harness.Dataset:
    """A text classification data set of Hugging Face.

    Splits, padding and what becomes of rows that cannot be used are as in `text_file`.
    Classes are those of the label's `ClassLabel`, in its order, or else the different labels,
    sorted. A label of -1 is none.

    Args:
      name: as on the Hub, "user/name", or a folder: one that `save_to_disk` wrote, or one of
        data files.
      config: one of the data set's configurations; "" for its only one.
      text: the column of texts.
      label: the column of labels.
      train_split: the split that is trained on.
      test_split: the split that is tested on; "" holds out a share of the rows of
        `train_split`.
      tokens: "word", "character", "byte" or "bpe", as in `text_file`.
      vocab_size: ids at most.
      max_length: tokens kept of each text.
      lower_case: whether upper case is made lower.
      test_share: of the rows of each class that are held out.
      split_seed: of that choice.

    Raises:
      Unavailable: `name` is not given, or a package is not here.
      DataError: it is not in the cache and cannot be downloaded, or has no usable rows.
      UsageError: it has no such split or column, or its label is not one class.
    """
    if not name:
        raise Unavailable(
            'hf needs the name of a data set; give it as in hf[name="stanfordnlp/imdb"], or '
            "the path of a folder that save_to_disk wrote"
        )
    if test_split == train_split:
        raise harness.UsageError(
            f"train_split and test_split are both {train_split!r}; give two splits, or "
            'test_split="" to hold out a share'
        )
    coding = _texts.Coding(tokens, vocab_size, max_length, lower_case, test_share, split_seed)
    splits = _open(name, config)
    wanted = [train_split, test_split] if test_split else [train_split]
    chosen = [_split(splits, name, which, (text, label)) for which in wanted]
    unchanged = Unchanged(file for split in chosen for file in _files(split))
    # each split's own: what a number stands for may differ from split to split
    named = [_class_names(split, name, text, label) for split in chosen]
    files = [[content_hash(file) for file in _files(split)] for split in chosen]
    source = {"text": text, "label": label, "names": named, "files": files}
    parts = [
        Part(
            f"{name} {which}",
            "row",
            lambda split=split, own=own: _rows(split, text, label, own),
        )
        for which, split, own in zip(wanted, chosen, named, strict=True)
    ]
    return _texts.load(
        "hf", coding.fingerprint(source, has_test=bool(test_split)), coding,
        train=parts[:1], test=parts[1:], class_names=named[0], check=unchanged.check,
    )  # fmt: skip


def _open(name: str, config: str) -> Mapping[str, Any]:
    """The splits by name, memory-mapped.

    Raises:
      DataError: there is no such data set here, and none can be downloaded.
    """
    from datasets import config as settings

    offline = bool(settings.HF_HUB_OFFLINE)
    try:
        with _without_connection():
            return _found(name, config)
    except Exception as error:  # the library raises nearly anything
        why = first_line(error)
    if os.path.exists(os.path.expanduser(name)):
        raise harness.DataError(
            f"{name!r} is no data set with rows ({why}); give a folder that save_to_disk wrote"
        )
    if offline:
        raise harness.DataError(
            f"{name!r} is not in the cache, and HF_HUB_OFFLINE is set ({why}); load it once "
            "with a connection, or give the folder that save_to_disk wrote"
        )
    if not may_download():
        raise Unavailable(
            f"{name!r} is not in the cache ({why}), and nothing is downloaded here"
        )
    try:
        return _found(name, config)
    except Exception as error:
        raise harness.DataError(
            f"{name!r} is not in the cache and cannot be downloaded ({first_line(error)}); "
            "check its name and config=..., or give the folder that save_to_disk wrote"
        ) from None


def _found(name: str, config: str) -> Mapping[str, Any]:
    import datasets

    folder = Path(os.path.expanduser(name))  # it leaves the home of nobody as it is
    if any((folder / mark).is_file() for mark in ("dataset_dict.json", "state.json")):
        found = datasets.load_from_disk(str(folder), keep_in_memory=False)
    else:
        place = str(folder) if folder.is_dir() else name
        found = datasets.load_dataset(place, config or None, keep_in_memory=False)
    if not isinstance(found, Mapping):
        return {"train": found}
    return {str(split): rows for split, rows in found.items()}


@contextmanager
def _without_connection() -> Iterator[None]:
    """Inside the block the library asks nobody, and does not say so."""
    from datasets.utils import logging
    from huggingface_hub import constants as hub

    from datasets import config as settings

    before = settings.HF_HUB_OFFLINE, hub.HF_HUB_OFFLINE, logging.get_verbosity()
    settings.HF_HUB_OFFLINE = hub.HF_HUB_OFFLINE = True
    logging.set_verbosity_error()
    try:
        yield
    finally:
        settings.HF_HUB_OFFLINE, hub.HF_HUB_OFFLINE = before[:2]
        logging.set_verbosity(before[2])


def _split(splits: Mapping[str, Any], name: str, wanted: str, columns: tuple[str, str]) -> Any:
    if wanted not in splits:
        raise harness.UsageError(
            f"{name!r} has no split {wanted!r} but {', '.join(splits)}; give "
            'train_split=... and test_split=..., or test_split="" to hold out a share'
        )
    found = splits[wanted]
    for column in columns:
        if column not in found.column_names:
            raise harness.UsageError(
                f"{name!r} has no column {column!r} but {', '.join(found.column_names)}; name "
                "the columns with text=... and label=..."
            )
    return found


def _class_names(split: Any, name: str, text: str, label: str) -> tuple[str, ...]:
    """Names of the classes, empty where the labels themselves are the names.

    Raises:
      UsageError: a column is of another type.
    """
    import datasets

    features = split.features
    if getattr(features[text], "dtype", "") not in ("string", "large_string"):
        raise harness.UsageError(
            f"column {text!r} of {name!r} is {_type(features[text])}; expected strings, so "
            "name another column with text=..."
        )
    if isinstance(features[label], datasets.ClassLabel):
        names = tuple(label_name(each) or "" for each in features[label].names)
        if "" in names or len({*names}) < len(names):
            raise harness.UsageError(
                f"column {label!r} of {name!r} has the classes "
                f"{', '.join(map(repr, features[label].names))}; expected a name of its own "
                "for each, so name another column with label=..."
            )
        return names
    kind = getattr(features[label], "dtype", "")
    if not kind.startswith(("int", "uint", "bool", "string", "large_string")):
        raise harness.UsageError(
            f"column {label!r} of {name!r} is {_type(features[label])}; expected one class a "
            "row (ClassLabel, integers or strings), so name another column with label=..."
        )
    return ()


def _type(feature: Any) -> str:
    dtype = getattr(feature, "dtype", None)
    return dtype if isinstance(dtype, str) else type(feature).__name__


def _files(split: Any) -> list[Path]:
    return [Path(file["filename"]) for file in split.cache_files]


def _rows(split: Any, text: str, label: str, names: tuple[str, ...]) -> Iterator[Row]:
    place = 0
    for batch in split.select_columns([text, label]).iter(batch_size=ROWS_AT_ONCE):
        for words, value in zip(batch[text], batch[label], strict=True):
            place += 1
            if names and value is not None:
                value = names[value] if 0 <= value < len(names) else None
            named = label_name(value)
            fault = "has no text" if words is None else "" if named else "has no label"
            yield Row(place, words or "", named or "", fault)


@harness.hookimpl
def register_datasets(register: Register) -> None:
    register(
        "hf",
        hf,
        description="text classification data sets of Hugging Face, by name or from a folder",
        # not "datasets": without the library a checkout has a folder of that name
        requires=("datasets.load",),
    )
