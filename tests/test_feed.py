from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pytest
from small import Source, arrays, token_data, token_spec

from harness import feed, orders
from harness.errors import ContractError, UsageError


def examples(size: int = 100) -> feed.Examples:
    data = token_data(train=size)
    return feed.as_examples(data.train, data.spec, name="train", limit=None)


def test_chunks_have_one_shape_whether_gathered_or_not():
    data = token_data()
    in_memory = feed.as_examples(data.train, data.spec, name="train", limit=None)
    of_source = feed.as_examples(Source(data.train), data.spec, name="train", limit=None)
    resident, streamed = feed.place_within(1 << 20, in_memory, of_source)
    order = orders.TrainingOrder(size=100, batch_size=10, chunk=4, epochs=1, seed=0)
    placed, gathered = list(feed.chunks(resident, order)), list(feed.chunks(streamed, order))
    assert resident.resident and not streamed.resident
    assert [c.steps for c in placed] == [c.steps for c in gathered] == [4, 4, 2]
    for here, there in zip(placed, gathered, strict=True):
        assert here.payload.shape == (4, 10)
        assert (arrays(data.train)["x"][here.payload] == there.payload["x"]).all()
        assert (arrays(data.train)["y"][here.payload] == there.payload["y"]).all()


@pytest.mark.parametrize("size", [10, 40])
def test_a_process_is_fed_its_share_of_each_batch_and_reads_no_other(size: int):
    data, order = token_data(), orders.eval_order(37, batch_size=size, devices=2)
    split = feed.as_examples(Source(data.test), data.spec, name="test", limit=None)
    half = order.batch_size // 2
    shares = (slice(0, half), slice(half, None))
    for whole, *parts in zip(
        *(feed.chunks(split, order, share=share) for share in (slice(None), *shares)),
        strict=True,
    ):
        together = np.concatenate([part.payload["x"] for part in parts], axis=1)
        np.testing.assert_array_equal(together, whole.payload["x"])
        assert parts[0].payload["x"].shape[1] == half


class Device:
    def __init__(self, stats: dict[str, int] | None) -> None:
        self.stats = stats

    def memory_stats(self) -> dict[str, int] | None:
        return self.stats


def test_half_of_a_devices_memory_is_for_data_whatever_is_in_use():
    assert feed.room(Device({"bytes_limit": 1000, "bytes_in_use": 200})) == 500
    assert feed.room(Device(None)) == feed.room(Device({})) == feed.RESIDENT_BYTES


def test_splits_share_the_room_on_a_device():
    train, test = examples(100), examples(50)  # 52 bytes an example
    assert [e.resident for e in feed.place_within(7800, train, test)] == [True, True]
    assert [e.resident for e in feed.place_within(7799, train, test)] == [True, False]
    assert [e.resident for e in feed.place_within(5199, train, test)] == [False, True]


def test_what_is_held_out_stays_where_the_split_is():
    (train,) = feed.place_within(1 << 20, examples())
    assert [part.resident for part in feed.hold_out(train, 0.2)] == [True, True]


def test_validation_is_stratified_disjoint_and_the_same_every_time():
    train, held = feed.hold_out(examples(200), 0.25)
    again = feed.hold_out(examples(200), 0.25)[1]
    assert set(train.index).isdisjoint(held.index)
    assert sorted([*train.index, *held.index]) == list(range(200))
    assert np.array_equal(held.index, again.index)
    assert abs(held.labels().mean() - examples(200).labels().mean()) < 0.02


def test_a_validation_that_leaves_one_side_empty_is_told_what_does_not():
    with pytest.raises(UsageError, match=r"of 20 examples holds out none; give 0\.\d+ or"):
        feed.hold_out(examples(20), 0.001)
    with pytest.raises(UsageError, match="0.9 of 4 examples holds out all; give 0.5 or less"):
        feed.hold_out(examples(4), 0.9)


