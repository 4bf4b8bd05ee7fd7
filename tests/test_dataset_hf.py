"""Hugging Face's data sets, built on disk: none of these tests has a connection."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
from tables import no_call, pairs_of, reviews, same_splits

import datasets
import harness
from datasets import config as settings
from harness import registry, testing
from harness.errors import Unavailable
from harness.files import without_downloads
from harness.progress import notes_to
from harness_datasets import _texts
from harness_datasets import hf as module
from harness_datasets.hf import hf

ROOT = Path(__file__).parent.parent
NAMES = ["neg", "pos"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, empty caches, and no connection."""
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(settings, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(socket, "getaddrinfo", no_connection)
    (folder := tmp_path / "work").mkdir()
    monkeypatch.chdir(folder)
    datasets.disable_progress_bars()
    return folder


def no_connection(*words: object, **more: object) -> Any:
    raise AssertionError("a connection was asked for")


def rows(count: int, *, first: int = 0) -> list[tuple[str, str]]:
    return reviews(first + count)[first:]


def table(pairs: list[tuple[str, str]], **more: Any) -> datasets.Dataset:
    """A split with `text` and a `ClassLabel`."""
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=NAMES)}
    )
    columns = {"text": [text for text, _ in pairs], "label": [NAMES.index(y) for _, y in pairs]}
    return datasets.Dataset.from_dict(columns | more, features=features)


def saved(path: Path, **splits: datasets.Dataset) -> str:
    datasets.DatasetDict(list(splits.items())).save_to_disk(str(path))
    return str(path)


def small(path: Path) -> str:
    return saved(path, train=table(rows(30)), test=table(rows(10, first=30)))


def labels(split: Any) -> np.ndarray:
    assert isinstance(split, Mapping)
    return split["y"]


def test_a_saved_folder_is_read_with_its_splits_and_class_names(folder: Path):
    dataset = hf(name=small(folder / "saved"), max_length=6)
    assert dataset.spec.class_names == ("neg", "pos")
    assert (len(labels(dataset.train)), len(labels(dataset.test))) == (30, 10)
    assert sorted(pairs_of(dataset, dataset.train)) == sorted(
        (text.replace(",", ""), y) for text, y in rows(30)
    )
    assert {text.rpartition(" ")[0] for text, _ in pairs_of(dataset, dataset.test)} == {
        "a good film no", "a bad film no",
    }  # fmt: skip


def test_a_split_that_changes_while_it_is_read_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    name = small(folder / "saved")

    def meanwhile(*words: Any, prepare: Any = _texts._prepare, **more: Any) -> None:
        prepare(*words, **more)
        for file in (folder / "saved" / "test").glob("*.arrow"):
            os.utime(file, ns=(0, 0))

    monkeypatch.setattr(_texts, "_prepare", meanwhile)
    with pytest.raises(harness.DataError, match="saved/test/.* changed while it was read"):
        hf(name=name)


def test_one_split_alone_gives_its_share_for_testing(folder: Path):
    table(rows(40)).save_to_disk(str(folder / "one"))
    dataset = hf(name="one", test_split="", test_share=0.25)
    assert np.bincount(labels(dataset.test)).tolist() == [5, 5]
    assert np.bincount(labels(dataset.train)).tolist() == [15, 15]
    with pytest.raises(harness.UsageError) as caught:
        hf(name="one")
    assert str(caught.value) == (
        "'one' has no split 'test' but train; give train_split=... and test_split=..., or "
        'test_split="" to hold out a share'
    )


def data_files(folder: Path) -> Path:
    """A folder of data files, one a split."""
    folder.mkdir()
    for split, pairs in (("train", rows(30)), ("test", rows(10, first=30))):
        lines = [json.dumps({"text": text, "label": y}) for text, y in pairs]
        (folder / f"{split}.jsonl").write_text("\n".join(lines))
    return folder


def hub_cache(folder: Path, name: str) -> None:
    """What the library leaves in its cache of a data set that it once downloaded."""
    user, _, last = name.partition("/")
    source = data_files(folder / last)
    datasets.load_dataset(str(source))
    cache = Path(settings.HF_DATASETS_CACHE)
    (cache / last).rename(cache / f"{user}___{last}")
    shutil.rmtree(source)


