from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small import arrays

import harness
from harness import inspection
from harness.store import Store, open_store


@pytest.fixture(scope="module")
def store(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/rows.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE_DIR", str(shared_cache))
        patch.setenv("HARNESS_PLUGINS", "")
        harness.run("digits", "majority", epochs=1, limit=200, store=url, in_process=True)
    with open_store(url) as opened:
        yield opened


def test_examples_come_with_the_runs_own_predictions(store: Store):
    row = store.rows()[0]
    shown = inspection.examples_of(store, row, [3, 0])
    test = arrays(harness.load_dataset("digits").test)
    predicted = store.array(row["run_id"], "test_predicted")
    assert predicted is not None
    assert [e.index for e in shown] == [3, 0]
    assert [e.actual for e in shown] == [str(test["y"][3]), str(test["y"][0])]
    assert [e.predicted for e in shown] == [str(predicted[3]), str(predicted[0])]
    assert shown[0].probability is not None and 0.1 <= shown[0].probability < 0.2


def test_an_example_that_the_run_did_not_see_is_refused(store: Store):
    row = store.rows()[0]
    with pytest.raises(harness.UsageError, match="has test examples 0 to 199"):
        inspection.examples_of(store, row, [200])


def test_predictions_on_data_that_has_changed_since_are_not_shown(store: Store):
    row = {**store.rows()[0], "data_fingerprint": "older"}
    with pytest.raises(harness.UsageError, match="belong to the older data"):
        inspection.examples_of(store, row, [0])


def test_a_report_gets_the_names_of_classes_and_the_texts_it_asks_for(store: Store):
    row = store.rows()[0]
    names, texts = inspection.data_of(row)
    shown = inspection.examples_of(store, row, [3, 0])
    assert names == tuple("0123456789")
    assert texts([3, 0]) == {one.index: one.text for one in shown}
    with pytest.raises(harness.UsageError, match="belong to the older data"):
        inspection.data_of({**row, "data_fingerprint": "older"})


def test_a_run_without_predictions_says_so(store: Store):
    row = {**store.rows()[0], "run_id": "none", "status": "failed"}
    with pytest.raises(harness.UsageError, match="is failed and holds no predictions"):
        inspection.examples_of(store, row, [0])


def test_an_example_is_printed_with_both_classes():
    example = inspection.Example(7, "word " * 30, "positive", "negative", 0.75)
    lines = inspection.format_example(example, width=40).splitlines()
    assert lines[0] == "example 7"
    assert max(map(len, lines)) <= 42
    assert lines[-2:] == [
        "  predicted: positive (probability 0.750)",
        "  actual:    negative (wrong)",
    ]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (np.array(1), "b"),
        (np.array([0, 1, 1], np.uint8), "b, c"),
        (np.array([0, 0, 0], np.uint8), "none"),
        (np.array([0.5, -1.0, 12345.678], np.float32), "a 0.5, b -1, c 1.235e+04"),
    ],
)
def test_an_answer_reads_as_its_task_has_it(answer: np.ndarray, words: str):
    spec = harness.DataSpec(
        kind="features", shape=(2,), num_classes=3, class_names=("a", "b", "c")
    )
    assert inspection._words(answer, spec) == words


def test_an_example_without_decode_shows_its_values():
    data = harness.Dataset(
        {"x": np.zeros((1, 2), np.int32), "y": np.zeros(1, np.int32)},
        {"x": np.array([[5, 6]], np.int32), "y": np.ones(1, np.int32)},
        harness.DataSpec(kind="tokens", shape=(2,), vocab_size=9, num_classes=2),
    )
    assert inspection._example(data, 0, np.array(0), 1.0).text == "5 6"


def test_a_models_layers_shapes_and_parameters_are_shown():
    text = inspection.model_summary("mean_pool[width=8]", "digits")
    assert text.startswith("mean_pool[width=8] on digits: 526 parameters")
    assert "float32[17,8]" in text and "int32[1,64]" in text
