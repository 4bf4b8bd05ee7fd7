"""From rows to splits: classes, order, padding, memory maps, and what is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tables import Pair, no_call, pairs_of, part_of, part_of_pairs, reviews, same_splits

import harness
from harness.progress import notes_to
from harness_datasets import _splits, _texts, _tokenizers
from harness_datasets._rows import Row
from harness_datasets._splits import Rows
from harness_datasets._texts import Coding, load

CODING: dict[str, Any] = {
    "tokens": "word", "vocab_size": 50, "max_length": 6, "lower_case": True,
    "test_share": 0.25, "split_seed": 0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def coding(**changes: Any) -> Coding:
    return Coding(**{**CODING, **changes})


def loaded(
    pairs: list[Pair], test: list[Pair] | None = None, *, key: str = "one",
    class_names: tuple[str, ...] = (), **changes: Any,
) -> harness.Dataset:  # fmt: skip
    how = coding(**changes)
    return load(
        "made", how.fingerprint(key), how, train=[part_of_pairs(pairs)],
        test=[] if test is None else [part_of_pairs(test)], class_names=class_names,
    )  # fmt: skip


def arrays(dataset: harness.Dataset) -> list[dict[str, np.ndarray]]:
    assert isinstance(dataset.train, dict) and isinstance(dataset.test, dict)
    return [dataset.train, dataset.test]


def test_every_row_is_in_one_split_with_its_label():
    dataset = loaded(reviews(40))
    train, test = (pairs_of(dataset, split) for split in (dataset.train, dataset.test))
    assert (len(train), len(test)) == (30, 10)
    # what training lacks is unknown in the test rows: the number of the film
    assert {text.rpartition(" ")[2] for text, _ in test} == {"<unk>"}
    assert {(text.rpartition(" ")[0], y) for text, y in [*train, *test]} == {
        ("a good film no", "pos"), ("a bad film no", "neg"),
    }  # fmt: skip
    numbers = [text.rpartition(" ")[2] for text, _ in train]
    assert len(set(numbers)) == 30 and all(int(number) < 40 for number in numbers)


def test_spec_and_arrays_are_as_declared():
    dataset = loaded(reviews(40), max_length=4, vocab_size=5)
    for split, n in zip(arrays(dataset), (30, 10), strict=True):
        assert (split["x"].shape, split["x"].dtype) == ((n, 4), np.int32)
        assert (split["y"].shape, split["y"].dtype) == ((n,), np.int32)
        assert (split["x"].min(), split["x"].max()) == (1, 4)
    spec = dataset.spec
    assert (spec.kind, spec.shape, spec.vocab_size, spec.pad_id) == ("tokens", (4,), 5, 0)
    assert (spec.num_classes, spec.class_names) == (2, ("neg", "pos"))


def test_padding_stands_in_front_and_the_last_tokens_are_kept():
    dataset = loaded([("a b c", "x"), ("d", "y")], [("c a b c", "x")], max_length=3)
    train, test = arrays(dataset)
    rows = {
        dataset.spec.class_names[y]: x.tolist()
        for x, y in zip(train["x"], train["y"], strict=True)
    }
    assert rows["y"][:2] == [0, 0] and rows["y"][2] > 1
    assert test["x"].tolist() == [rows["x"]]


def test_only_the_training_rows_have_a_say_in_the_vocabulary():
    test = [("unseen unseen words", "x"), ("a", "y")]
    dataset = loaded([("a b", "x"), ("c", "y")], test)
    assert dataset.spec.vocab_size == 5
    assert ("<unk> <unk> <unk>", "x") in pairs_of(dataset, dataset.test)
    held = loaded(reviews(40), key="held")
    for row in arrays(held)[1]["x"]:
        assert (row == 1).sum() == 1


def test_rows_are_in_one_random_order_that_is_not_the_tables():
    sorted_table = sorted(reviews(60), key=lambda pair: pair[1])
    train, test = arrays(loaded(sorted_table))
    for y in (train["y"], test["y"]):
        assert 0 < y[: len(y) // 2].sum() < len(y) // 2
    assert (arrays(loaded(sorted_table))[0]["y"] == train["y"]).all()


def test_classes_that_are_given_keep_their_order_and_their_number():
    pairs = [("a b", "pos"), ("c d", "neg")]
    dataset = loaded(pairs, pairs, class_names=("pos", "neg", "neutral"))
    assert dataset.spec.class_names == ("pos", "neg", "neutral")
    assert sorted(pairs_of(dataset, dataset.train)) == pairs


def test_test_rows_of_other_labels_are_left_out_with_a_note():
    heard: list[str] = []
    with notes_to(heard.append):
        dataset = loaded([("a", "x"), ("b", "y")], [("a", "x"), ("b", "z")])
    assert len(dataset.test["y"]) == 1  # type: ignore[index]
    assert heard == [
        "made: 1 row of some.csv left out: line 3 has the label 'z', which training has not"
    ]


def test_notes_are_told_at_every_load():
    heard: list[str] = []
    parts = [part_of(Row(2, "a", "x"), Row(3, "b", "y"), Row(4, fault="is empty"))]
    for _ in range(2):
        with notes_to(heard.append):
            load("made", "f" * 64, coding(), train=parts, test=parts)
    assert len(set(heard)) == 1 and len(heard) == 4


def test_notes_have_the_name_that_the_file_has_now():
    heard: list[str] = []
    rows = (Row(2, "a", "x"), Row(3, "b", "y"), Row(4, fault="is empty"))
    for names in (("old.csv", "test.csv"), ("new.csv", "last.csv")):
        train, test = ([part_of(*rows, name=name)] for name in names)
        with notes_to(heard.append):
            load("made", "e" * 64, coding(), train=train, test=test)
    assert heard == [
        f"made: 1 row of {name} left out: line 4 is empty"
        for name in ("old.csv", "test.csv", "new.csv", "last.csv")
    ]


def test_one_class_only_is_one_line():
    with pytest.raises(harness.DataError) as caught:
        loaded([("a", "x"), ("b", "x")])
    assert str(caught.value) == (
        "some.csv has one class only, 'x' in all 2 rows; expected two or more in the column of "
        "labels"
    )


def test_the_second_load_only_maps(cache: Path, monkeypatch: pytest.MonkeyPatch):
    first = loaded(reviews(40))
    monkeypatch.setattr(_texts, "_prepare", no_call)
    monkeypatch.setattr(_splits, "_padded", no_call)
    second = loaded(reviews(40))
    assert same_splits(first, second) and first.spec == second.spec
    assert second.encode is not None and second.encode("good").tolist()[-1] > 1
    assert not list(cache.rglob("*.texts")) and not list(cache.rglob("*.part"))


def test_the_fingerprint_follows_the_source_and_every_parameter():
    changes: list[dict[str, Any]] = [
        {}, {"tokens": "byte"}, {"vocab_size": 51}, {"max_length": 7}, {"lower_case": False},
        {"test_share": 0.3}, {"split_seed": 1},
    ]  # fmt: skip
    found = [coding(**change).fingerprint("one") for change in changes]
    found.append(coding().fingerprint("two"))
    assert len(set(found)) == len(found)
    assert coding().fingerprint("one") == found[0]


def test_a_parameter_without_effect_changes_no_fingerprint(monkeypatch: pytest.MonkeyPatch):
    beside = {
        coding(**change).fingerprint("one", has_test=True)
        for change in ({}, {"test_share": 0.3}, {"split_seed": 1})
    }
    assert len(beside) == 1
    sizes = [coding(tokens="byte", vocab_size=size).fingerprint("one") for size in (300, 400)]
    assert sizes[0] == sizes[1]
    before = coding().fingerprint("one")
    monkeypatch.setattr(_texts.unicodedata, "unidata_version", "1.1")
    assert coding().fingerprint("one") != before


def test_a_large_split_is_read_by_position_and_holds_the_same_rows(
    monkeypatch: pytest.MonkeyPatch,
):
    small = loaded(reviews(40))
    monkeypatch.setattr(_splits, "PADDED_BYTES", 40 * 6 * 4 - 1)
    large = loaded(reviews(40))
    assert isinstance(large.train, Rows) and isinstance(large.test, Rows)
    for source, split in zip((large.train, large.test), arrays(small), strict=True):
        assert len(source) == len(split["y"])
        for i in range(len(source)):
            row = source[i]
            assert row["x"].dtype == np.int32
            np.testing.assert_array_equal(row["x"], split["x"][i])
            assert row["y"] == split["y"][i]
        with pytest.raises(IndexError):
            source[len(source)]
    assert large.spec == small.spec


@pytest.mark.parametrize("tokens", ["word", "character", "byte", "bpe"])
def test_what_is_decoded_is_encoded_to_the_same_row(tokens: str):
    dataset = loaded(reviews(40), tokens=tokens, vocab_size=300, max_length=30)
    assert dataset.decode is not None and dataset.encode is not None
    for row in arrays(dataset)[0]["x"]:
        np.testing.assert_array_equal(dataset.encode(dataset.decode(row)), row)


def test_a_text_is_encoded_as_the_rows_are():
    dataset = loaded(reviews(40), max_length=4)
    assert dataset.encode is not None and dataset.decode is not None
    x = dataset.encode("It’s a GOOD   film!")
    assert (x.shape, x.dtype) == ((4,), np.int32)
    assert dataset.decode(x) == "<unk> a good film"
    assert dataset.encode("good").tolist()[:3] == [0, 0, 0]
    for text in ("", " \n", "... !"):
        with pytest.raises(harness.UsageError, match="without a word"):
            dataset.encode(text)


def test_byte_pairs_are_learnt_from_the_first_rows_of_the_split(
    monkeypatch: pytest.MonkeyPatch,
):
    heard: list[str] = []

    def fit(tokens: Any, texts: Any, *, vocab_size: int) -> Any:
        heard.extend(texts)
        return _tokenizers.Bytes()

    monkeypatch.setattr(_tokenizers, "fit", fit)
    # restored as what the stand-in for `fit` returns
    monkeypatch.setattr(_tokenizers, "restored", lambda tokens, kept: _tokenizers.Bytes())
    monkeypatch.setattr(_tokenizers, "MERGED_BYTES", 100)
    dataset = loaded(reviews(40), tokens="bpe", vocab_size=300, max_length=30)
    first = [text for text, _ in pairs_of(dataset, dataset.train)][: len(heard)]
    assert sorted(heard) == sorted(first)
    assert 80 < sum(map(len, heard)) <= 100
    heard.clear()
    loaded(reviews(40), tokens="word")
    assert len(heard) == 30


PREPARES = """
import re, sys
from pathlib import Path
from harness_datasets import _splits
from harness_datasets._tables import part
from harness_datasets._texts import Coding, load

