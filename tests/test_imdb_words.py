"""Words of IMDB's reviews to ids and back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import harness
from harness_datasets._imdb_words import (
    Coding,
    check_words,
    make_decoder,
    make_encoder,
    read_words,
)
from harness_datasets.imdb import imdb

REAL = os.environ.get("HARNESS_DATA_DIR", "")
HAS_REAL = bool(REAL) and (Path(REAL) / "imdb" / "imdb.npz").is_file()
WORDS = ["the", "and", "a", "of", "to", "is", "br", "in", "it", "i", "this", "that"]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a word index and no reviews."""
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "data"))
    path = tmp_path / "data" / "imdb" / "imdb_word_index.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({word: rank for rank, word in enumerate(WORDS, start=1)}))
    return path


def coding(
    *, vocab_size: int = 20_000, max_length: int = 200, index_from: int = 3, oov_id: int = 2
) -> Coding:
    return Coding(vocab_size, max_length, index_from, oov_id)


def test_decode_gives_words_and_names_what_is_none(index: Path) -> None:
    decode = make_decoder(coding(vocab_size=25))
    row = np.array([0, 0, 4, 2, 1, 15, 3, 24], dtype=np.int32)
    assert decode(row) == "the <oov> <reserved 1> that <unknown 3> <unknown 24>"


def test_decode_follows_the_parameters(index: Path) -> None:
    decode = make_decoder(coding(index_from=0, oov_id=12))
    assert decode(np.array([0, 1, 12, 2])) == "the <oov> and"


def test_encode_prepares_a_text_as_the_reviews_are(index: Path) -> None:
    how = coding(vocab_size=13, max_length=6)
    encode, decode = make_encoder(how), make_decoder(how)
    row = encode("The <br /> THAT, film (of\tit)")
    assert row.dtype == np.int32 and row.shape == (6,)
    assert row.tolist() == [4, 10, 2, 2, 7, 12]
    assert encode("a").tolist() == [0, 0, 0, 0, 0, 6]
    assert encode("to it " * 9).tolist() == [8, 12] * 3
    assert decode(encode("of a, br")) == "of a br"
    for text in ("", " \n", "... !"):
        with pytest.raises(harness.UsageError, match="without a word"):
            encode(text)


def test_encode_follows_the_parameters(index: Path) -> None:
    encode = make_encoder(coding(index_from=0, oov_id=12, max_length=3))
    assert encode("the film and").tolist() == [1, 12, 2]


@pytest.mark.skipif(not HAS_REAL, reason="HARNESS_DATA_DIR has no imdb/imdb.npz")
def test_real_reviews_come_back_from_their_text() -> None:
    """Every word of the index is one word to `encode`, as it was to Keras."""
    dataset = imdb()
    assert dataset.encode is not None and dataset.decode is not None
    for split in (dataset.train, dataset.test):
        assert isinstance(split, dict)
        for row in split["x"][:300]:
            np.testing.assert_array_equal(dataset.encode(dataset.decode(row)), row)
    index = read_words(Path(REAL) / "imdb" / "imdb_word_index.json")
    how = Coding(len(index) + 9, len(index), index_from=3, oov_id=2)
    every = np.array([*index], np.int32) + 3
    encoded = make_encoder(how)(make_decoder(how)(every))
    np.testing.assert_array_equal(encoded, every)
    text = "what a wonderful film i've never seen such acting"
    assert dataset.decode(dataset.encode(f"What a WONDERFUL film! {text[22:]}...")) == text


@pytest.mark.parametrize("content", ["", "<html>", "{}", "[1]", '{"the": "1"}', "[" * 9999])
def test_foreign_word_index_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "words.json").write_text(content)
    with pytest.raises(harness.DataError, match=r"words\.json is not the word index"):
        check_words(tmp_path / "words.json")
