"""ListOps: labels by an evaluator of its own, and what is declared about the splits."""

from __future__ import annotations

import hashlib
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from small import arrays

import harness
from harness_datasets import listops as module
from harness_datasets.listops import listops

SMALL = {"n_train": 300, "n_test": 100}
LRA = {"min_length": 500, "max_length": 2000}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))


def value(words: list[str]) -> int:
    """What the expression at the head of the words comes to; takes its words away."""
    word = words.pop(0)
    if not word.startswith("["):
        return int(word)
    given = []
    while words[0] != "]":
        given.append(value(words))
    words.pop(0)
    assert len(given) >= 2
    return {
        "[MIN": min(given), "[MAX": max(given), "[MED": int(median(given)),
        "[SM": sum(given) % 10,
    }[word]  # fmt: skip


def worked_out(text: str) -> int:
    words: list[str] = [*text.split()]
    found = value(words)
    assert not words, text
    return found


def labelled(dataset: harness.Dataset) -> list[tuple[str, int]]:
    """All examples in words, with their labels, the test split first."""
    decode = dataset.decode
    assert decode is not None
    return [
        (decode(x), y)
        for split in (arrays(dataset.test), arrays(dataset.train))
        for x, y in zip(split["x"], split["y"].tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    "changes", [{}, {"max_args": 3, "max_depth": 20}, {**LRA, "n_train": 60, "n_test": 20}],
    ids=["default", "few arguments", "long range arena"],
)  # fmt: skip
def test_labels_are_the_values_of_the_expressions(changes: dict[str, int]):
    for text, label in labelled(listops(**{**SMALL, **changes})):
        assert worked_out(text) == label, text


def test_the_published_example_comes_to_its_value():
    text = "[MAX 2 9 [MIN 4 7 ] 0 ]"
    assert worked_out(text) == 9
    row = module.encode(text, max_length=12)
    assert row.tolist() == [0, 0, 0, 12, 3, 10, 11, 5, 8, 15, 1, 15]
    assert module.decode(row) == text


@pytest.mark.parametrize("changes", [{}, LRA], ids=["default", "long range arena"])
def test_spec_and_arrays_are_as_declared(changes: dict[str, int]):
    dataset = listops(**{**SMALL, **changes})
    low, high = changes.get("min_length", 16), changes.get("max_length", 128)
    for split, n in ((dataset.train, 300), (dataset.test, 100)):
        x, y = arrays(split)["x"], arrays(split)["y"]
        assert (x.shape, x.dtype) == ((n, high), np.int32)
        assert (y.shape, y.dtype) == ((n,), np.int32)
        lengths = (x != 0).sum(axis=1)
        assert low <= lengths.min() < 1.2 * low and 0.8 * high < lengths.max() <= high
    spec = dataset.spec
    assert (spec.kind, spec.shape, spec.vocab_size, spec.pad_id) == ("tokens", (high,), 16, 0)
    assert spec.class_names == tuple("0123456789")


def test_no_expression_occurs_twice():
    found = [text for text, _ in labelled(listops(min_length=4, max_length=6, **SMALL))]
    assert len(set(found)) == len(found) == 400


def test_the_largest_class_has_a_sixth_of_the_examples():
    labels = arrays(listops(n_train=4000, n_test=1).train)["y"]
    shares = np.bincount(labels, minlength=10) / len(labels)
    assert 0.06 < shares.min() and shares.max() < 0.18
    assert set(shares.argsort()[-2:]) == {0, 9}  # what MIN and MAX come to


def digest(dataset: harness.Dataset) -> str:
    parts = [arrays(split)[name] for split in (dataset.train, dataset.test) for name in "xy"]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:16]


def test_the_examples_are_these_for_ever():
    assert digest(listops(**SMALL)) == "dbd71effb534148f"
    assert digest(listops(**SMALL, seed=1)) == "614f33c035e49b77"


def test_the_test_split_does_not_depend_on_how_much_is_trained_on():
    few, many = (arrays(listops(n_train=n, n_test=50).test) for n in (10, 500))
    np.testing.assert_array_equal(few["x"], many["x"])
    np.testing.assert_array_equal(few["y"], many["y"])


def test_second_load_generates_nothing(monkeypatch: pytest.MonkeyPatch):
    first = listops(**SMALL)

    def fail(*args: Any, **more: Any) -> Any:
        raise AssertionError("it was generated again")

    monkeypatch.setattr(module, "generate", fail)
    second = listops(**SMALL)
    assert first.spec == second.spec and digest(first) == digest(second)


def test_fingerprint_follows_every_parameter():
    base = {"min_length": 4, "max_length": 20, **SMALL}
    changed = {
        "min_length": 5, "max_length": 21, "max_depth": 5, "max_args": 5, "n_train": 301,
        "n_test": 101, "seed": 1,
    }  # fmt: skip
    found = [listops(**base)] + [listops(**{**base, k: v}) for k, v in changed.items()]
    assert len({dataset.spec.fingerprint for dataset in found}) == len(found)


def test_an_expression_comes_back_from_its_text():
    dataset = listops(**SMALL)
    assert dataset.encode is not None and dataset.decode is not None
    for row in arrays(dataset.test)["x"]:
        found = dataset.encode(dataset.decode(row))
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, row)
    spaced, close = (
        dataset.encode(text) for text in ("[SM 1 [MED 2 3 ] ]", "[SM 1 [MED 2 3]]")
    )
    np.testing.assert_array_equal(spaced, close)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected 1 to 16 tokens, got 0"),
        ("1 " * 17, "got 17"),
        ("[SUM 1 2 ]", r"expected words of 0 1 .* \[SM \], got '\[SUM'"),
        ("10", "got '10'"),
        ("[MAX 1 2", "whose brackets are closed, got '.MAX 1 2'"),
        ("[MAX 1 2 ] 3", "expected one expression"),
        ("1 ] [MIN 2", "expected one expression"),
        ("] [MIN", "expected one expression"),
    ],
)
def test_text_that_is_no_expression_is_one_line(text: str, why: str):
    with pytest.raises(harness.UsageError, match=why):
        module.encode(text, max_length=16)


def test_limits_that_nothing_can_keep_are_one_line():
    with pytest.raises(harness.UsageError, match="min_length=20 with max_length=10"):
        listops(min_length=20, max_length=10)
    with pytest.raises(
        harness.UsageError, match=r"found [0-9,]+ of 22,000 .* or ask for fewer"
    ):
        listops(min_length=4, max_length=5)
