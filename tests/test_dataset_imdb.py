"""The prepared arrays against a plain transcription of the tutorial's preparation."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import arrays as arrays_of

import harness
from benchmarks.tutorial_preparation import prepare
from harness.files import import_files
from harness.progress import notes_to
from harness_datasets import imdb as module
from harness_datasets.imdb import Order, imdb

REAL = os.environ.get("HARNESS_DATA_DIR", "")
HAS_REAL = bool(REAL) and (Path(REAL) / "imdb" / "imdb.npz").is_file()
WORDS = ["the", "and", "a", "of", "to", "is", "br", "in", "it", "i", "this", "that"]

ORDERS: tuple[Order, ...] = ("published", "shuffled")

Reviews = list[list[int]]


def agree(source: Path, **parameters: Any) -> None:
    dataset = imdb(**parameters)
    expected = prepare(source, **parameters)
    for split, arrays in (("train", dataset.train), ("test", dataset.test)):
        x, y = expected[split]
        assert isinstance(arrays, dict)
        np.testing.assert_array_equal(arrays["x"], x)
        np.testing.assert_array_equal(arrays["y"], y)


def make_reviews(*, seed: int, n: int, longest: int = 30) -> tuple[Reviews, np.ndarray]:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, longest, n)
    ranks = [random.integers(1, 40, length).tolist() for length in lengths]
    return ranks, random.integers(0, 2, n)


def objects(rows: list[Any]) -> np.ndarray:
    found = np.empty(len(rows), dtype=object)
    found[:] = rows
    return found


def save(path: Path, **changes: Any) -> Path:
    """A small file in the published form: object arrays of lists, int64 labels."""
    x_train, y_train = make_reviews(seed=1, n=60)
    x_test, y_test = make_reviews(seed=2, n=40)
    arrays = {"x_train": objects(x_train), "y_train": y_train,
              "x_test": objects(x_test), "y_test": y_test}  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{**arrays, **changes})
    return path


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a small file and a word index."""
    folder = tmp_path / "data" / "imdb"
    source = save(folder / "imdb.npz")
    index = {word: rank for rank, word in enumerate(WORDS, start=1)}
    (folder / "imdb_word_index.json").write_text(json.dumps(index))
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "data"))
    return source


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="some words unknown, some reviews cut"),
        pytest.param({"max_length": 50}, id="every review padded"),
        pytest.param({"max_length": 1}, id="the last word only"),
        pytest.param({"vocab_size": 1000}, id="every word known"),
        pytest.param({"vocab_size": 4, "index_from": 9}, id="no word known"),
        pytest.param({"index_from": 0, "oov_id": 1}, id="no shift"),
    ],
)
def test_arrays_equal_the_tutorials_row_by_row(small: Path, changes: dict[str, int]) -> None:
    usual = {"vocab_size": 25, "max_length": 12, "index_from": 3, "oov_id": 2}
    agree(small, **{**usual, **changes})


@pytest.mark.skipif(not HAS_REAL, reason="HARNESS_DATA_DIR has no imdb/imdb.npz")
def test_arrays_equal_the_tutorials_on_the_real_reviews(empty_cache: Path) -> None:
    source = Path(REAL) / "imdb" / "imdb.npz"
    agree(source, vocab_size=20_000, max_length=200, index_from=3, oov_id=2)
    # what `imdb` says of `max_length`
    offsets = [np.load(path) for path in empty_cache.rglob("*_offsets.npy")]
    assert sorted(np.diff(part).max() for part in offsets) == [2314, 2493]


def test_spec_and_arrays_are_as_declared(small: Path) -> None:
    dataset = imdb(vocab_size=25, max_length=12)
    assert isinstance(dataset.train, dict)
    assert isinstance(dataset.test, dict)
    for arrays, n in ((dataset.train, 60), (dataset.test, 40)):
        assert (arrays["x"].shape, arrays["x"].dtype) == ((n, 12), np.int32)
        assert (arrays["y"].shape, arrays["y"].dtype) == ((n,), np.int32)
    spec = dataset.spec
    assert (spec.kind, spec.shape, spec.vocab_size, spec.pad_id) == ("tokens", (12,), 25, 0)
    assert (spec.num_classes, spec.class_names) == (2, ("negative", "positive"))