_splits.PADDED_BYTES = 0
how = Coding("word", 20_000, 200, True, 0.2, 0)
path = Path(sys.argv[1])

def peak():  # KiB since this program began; ru_maxrss would know of the tests' process too
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

before = peak()
data = load("made", how.fingerprint(path.name), how,
            train=[part(path, text="text", label="label")], test=[])
print(before, peak(), len(data.train))
"""


def prepared_apart(path: Path) -> tuple[int, int]:
    """MiB that a process needed on top of its imports, and rows of the training split."""
    done = subprocess.run(
        [sys.executable, "-c", PREPARES, str(path)], capture_output=True, text=True, check=True
    )
    before, after, rows = map(int, done.stdout.split())
    return (after - before) // 1024, rows


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/self/status")
def test_memory_does_not_grow_with_the_file(tmp_path: Path):
    draw = np.random.default_rng(0)
    vocabulary = np.array([f"word{i}" for i in range(30_000)])
    texts = [" ".join(draw.choice(vocabulary, 150)) for _ in range(500)]
    needed = {}
    for megabytes in (5, 50):
        path = tmp_path / f"{megabytes}.csv"
        with path.open("w") as file:
            file.write("text,label\n")
            for i in range(megabytes * 700):
                file.write(f"{i} {texts[i % 500]},{i % 2}\n")
        assert megabytes * 0.9e6 < os.path.getsize(path) < megabytes * 1.1e6
        needed[megabytes], rows = prepared_apart(path)
        assert rows == megabytes * 560
    assert needed[50] < needed[5] + 16, needed
