"""n-grams by a hash: which there are, which rows they take, and each of a text once."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import harness
from harness_models._ngrams import distinct, ngram_ids, useful_buckets

pytestmark = pytest.mark.usefixtures("strict_jax")

BUCKETS = 1 << 16
TOKENS = np.array([[0, 0, 3, 9, 3], [4, 8, 16, 2, 9], [0] * 5], np.int32)


def murmur(tokens: list[int]) -> int:
    """The hash in Python's own integers."""
    h = len(tokens) * 0x9E3779B9 % 2**32
    for token in tokens:
        h ^= token
        h = (h ^ h >> 16) * 0x85EBCA6B % 2**32
        h = (h ^ h >> 13) * 0xC2B2AE35 % 2**32
        h ^= h >> 16
    return h % BUCKETS


def test_single_tokens_keep_their_ids():
    ids, real = ngram_ids(TOKENS, 1, buckets=2, pad_id=0)
    np.testing.assert_array_equal(ids, TOKENS)
    np.testing.assert_array_equal(real, TOKENS != 0)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_longer_ones_are_hashed_from_left_to_right(n: int):
    ids, _ = ngram_ids(TOKENS, n, buckets=BUCKETS, pad_id=0)
    expected = [[murmur(row[i : i + n]) for i in range(6 - n)] for row in TOKENS.tolist()]
    np.testing.assert_array_equal(ids, expected)
    assert ids.dtype == np.int32


@pytest.mark.parametrize("n", [1, 2, 3])
def test_host_and_device_agree_to_the_bit(n: int):
    rows = np.random.default_rng(0).integers(0, 2**31 - 1, (50, 20), dtype=np.int32)
    here = ngram_ids(rows, n, buckets=2**30, pad_id=0)
    there = ngram_ids(jnp.asarray(rows), n, buckets=2**30, pad_id=0)
    for a, b in zip(here, there, strict=True):
        np.testing.assert_array_equal(a, b)
        assert b.dtype == a.dtype


def test_one_that_touches_padding_is_none():
    _, pairs = ngram_ids(TOKENS, 2, buckets=BUCKETS, pad_id=0)
    np.testing.assert_array_equal(pairs, [[0, 0, 1, 1], [1] * 4, [0] * 4])
    _, triples = ngram_ids(TOKENS, 3, buckets=BUCKETS, pad_id=0)
    np.testing.assert_array_equal(triples, [[0, 0, 1], [1] * 3, [0] * 3])
    _, inside = ngram_ids(np.array([[5, 0, 6]], np.int32), 2, buckets=BUCKETS, pad_id=0)
    np.testing.assert_array_equal(inside, [[0, 0]])


def test_without_padding_all_are_some():
    for n in (1, 2):
        assert ngram_ids(TOKENS, n, buckets=BUCKETS, pad_id=None)[1].all()


def test_order_and_length_count():
    def bucket(*tokens: int) -> int:
        row = np.array([tokens], np.int32)
        return int(ngram_ids(row, len(tokens), buckets=2**30, pad_id=None)[0][0, 0])

    assert len({bucket(1, 2), bucket(2, 1), bucket(0, 1, 2), bucket(1, 2, 0)}) == 4


def test_buckets_fill_as_if_at_random():
    pairs = np.stack(np.meshgrid(np.arange(300), np.arange(300)), axis=-1).reshape(-1, 2)
    ids, _ = ngram_ids(pairs.astype(np.int32), 2, buckets=BUCKETS, pad_id=None)
    # n balls in m urns leave the share exp(-n / m) empty, give or take 0.002
    empty = 1 - len(np.unique(ids)) / BUCKETS
    assert abs(empty - np.exp(-len(pairs) / BUCKETS)) < 0.006


def test_distinct_keeps_each_id_of_a_row_once():
    ids = jnp.array([[4, 2, 4, 5], [7, 7, 7, 7], [1, 2, 3, 4]], jnp.int32)
    real = jnp.array([[1, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]], bool)
    found = distinct(ids, real, nothing=9)
    np.testing.assert_array_equal(np.sort(found), [[2, 4, 9, 9], [7, 9, 9, 9], [9] * 4])
    assert found.dtype == jnp.int32


@pytest.mark.parametrize(
    ("vocab_size", "max_n", "expected"),
    [(16, 1, 0), (16, 2, 1024), (17, 2, 2048), (16, 3, 32_768), (20_000, 2, 2**20)],
)
def test_no_more_buckets_than_ngrams_have_a_use_for(vocab_size: int, max_n: int, expected: int):
    assert useful_buckets(2**20, vocab_size=vocab_size, max_n=max_n) == expected


def test_fewer_buckets_are_taken_as_they_are():
    assert useful_buckets(2, vocab_size=17, max_n=3) == 2


@pytest.mark.parametrize("max_n", [1, 2])
def test_another_number_is_refused_with_those_beside_it(max_n: int):
    with pytest.raises(harness.UsageError) as caught:
        useful_buckets(1000, vocab_size=17, max_n=max_n)
    assert str(caught.value) == "buckets=1000: expected a power of two; use 512 or 1024"
