"""New texts go through the run's own encoding, module and probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import arrays, token_spec

import harness
from harness import prediction
from harness.errors import ContractError
from harness.prediction import BATCH_SIZE, Text, encoded, judged, predict
from harness.rows import Row
from harness.store import Store, open_store

SPEC = token_spec(length=2)


@pytest.fixture(scope="module")
def store(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path_factory.mktemp('prediction')}/rows.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE_DIR", str(shared_cache))
        patch.setenv("HARNESS_PLUGINS", "")
        harness.run(
            "digits", "mean_pool", epochs=2, limit=200, batch_size=64, store=url, save=True,
            in_process=True,
        )  # fmt: skip
    with open_store(url) as opened:
        yield opened


@pytest.fixture
def row(store: Store) -> Row:
    return store.rows()[0]


def texts(count: int) -> list[Text]:
    x = arrays(harness.load_dataset("digits").test)["x"]
    return [Text(" ".join(map(str, x[i])), f"text {i}") for i in range(count)]


def test_test_examples_as_texts_are_predicted_as_the_run_predicted_them(store: Store, row: Row):
    count = 2 * BATCH_SIZE + 3
    given = texts(count)
    found = predict(store, row, given, note=pytest.fail)
    predicted = store.array(row["run_id"], "test_predicted")
    probability = store.array(row["run_id"], "test_probability")
    assert predicted is not None and probability is not None
    assert [p.text for p in found] == [t.text for t in given]
    assert [p.predicted for p in found] == [str(i) for i in predicted[:count]]
    np.testing.assert_allclose([p.probability for p in found], probability[:count], atol=1e-3)
    for p in found:
        assert list(p.probabilities) == [str(i) for i in range(10)]
        assert sum(p.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert p.probabilities[p.predicted] == p.probability == max(p.probabilities.values())


@pytest.mark.parametrize("count", [1, BATCH_SIZE, BATCH_SIZE + 1, 3 * BATCH_SIZE - 1])
def test_any_number_of_texts_is_one_program(count: int):
    shapes = []

    def judge(params: Any, rest: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        shapes.append(x.shape)  # once a compilation
        outputs = jax.nn.one_hot(x[:, 0] % 3, 3)
        return outputs, jax.nn.softmax(outputs)

    trained: Any = SimpleNamespace(split=SimpleNamespace(judge=judge), params={}, rest={})
    x = np.arange(2 * count, dtype=np.int32).reshape(count, 2)  # [n] -> [n, t]
    classes, probabilities = judged(trained, x)
    assert shapes == [(BATCH_SIZE, 2)]
    np.testing.assert_array_equal(classes, x[:, 0] % 3)
    expected = jax.nn.softmax(jax.nn.one_hot(x[:, 0] % 3, 3))
    np.testing.assert_allclose(probabilities, expected, rtol=1e-6)


def test_probabilities_are_the_models_own():
    def judge(params: Any, rest: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        outputs = jnp.full((len(x), 2), 0.5, jnp.bfloat16)
        return outputs, outputs / 2

    trained: Any = SimpleNamespace(split=SimpleNamespace(judge=judge), params={}, rest={})
    classes, probabilities = judged(trained, np.zeros((1, 2), np.int32))
    assert probabilities.dtype == np.float32 and probabilities.tolist() == [[0.25, 0.25]]
    assert classes.tolist() == [0]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (np.zeros(3, np.int32), r"int32 \[3\]; expected int32 \[2\]"),
        (np.zeros(2, np.float32), r"float32 \[2\]"),
        (np.array([0, 30], np.int32), "ids from 0 to 30; expected 0 to 29"),
        (np.array([-1, 3], np.int32), "ids from -1 to 3"),
        (None, "object"),
    ],
)
def test_an_encode_that_gives_no_example_is_one_line(row: Any, why: str):
    with pytest.raises(ContractError, match=f"text 1: encode returned .*{why}"):
        encoded([Text("x", "text 1")], lambda text: row, SPEC)


def test_a_malformed_text_says_which_it_is():
    def encode(text: str) -> np.ndarray:
        return np.array([int(part) for part in text.split()], np.int64)

    given = [Text("1 2", "text 1"), Text("1 x", "f.txt, line 7")]
    assert encoded(given[:1], encode, SPEC).tolist() == [[1, 2]]
    assert encoded(given[:1], encode, SPEC).dtype == np.int32
    with pytest.raises(harness.UsageError, match=r"^f\.txt, line 7: invalid literal"):
        encoded(given, encode, SPEC)


def changed(monkeypatch: pytest.MonkeyPatch, *, spec: dict[str, Any], **values: Any) -> None:
    """Makes digits another data set than it was."""
    dataset = harness.load_dataset("digits")
    now = replace(dataset, spec=replace(dataset.spec, **spec), **values)
    monkeypatch.setattr(prediction, "_dataset_of", lambda row, plugins: now)


def test_data_that_has_changed_is_told_where_it_may_matter_and_refused_where_it_does(
    store: Store, row: Row, monkeypatch: pytest.MonkeyPatch
):
    changed(monkeypatch, spec={"fingerprint": "other"})
    notes: list[str] = []
    assert predict(store, row, texts(1), note=notes.append)
    assert len(notes) == 1 and "'digits' has changed since run" in notes[0]
    changed(monkeypatch, spec={"vocab_size": 18})
    with pytest.raises(harness.UsageError, match="has another spec than run"):
        predict(store, row, texts(1), note=pytest.fail)


def test_a_data_set_that_reads_no_texts_says_so(
    store: Store, row: Row, monkeypatch: pytest.MonkeyPatch
):
    changed(monkeypatch, spec={}, encode=None)
    with pytest.raises(harness.UsageError, match="'digits' has no `encode`") as caught:
        predict(store, row, texts(1), note=pytest.fail)
    assert "\n" not in str(caught.value)


def test_a_data_set_whose_plugin_is_gone_says_where_it_came_from(store: Store, row: Row):
    gone = {**row, "dataset": "digits2"}
    with pytest.raises(harness.UsageError, match="no plugin has its dataset 'digits2'"):
        predict(store, gone, texts(1), note=pytest.fail)


def test_reviews_are_classified_in_words(real_imdb: bool, tmp_path: Path):
    if not real_imdb:
        pytest.skip("HARNESS_DATA_DIR holds no imdb/imdb.npz")
    url = f"sqlite:///{tmp_path}/rows.db"
    harness.run(
        "imdb", "mean_pool", epochs=3, limit=4000, learning_rate=1e-2, store=url, save=True,
        in_process=True,
    )  # fmt: skip
    given = [
        Text("A wonderful film, excellent and superb!", "text 1"),
        Text("The worst film: awful, boring <br /> and a waste of time.", "text 2"),
    ]
    with open_store(url) as store:
        found = predict(store, store.rows()[0], given, note=pytest.fail)
    assert [p.predicted for p in found] == ["positive", "negative"]


def test_an_encode_that_breaks_is_told_with_its_text():
    with pytest.raises(ContractError, match="text 1: encode raised KeyError: 'x'; expected an"):
        encoded([Text("x", "text 1")], lambda text: {}[text], SPEC)