def test_second_load_reads_neither_the_file_nor_the_flat_arrays(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = imdb(max_length=12)

    def fail(*args: object) -> Any:
        raise AssertionError("it was prepared again")

    monkeypatch.setattr(module, "read_reviews", fail)
    monkeypatch.setattr(module, "encode_splits", fail)
    monkeypatch.setattr("harness.digests.digest_file", fail)
    second = imdb(max_length=12)
    assert isinstance(first.train, dict)
    assert isinstance(second.train, dict)
    np.testing.assert_array_equal(first.train["x"], second.train["x"])
    assert first.spec == second.spec


def test_other_parameters_need_the_flat_arrays_only(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imdb(max_length=12)

    def fail(path: Path) -> Any:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(module, "read_reviews", fail)
    assert imdb(max_length=13).spec.shape == (13,)


def test_fingerprint_follows_the_file_and_every_parameter(small: Path) -> None:
    changes: list[dict[str, Any]] = [
        {}, {"vocab_size": 25}, {"max_length": 12}, {"index_from": 4}, {"oov_id": 1},
        {"order": "shuffled"},
    ]  # fmt: skip
    found = [imdb(**change).spec.fingerprint for change in changes]
    again = imdb().spec.fingerprint
    x_test, y_test = make_reviews(seed=3, n=40)
    save(small, x_test=objects(x_test), y_test=y_test)
    found.append(imdb().spec.fingerprint)
    assert again == found[0]
    assert len(set(found)) == len(found)


def test_published_order_keeps_the_fingerprint_that_it_had_alone(small: Path):
    """Rows and prepared arrays of before are still those of the same data."""
    parts = {"source": "0", "version": 1, "vocab_size": 9, "max_length": 8, "index_from": 3,
             "oov_id": 2}  # fmt: skip
    expected = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    assert module.Coding(9, 8, 3, 2).fingerprint("0") == expected
    assert module.Coding(9, 8, 3, 2, "shuffled").fingerprint("0") != expected


def flat(**splits: Reviews) -> dict[str, np.ndarray]:
    """Reviews as they are kept between the file and the padded ids; labels count them."""
    found = {}
    for split, reviews in splits.items():
        found[f"{split}_values"] = np.concatenate(reviews).astype(np.int32)
        found[f"{split}_offsets"] = np.cumsum([0, *map(len, reviews)])
        found[f"{split}_y"] = np.arange(len(reviews), dtype=np.int32)
    return found


def both_orders(max_length: int) -> list[dict[str, np.ndarray]]:
    reviews = flat(train=make_reviews(seed=1, n=60)[0], test=make_reviews(seed=2, n=40)[0])
    return [
        module.encode_splits(reviews, module.Coding(25, max_length, 3, 2, order))
        for order in ORDERS
    ]


@pytest.mark.parametrize("max_length", [12, 29, 40])
def test_shuffled_reviews_have_the_words_that_are_kept_in_another_order(max_length: int):
    before, after = both_orders(max_length)
    for split in ("train", "test"):
        np.testing.assert_array_equal(before[f"{split}_y"], after[f"{split}_y"])
        a, b = before[f"{split}_x"], after[f"{split}_x"]  # [n, t]
        assert b.dtype == np.int32
        np.testing.assert_array_equal(a == 0, b == 0)  # padding is where it was
        np.testing.assert_array_equal(np.sort(a, axis=1), np.sort(b, axis=1))
        assert (a != b).any(axis=1).mean() > 0.8


def test_every_order_is_equally_likely():
    reviews = flat(train=[[1, 2, 3, 4]] * 2400, test=[[1]])
    x = module.encode_splits(reviews, module.Coding(25, 5, 3, 2, "shuffled"))["train_x"]
    orders, counts = np.unique(x, axis=0, return_counts=True)
    assert len(orders) == 24 and (orders[:, 0] == 0).all()
    np.testing.assert_allclose(counts, 100, atol=40)


def test_a_review_has_its_order_at_every_load_and_however_it_is_padded():
    _, x = both_orders(30)
    for name, found in x.items():
        np.testing.assert_array_equal(found, both_orders(30)[1][name])
    np.testing.assert_array_equal(x["test_x"], both_orders(40)[1]["test_x"][:, 10:])


def test_from_the_longest_review_on_nothing_is_cut():
    reviews = make_reviews(seed=1, n=60)[0]
    longest = max(map(len, reviews))
    for more in (0, 5):
        coding = module.Coding(1000, longest + more, 3, 2)
        x = module.encode_splits(flat(train=reviews, test=[[1]]), coding)["train_x"]
        assert sorted((x != 0).sum(axis=1)) == sorted(map(len, reviews))
        assert (x[:, :more] == 0).all() and (x[:, more] != 0).any()


def test_shuffled_text_comes_back_in_the_order_that_it_has(small: Path):
    dataset, plain = (
        imdb(vocab_size=13, max_length=30, order=order) for order in reversed(ORDERS)
    )
    assert dataset.encode is not None and dataset.decode is not None
    assert dataset.encode("the and a")[-3:].tolist() == [4, 5, 6]
    for row in arrays_of(dataset.test)["x"]:
        np.testing.assert_array_equal(dataset.encode(dataset.decode(row)), row)
    assert not np.array_equal(arrays_of(dataset.test)["x"], arrays_of(plain.test)["x"])
    assert plain.spec.fingerprint != dataset.spec.fingerprint


def test_use_of_the_users_own_file_is_told(small: Path) -> None:
    heard: list[str] = []
    with notes_to(heard.append):
        imdb()
    assert len(heard) == 1
    assert heard[0].startswith("imdb: using HARNESS_DATA_DIR/imdb/imdb.npz (sha256 ")
    assert heard[0].endswith("the published file is 69664113be75)")


def test_unknown_word_outside_the_vocabulary_is_refused(small: Path) -> None:
    with pytest.raises(harness.UsageError, match="oov_id=25 with vocab_size=25"):
        imdb(vocab_size=25, oov_id=25)


def test_word_index_is_not_needed_to_train(small: Path) -> None:
    (small.parent / "imdb_word_index.json").write_text("[]")
    dataset = imdb()
    assert dataset.decode is not None
    with pytest.raises(harness.DataError, match="is not the word index"):
        dataset.decode(np.array([5]))


def test_foreign_and_incomplete_files_leave_no_prepared_arrays(
    small: Path, empty_cache: Path
) -> None:
    for damage, why in (
        (lambda: small.write_bytes(small.read_bytes()[:500]), "not the data it should be"),
        (lambda: small.write_text("<html></html>"), "a page of HTML"),
        (lambda: np.savez(small, words=np.arange(3)), "no item named 'x_train.npy'"),
        (lambda: save(small, y_test=np.array([1])), "40 reviews .* 1 labels"),
        (lambda: save(small, y_train=np.full(60, 3)), "labels run from 0 to 1"),
    ):
        damage()
        with pytest.raises(harness.DataError, match=why):
            imdb()
    assert not list(empty_cache.rglob("*.npy"))


def test_import_takes_a_whole_file_and_no_other(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HARNESS_DATA_DIR")
    files = (module.REVIEWS, module.WORD_INDEX)
    half = tmp_path / "half.npz"
    half.write_bytes(small.read_bytes()[:-100])
    with pytest.raises(harness.DataError, match=r"half\.npz is not the data it should be"):
        import_files("imdb", files, [half])
    import_files("imdb", files, [small, small.parent / "imdb_word_index.json"])
    dataset = imdb()
    assert dataset.decode is not None
    assert dataset.decode(np.array([4])) == "the"
