"""What data sets and models are told, and what contradicts itself."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

import harness
from harness.errors import ContractError
from harness.specs import DataSpec, GivesProbabilities, Prepares

TOKENS: dict[str, Any] = {
    "kind": "tokens", "shape": (4,), "vocab_size": 10, "num_classes": 2,
}  # fmt: skip


def test_contract_names_stand_in_the_package() -> None:
    for name in ("DataSpec", "Dataset", "Unsupported", "hookimpl", "run", "load"):
        assert name in vars(harness)
    assert harness.DataSpec is DataSpec


def test_class_names_default_to_numbers() -> None:
    assert DataSpec(**{**TOKENS, "num_classes": 3}).class_names == ("0", "1", "2")


def test_given_class_names_are_kept() -> None:
    spec = DataSpec(**TOKENS, class_names=("negative", "positive"))
    assert spec.class_names == ("negative", "positive")


def test_fields_that_a_contract_reader_expects() -> None:
    spec = DataSpec(**TOKENS)
    assert (spec.pad_id, spec.task, spec.fingerprint) == (None, "classification", "")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "words"}, "'words'"),
        ({"num_classes": 1}, "at least 2"),
        ({"vocab_size": None}, "vocab_size is None"),
        ({"kind": "features"}, "vocab_size is 10"),
        ({"class_names": ("a", "b", "c")}, "3 class_names for 2 classes"),
    ],
)
def test_contradictions_are_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ContractError) as caught:
        DataSpec(**{**TOKENS, **change})
    assert told in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", ["features", "image"])
def test_other_kinds_have_no_vocabulary(kind: Any) -> None:
    assert DataSpec(kind=kind, shape=(8, 8), num_classes=10).vocab_size is None


def test_spec_is_frozen_and_compares_by_value() -> None:
    spec = DataSpec(**TOKENS)
    with pytest.raises(FrozenInstanceError):
        spec.num_classes = 3  # type: ignore[misc]
    assert spec == DataSpec(**TOKENS)
    assert hash(spec) == hash(DataSpec(**TOKENS))


def test_dataset_takes_its_splits_and_spec_by_position() -> None:
    split = {"x": np.zeros((3, 4), np.int32), "y": np.zeros(3, np.int32)}
    dataset = harness.Dataset(split, split, DataSpec(**TOKENS))
    assert dataset.train is split
    assert dataset.decode is None


def test_optional_methods_are_found_by_protocol() -> None:
    class Plain:
        pass

    class Both:
        def prepare(self, train: Any) -> None: ...

        def probabilities(self, outputs: Any) -> Any: ...

    assert isinstance(Both(), Prepares)
    assert isinstance(Both(), GivesProbabilities)
    assert not isinstance(Plain(), Prepares)
    assert not isinstance(Plain(), GivesProbabilities)