def test_a_name_is_found_in_the_cache_without_a_connection(
    folder: Path, capfd: pytest.CaptureFixture[str]
):
    hub_cache(folder, "somebody/films")
    dataset = hf(name="somebody/films", max_length=6)
    assert dataset.spec.class_names == ("neg", "pos")
    assert (len(labels(dataset.train)), len(labels(dataset.test))) == (30, 10)
    assert same_splits(hf(name="somebody/films", config="default", max_length=6), dataset)
    assert not settings.HF_HUB_OFFLINE
    assert not huggingface_hub.constants.HF_HUB_OFFLINE
    assert capfd.readouterr().err == ""


def test_a_folder_of_data_files_is_read(folder: Path):
    dataset = hf(name=str(data_files(folder / "films")))
    assert (len(labels(dataset.train)), len(labels(dataset.test))) == (30, 10)


def test_what_is_not_here_is_one_line_offline(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(settings, "HF_HUB_OFFLINE", True)
    with pytest.raises(harness.DataError) as caught:
        hf(name="somebody/else")
    message = str(caught.value)
    given = "'somebody/else' is not in the cache, and HF_HUB_OFFLINE is set ("
    assert message.startswith(given)
    assert message.endswith(
        "); load it once with a connection, or give the folder that save_to_disk wrote"
    )
    assert "\n" not in message


def test_what_is_not_here_is_asked_for_and_told_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[bool] = []

    def found(name: str, config: str) -> Any:
        asked.append(settings.HF_HUB_OFFLINE)
        raise ConnectionError("no\nway")

    monkeypatch.setattr(module, "_found", found)
    with pytest.raises(harness.DataError) as caught:
        hf(name="somebody/else")
    assert asked == [True, False]
    assert str(caught.value) == (
        "'somebody/else' is not in the cache and cannot be downloaded (no); check its name and "
        "config=..., or give the folder that save_to_disk wrote"
    )


def test_where_nothing_is_downloaded_nobody_is_asked(folder: Path):
    for name in ("somebody/else", "~nobody-of-this-name/texts", "a" * 300):
        with without_downloads(), pytest.raises(Unavailable, match="nothing is downloaded"):
            hf(name=name)


def test_a_folder_that_is_no_data_set_is_not_looked_for_elsewhere(folder: Path):
    (folder / "empty").mkdir()
    with pytest.raises(
        harness.DataError, match=r"^'empty' is no data set with rows \(.*save_to_disk"
    ):
        hf(name="empty")


def test_without_a_name_it_is_unavailable_and_says_what_to_give():
    with pytest.raises(Unavailable, match="^hf needs the name of a data set; give it as in hf"):
        hf()


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"text": "review"}, "has no column 'review' but text, label, score, words;"),
        ({"text": "score"}, "column 'score' of 'saved' is float32; expected strings"),
        ({"label": "score"}, "column 'score' of 'saved' is float32; expected one class a row"),
        ({"label": "words"}, "column 'words' of 'saved' is List; expected one class a row"),
        ({"train_split": "training"}, "has no split 'training' but train, test;"),
    ],
)
def test_a_column_that_does_not_fit_is_one_line(
    folder: Path, parameters: dict[str, Any], why: str
):
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.Value("int64"),
         "score": datasets.Value("float32"), "words": datasets.List(datasets.Value("string"))}
    )  # fmt: skip
    columns = {"text": ["a", "b"], "label": [0, 1], "score": [0.5, 1], "words": [["a"], ["b"]]}
    split = datasets.Dataset.from_dict(columns, features=features)
    saved(folder / "saved", train=split, test=split)
    with pytest.raises(harness.UsageError, match=re.escape(why)) as caught:
        hf(name="saved", **parameters)
    assert "\n" not in str(caught.value)


def test_rows_without_a_label_or_a_text_are_left_out_and_named(folder: Path):
    test = {"text": ["a", "b", None, "d"], "label": [-1, 1, 0, 1]}
    split = datasets.Dataset.from_dict(test, features=table(rows(2)).features)
    saved(folder / "saved", train=table(rows(30)), test=split)
    heard: list[str] = []
    with notes_to(heard.append):
        dataset = hf(name="saved")
    assert heard == ["hf: 2 rows of saved test left out: row 1 has no label, row 3 has no text"]
    assert len(labels(dataset.test)) == 2


def test_a_test_split_without_labels_is_one_line(folder: Path):
    hidden = table(rows(4)).map(lambda row: {"label": -1})
    saved(folder / "saved", train=table(rows(30)), test=hidden)
    with pytest.raises(harness.DataError, match="saved test has no usable row: row 1 has no"):
        hf(name="saved")


