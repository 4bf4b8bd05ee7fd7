from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import harness
from harness_datasets import digits as module
from harness_datasets.digits import digits, draw


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))


def splits(dataset: harness.Dataset) -> list[dict[str, np.ndarray]]:
    assert isinstance(dataset.train, dict)
    assert isinstance(dataset.test, dict)
    return [dataset.train, dataset.test]


def test_spec_and_arrays_are_as_declared() -> None:
    dataset = digits()
    for arrays, n in zip(splits(dataset), (1437, 360), strict=True):
        assert (arrays["x"].shape, arrays["x"].dtype) == ((n, 64), np.int32)
        assert (arrays["y"].shape, arrays["y"].dtype) == ((n,), np.int32)
        assert (arrays["x"].min(), arrays["x"].max()) == (0, 16)
    spec = dataset.spec
    assert (spec.kind, spec.shape, spec.vocab_size, spec.pad_id) == ("tokens", (64,), 17, None)
    assert spec.class_names == tuple("0123456789")


def test_splits_are_all_images_once_with_their_labels() -> None:
    pixels, labels = load_digits(return_X_y=True)
    expected = sorted(
        [*map(int, image), int(label)] for image, label in zip(pixels, labels, strict=True)
    )
    found = sorted(
        [*image, label]
        for arrays in splits(digits())
        for image, label in zip(arrays["x"].tolist(), arrays["y"].tolist(), strict=True)
    )
    assert found == expected


def test_split_keeps_the_share_of_each_digit() -> None:
    train, test = splits(digits())
    counts = np.bincount(train["y"]), np.bincount(test["y"])
    np.testing.assert_allclose(counts[1] / (counts[0] + counts[1]), 0.2, atol=0.01)


def test_split_is_fixed() -> None:
    assert splits(digits())[1]["y"][:12].tolist() == [7, 6, 3, 7, 7, 3, 2, 8, 9, 3, 2, 6]


def test_second_load_does_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    first = digits()

    def fail() -> dict[str, np.ndarray]:
        raise AssertionError("the split was made again")

    monkeypatch.setattr(module, "split_digits", fail)
    second = digits()
    assert first.spec == second.spec
    for a, b in zip(splits(first), splits(second), strict=True):
        np.testing.assert_array_equal(a["x"], b["x"])


def test_draw_shows_dark_pixels_as_dense_characters() -> None:
    pixels = np.zeros(64, dtype=np.int32)
    pixels[8:11] = [16, 0, 8]  # the second row
    assert draw(pixels).split("\n") == ["", "@@  ==", "", "", "", "", "", ""]
    assert digits().decode is draw


def test_numbers_are_read_as_pixels() -> None:
    dataset = digits()
    assert dataset.encode is not None
    row = splits(dataset)[1]["x"][5]
    for separator in (" ", ",", ", ", "\n"):
        found = dataset.encode(separator.join(map(str, row)))
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, row)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected 64 numbers, got 0"),
        ("1 " * 63, "expected 64 numbers, got 63"),
        ("17 " * 64, "from 0 to 16, got '17'"),
        ("-1 " * 64, "got '-1'"),
        ("0.5," * 64, "got '0.5'"),
        ("² " * 64, "got '²'"),
        ("9" * 9999 + " 1" * 63, "got '99999999999999999999'"),
    ],
)
def test_text_that_is_no_digit_is_one_line(text: str, why: str) -> None:
    with pytest.raises(harness.UsageError, match=f"{why}$"):
        module.read_pixels(text)
