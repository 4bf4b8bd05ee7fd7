from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from harness import orders
from harness.errors import UsageError


def rows_of(order, part: range) -> np.ndarray:
    return np.concatenate([order[i].ravel() for i in part])


def test_an_epoch_is_a_permutation_without_the_remainder():
    order = orders.training_order(100, batch_size=8, epochs=2, seed=0)
    first = rows_of(order, range(order.chunks_per_epoch))
    assert order.steps_per_epoch == 12
    assert len(first) == 96
    assert len(set(first)) == 96


def test_every_epoch_has_a_new_order_and_the_same_seed_the_same_orders():
    order = orders.training_order(100, batch_size=10, epochs=2, seed=3)
    again = orders.training_order(100, batch_size=10, epochs=2, seed=3)
    other = orders.training_order(100, batch_size=10, epochs=2, seed=4)
    n = order.chunks_per_epoch
    first, second = rows_of(order, range(n)), rows_of(order, range(n, 2 * n))
    assert sorted(first) == sorted(second) == list(range(100))
    assert (first != second).any()
    assert (first == rows_of(again, range(n))).all()
    assert (first != rows_of(other, range(n))).any()


def test_the_order_does_not_depend_on_the_chunk_length():
    long = orders.TrainingOrder(size=100, batch_size=10, chunk=10, epochs=1, seed=0)
    short = orders.TrainingOrder(size=100, batch_size=10, chunk=3, epochs=1, seed=0)
    assert [len(short[i]) for i in range(len(short))] == [3, 3, 3, 1]
    assert (rows_of(long, range(1)) == rows_of(short, range(4))).all()


def test_evaluation_covers_every_example_once_and_fills_up_the_last_batch():
    order = orders.EvalOrder(size=37, batch_size=8, chunk=2)
    flat = rows_of(order, range(len(order)))
    assert order.batches == 5
    assert list(flat[:37]) == list(range(37))
    assert list(flat[37:]) == [0, 0, 0]


def test_a_batch_larger_than_the_data_is_refused_with_the_largest_that_fits():
    with pytest.raises(UsageError, match="use at most 100"):
        orders.training_order(100, batch_size=128, epochs=1, seed=0)


def test_chunk_lengths_divide_the_epoch_where_they_can():
    assert [orders.chunk_length(s) for s in (1, 11, 32, 195, 98, 97)] == [1, 11, 32, 15, 14, 32]


def test_an_order_of_very_many_examples_is_a_permutation_that_is_kept_nowhere(monkeypatch):
    monkeypatch.setattr(orders, "LARGE", 100)

    def epochs(seed: int) -> list[np.ndarray]:
        order = orders.training_order(130, batch_size=10, epochs=2, seed=seed)
        told = rows_of(order, range(len(order)))
        assert told.dtype == np.int32 and not order._known
        return np.split(told, 2)

    first, second = epochs(0)
    assert sorted(first) == sorted(second) == list(range(130)) != first.tolist()
    assert (first != second).any() and (epochs(1)[0] != first).any()
    assert (epochs(0)[0] == first).all()


def test_an_order_of_a_billion_examples_takes_no_memory():
    tracemalloc.start()
    order = orders.training_order(3 * 10**9, batch_size=128, epochs=2, seed=0)
    chunk = order[len(order) - 1]
    judged = orders.eval_order(3 * 10**9, batch_size=256)
    last = judged[len(judged) - 1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # more than int32 holds
    assert chunk.dtype == last.dtype == np.int64 and last.max() == 3 * 10**9 - 1
    assert len(np.unique(chunk)) == chunk.size and chunk.max() > 2**31 and peak < 10 * 2**20


def test_devices_divide_the_batches_of_an_evaluation_of_whatever_size():
    order = orders.eval_order(21, batch_size=64, devices=8)
    assert (order.batch_size, order.batches) == (24, 1)
    assert order[0][0, 21:].tolist() == [0, 0, 0]
    assert orders.eval_order(21, batch_size=8, devices=8).batch_size == 8