@pytest.mark.parametrize("dtype", ["int64", "bool", "string"])
def test_labels_without_names_are_their_own(folder: Path, dtype: str):
    values: list[Any] = {
        "int64": [10, 9], "bool": [True, False], "string": ["yes", "no"],
    }[dtype]  # fmt: skip
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.Value(dtype)}
    )
    split = datasets.Dataset.from_dict({"text": ["a", "b"], "label": values}, features=features)
    found = hf(name=saved(folder / "saved", train=split, test=split)).spec.class_names
    assert (
        found
        == {"int64": ("9", "10"), "bool": ("false", "true"), "string": ("no", "yes")}[dtype]
    )


def test_the_second_load_only_maps_and_the_fingerprint_follows_the_rows(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    first = hf(name=small(folder / "saved"))
    other = hf(name=saved(folder / "other", train=table(rows(31)), test=table(rows(10))))
    assert other.spec.fingerprint != first.spec.fingerprint
    assert hf(name="saved", vocab_size=99).spec.fingerprint != first.spec.fingerprint
    (folder / "saved").rename(folder / "moved")
    monkeypatch.setattr(_texts, "_prepare", no_call)
    again = hf(name="moved")
    assert again.spec == first.spec and same_splits(first, again)


def test_it_prepares_as_text_file_does(folder: Path):
    from harness_datasets.text_file import text_file

    name = small(folder / "saved")
    for split, found in (("train", rows(30)), ("test", rows(10, first=30))):
        lines = ["text,label", *(f'"{text}",{y}' for text, y in found)]
        (folder / f"{split}.csv").write_text("\n".join(lines))
    for tokens in ("word", "bpe"):
        one = hf(name=name, tokens=tokens, max_length=9)
        other = text_file(path="train.csv", test_path="test.csv", tokens=tokens, max_length=9)
        assert same_splits(one, other)


@pytest.mark.usefixtures("described_here")
def test_the_checks_of_data_sets_pass(
    folder: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(shared_cache))
    name = small(folder / "saved")
    performed = run_checks(f'hf[name="{name}",max_length=12]')
    assert len(performed) == 9


def run_checks(selection: str) -> list[Any]:
    found = testing.checks(selection)
    for check in found:
        check()
    return found


def test_importing_the_plugins_imports_no_library():
    program = (
        "import sys, harness_datasets.hf, harness_datasets.text_file\n"
        "heavy = ('datasets.load', 'pyarrow', 'tokenizers', 'jax')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_checkouts_own_folder_is_not_taken_for_the_library(monkeypatch: pytest.MonkeyPatch):
    registered: dict[str, Any] = {}
    module.register_datasets(lambda name, factory, **more: registered.update(more))
    (needed,) = registered["requires"]
    assert registry._importable(needed)
    monkeypatch.delitem(sys.modules, needed)
    own = PathFinder.find_spec("datasets", [str(ROOT)])
    assert own is not None and own.loader is None
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda name: own)
    assert not registry._importable(needed)


def test_each_split_names_its_own_numbers(folder: Path):
    def split(names: list[str]) -> datasets.Dataset:
        features = datasets.Features(
            {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)}
        )
        columns = {"text": ["good", "bad"], "label": [names.index("pos"), names.index("neg")]}
        return datasets.Dataset.from_dict(columns, features=features)

    name = saved(folder / "saved", train=split(["neg", "pos"]), test=split(["pos", "neg"]))
    dataset = hf(name=name)
    assert dataset.spec.class_names == ("neg", "pos")
    assert labels(dataset.train).tolist() == labels(dataset.test).tolist() == [1, 0]


def test_names_of_classes_with_white_space_keep_their_rows(folder: Path):
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["a", " b  c"])}
    )
    columns = {"text": ["x", "y", "z"], "label": [0, 1, 1]}
    split = datasets.Dataset.from_dict(columns, features=features)
    dataset = hf(name=saved(folder / "saved", train=split, test=split))
    assert dataset.spec.class_names == ("a", "b c")
    assert sorted(labels(dataset.train).tolist()) == [0, 1, 1]


def test_names_that_are_one_are_refused(folder: Path):
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["a", "a "])}
    )
    split = datasets.Dataset.from_dict({"text": ["x"], "label": [1]}, features=features)
    saved(folder / "saved", train=split, test=split)
    with pytest.raises(harness.UsageError, match="expected a name of its own for each"):
        hf(name="saved")


def test_a_test_on_the_split_of_training_is_refused(folder: Path):
    saved(folder / "saved", train=table(rows(30)))
    with pytest.raises(harness.UsageError, match="are both 'train'; give two splits"):
        hf(name="saved", test_split="train")