@pytest.mark.parametrize("count", [2, 3, 5, 20, 77])
@pytest.mark.parametrize("asked", [1e-4, 0.9])
def test_the_fraction_that_is_told_leaves_no_side_empty(count: int, asked: float):
    try:
        feed.hold_out(examples(count), asked)
    except UsageError as error:
        told = re.search(r"give (0\.\d+)", str(error))
        assert told, error
        train, held = feed.hold_out(examples(count), float(told[1]))
        assert len(train) and len(held)


def test_limit_keeps_the_first_examples():
    data = token_data()
    first = feed.as_examples(data.train, data.spec, name="train", limit=7)
    assert (arrays(first.split())["x"] == arrays(data.train)["x"][:7]).all()
    # and only they take memory on the device
    assert feed.place_within(7 * 52, first)[0].resident


def test_a_subset_of_a_source_is_a_source():
    data = token_data()
    streamed = feed.as_examples(Source(data.train), data.spec, name="train", limit=None)
    _, held = feed.hold_out(streamed, 0.2)
    subset = held.split()
    assert not isinstance(subset, Mapping)
    assert len(subset) == len(held)
    assert (subset[3]["x"] == arrays(data.train)["x"][held.index[3]]).all()


class Many(Source):
    """A source that can be asked for many examples, and says how many it was asked for."""

    def __init__(self, split) -> None:
        super().__init__(split)
        self.asked: list[int] = []

    def __getitem__(self, index: int):
        self.asked.append(1)
        return super().__getitem__(index)

    def __getitems__(self, indices):
        found = [super(Many, self).__getitem__(index) for index in indices]
        self.asked.append(len(found))
        return found


def test_a_chunk_of_a_source_that_reads_many_is_one_read():
    data, order = token_data(), orders.TrainingOrder(100, 10, 4, 1, 0)
    one, many = Source(data.train), Many(data.train)
    split, streamed = (
        feed.as_examples(source, data.spec, name="train", limit=None) for source in (many, one)
    )
    many.asked.clear()
    for here, there in zip(
        feed.chunks(split, order), feed.chunks(streamed, order), strict=True
    ):
        np.testing.assert_array_equal(here.payload["x"], there.payload["x"])
        np.testing.assert_array_equal(here.payload["y"], there.payload["y"])
    assert sorted(many.asked) == [20, 40, 40]


def test_labels_and_parts_of_a_source_that_reads_many_are_read_at_once(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(feed, "BLOCK_BYTES", 30 * 12 * 4)
    data, many = token_data(), Many(token_data().train)
    whole = feed.as_examples(many, data.spec, name="train", limit=None)
    many.asked.clear()
    np.testing.assert_array_equal(whole.labels(), arrays(data.train)["y"])
    assert many.asked == [1, 30, 30, 30, 10]
    _, held = feed.hold_out(whole, 0.2)
    part = held.split()
    many.asked.clear()
    assert not isinstance(part, Mapping)
    read = feed.examples_at(part, range(5))
    assert many.asked == [5]
    assert (read[3]["x"] == arrays(data.train)["x"][held.index[3]]).all()


def test_a_source_that_loses_examples_is_told():
    class Loses(Many):
        def __getitems__(self, indices):
            return super().__getitems__(indices)[1:]

    with pytest.raises(ContractError, match="of Loses gave 2 examples for 3 positions"):
        feed.examples_at(Loses(token_data().train), [0, 1, 2])


def broken(**changes):
    return {**arrays(token_data().train), **changes}


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"x": np.zeros((2, 12), np.int32)}, r"keys \['x'\]; expected x and y"),
        (broken(x=np.zeros((100, 5), np.int32)), r"x \[100, 5\].*expected x \[n, 12\]"),
        (broken(x=np.zeros((100, 12))), "x of float64.*expected int32"),
        (broken(y=np.full(100, 2)), "labels from 2 to 2; expected 0 to 1"),
        (broken(x=np.full((100, 12), 30, np.int32)), "ids from 30 to 30; expected 0 to 29"),
        (broken(y=np.zeros(99, np.int32)), r"y \[99\]"),
    ],
)
def test_a_split_unlike_its_spec_is_named(split, message):
    with pytest.raises(ContractError, match=message) as caught:
        feed.as_examples(split, token_spec(), name="train", limit=None)
    assert "\n" not in str(caught.value)
