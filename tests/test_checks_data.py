"""What is said of data that are well, and of those that nearly are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from small import Source, arrays, token_data

from harness import Dataset
from harness.checks import data
from harness.checks.check import Fault, NotApplicable
from harness.checks.data import DataSubject

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
