"""What is said of data that are well, and of those that nearly are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from small import Source, arrays, token_data

from harness import ContractError, Dataset
from harness.checks import data
from harness.checks.check import Fault, NotApplicable
from harness.checks.data import DataSubject
from harness_plugins.multi_label import multi_label
from harness_plugins.regression import regression

Made = Callable[[], Dataset]


def subject(make: Made = token_data, **fields) -> DataSubject:
    return DataSubject(make, {}, **fields)


def with_sources() -> Dataset:
    found = token_data()
    return replace(found, train=Source(found.train), test=Source(found.test))


@pytest.mark.parametrize("make", [token_data, with_sources])
def test_remarks_say_how_many_and_how_long(make: Made):
    tried = subject(make)
    assert data.loads(tried) == "100 train, 37 test, tokens [12]"
    assert data.as_spec(tried) == data.splits_disjoint(tried) == data.deterministic(tried) == ""
    assert data.classes(tried).startswith("train 4")
    assert data.lengths(tried) == (
        "12 tokens in the median, 95 % up to 12, 100% fill all places"
    )
    assert data.fingerprint(tried) == "small"


def test_a_source_that_gives_many_in_another_order_is_told():
    class Sorted(Source):
        def __getitems__(self, indices):
            return [self[index] for index in sorted(indices)]

    class Many(Source):
        def __getitems__(self, indices):
            return [self[index] for index in indices]

    def made(source: type[Source]) -> DataSubject:
        found = token_data()
        return subject(lambda: replace(found, train=source(found.train)))

    assert data.as_spec(made(Many)) == ""
    with pytest.raises(Fault, match="of the train split gave another example at 99 than"):
        data.as_spec(made(Sorted))


def test_a_few_duplicates_are_a_remark_and_many_a_fault():
    def shared(count: int) -> Made:
        def make() -> Dataset:
            found = token_data(test=400)
            test = {name: values.copy() for name, values in arrays(found.test).items()}
            test["x"][:count] = arrays(found.train)["x"][:count]
            return replace(found, test=test)

        return make

    assert data.splits_disjoint(subject(shared(4))).startswith("4 of 400 test examples")
    with pytest.raises(Fault, match=r"5 of 400 .* \(1.2%\); expected at most 1%"):
        data.splits_disjoint(subject(shared(5)))


def test_a_spec_that_changes_is_told():
    count = iter(range(9))

    def make() -> Dataset:
        found = token_data()
        return replace(found, spec=replace(found.spec, fingerprint=f"f{next(count)}"))

    with pytest.raises(Fault, match="loading twice gave two specs"):
        data.deterministic(subject(make))


def test_values_that_are_not_finite_are_told():
    def make() -> Dataset:
        found = token_data()
        split = {"x": np.full((4, 3), np.inf, np.float32), "y": np.arange(4) % 2}
        spec = replace(found.spec, kind="features", shape=(3,), vocab_size=None, pad_id=None)
        return Dataset(split, split, spec)

    with pytest.raises(Fault, match="the train split has values that are not finite"):
        data.as_spec(subject(make))
    with pytest.raises(NotApplicable, match="nothing is padding"):
        data.lengths(subject(make))


def test_variants_of_the_same_data_may_share_a_fingerprint():
    tried = DataSubject(lambda *, again=0: token_data(), {}, {"again": {"again": 1}})
    assert data.fingerprint(tried) == "small"


def test_what_cannot_be_read_need_not_be_decoded():
    with pytest.raises(NotApplicable, match="no decode"):
        data.decodes(subject())
    read = subject(lambda: replace(token_data(), decode=lambda row: "two  words\n" * 9))
    assert data.decodes(read) == ("two words " * 4)[:40]


def test_another_process_has_to_find_the_same():
    assert data.worker(subject(elsewhere=lambda: "small")) == ""
    with pytest.raises(Fault, match="another process has the fingerprint 'other'"):
        data.worker(subject(elsewhere=lambda: "other"))


def labelled(labels: np.ndarray) -> Made:
    """The first of 40 examples for training, 20 for testing."""

    def make() -> Dataset:
        found = token_data(train=40, test=20)
        train, test = (
            {"x": arrays(split)["x"], "y": y}
            for split, y in ((found.train, labels[:40]), (found.test, labels[40:]))
        )
        return replace(found, train=train, test=test)

    return make


def test_of_several_labels_each_must_be_there_in_both_splits():
    y = np.tile(np.array([[1, 0], [0, 0], [0, 1], [0, 0]], np.int32), (15, 1))
    tried = subject(labelled(y), find_task=lambda name: multi_label())
    assert data.as_spec(tried) == ""
    assert data.classes(tried) == "train 25.0% to 25.0% a class, test 25.0% to 25.0% a class"
    y = y.copy()
    y[40:, 1] = 0
    tried = subject(labelled(y), find_task=lambda name: multi_label())
    with pytest.raises(Fault, match="the test split has no example of 1"):
        data.classes(tried)
    with pytest.raises(ContractError, match="labels from 0 to 3; expected 0 and 1"):
        data.as_spec(subject(labelled(3 * y), find_task=lambda name: multi_label()))


def test_of_targets_mean_and_spread_are_told():
    y = np.tile(np.array([[1.0, -2.0], [3.0, -2.0]], np.float32), (30, 1))
    tried = subject(labelled(y), find_task=lambda name: regression())
    assert data.as_spec(tried) == ""
    assert data.classes(tried) == "train 0 2 ± 1, 1 -2 ± 0, test 0 2 ± 1, 1 -2 ± 0"
