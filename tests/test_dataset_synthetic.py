"""The synthetic tasks: labels by plain definitions, bags that say nothing, who learns what."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx
from small import Heard, arrays

import harness
from harness.assemble import build_model
from harness.cli import cli
from harness.engine import fit
from harness.recipe import Recipe
from harness_datasets.synthetic import TaskName, permitted_lengths, synthetic
from harness_models.mean_pool import MeanPool
from harness_models.mlp_mixer import MLPMixer
from harness_models.nb_svm import NBSVM
from harness_models.transformer import Transformer

TASKS: tuple[TaskName, ...] = ("majority", "first", "palindrome", "recall")
SMALL: dict[str, Any] = {"n_train": 300, "n_test": 100}
# of different lengths, with padding in front
RAGGED: dict[str, Any] = {"length": 15, "symbols": 6, "min_length": 4, **SMALL}


def examples(dataset: harness.Dataset) -> list[tuple[list[str], str]]:
    """Words and class name of all examples, the test split first."""
    decode, names = dataset.decode, dataset.spec.class_names
    assert decode is not None
    return [
        (decode(x).split(), names[y])
        for split in (arrays(dataset.test), arrays(dataset.train))
        for x, y in zip(split["x"], split["y"], strict=True)
    ]


def answer(task: TaskName, words: list[str]) -> str:
    """What the label is, from the words alone."""
    if task == "majority":
        (best, most), (_, second) = (*Counter(words).most_common(2), ("", 0))[:2]
        assert most > second
        return best
    if task == "first":
        return words[0]
    if task == "palindrome":
        return "palindrome" if words == words[::-1] else "other"
    *pairs, asked = words
    return dict(zip(pairs[::2], pairs[1::2], strict=True))[asked]


@pytest.mark.parametrize("sizes", [SMALL, RAGGED], ids=["default", "ragged"])
@pytest.mark.parametrize("task", TASKS)
def test_labels_are_what_the_task_says(task: TaskName, sizes: dict[str, Any]):
    for words, label in examples(synthetic(task=task, **sizes)):
        assert answer(task, words) == label, words


@pytest.mark.parametrize("task", TASKS)
def test_spec_and_arrays_are_as_declared(task: TaskName):
    dataset = synthetic(task=task)
    classes = 2 if task == "palindrome" else 8
    for split, n in ((dataset.train, 4000), (dataset.test, 1000)):
        x, y = arrays(split)["x"], arrays(split)["y"]
        assert (x.shape, x.dtype) == ((n, 8), np.int32)
        assert (y.shape, y.dtype) == ((n,), np.int32)
        assert np.bincount(y, minlength=classes).tolist() == [n // classes] * classes
    spec = dataset.spec
    vocab = 1 + 8 + (3 if task == "recall" else 0)
    assert (spec.kind, spec.shape, spec.vocab_size, spec.pad_id) == ("tokens", (8,), vocab, 0)
    assert spec.num_classes == classes
    x = arrays(dataset.train)["x"]
    assert {*np.unique(x)} - {0} == {*range(1, vocab)}
    assert set((x != 0).sum(axis=1)) == {7 if task == "recall" else 8}


@pytest.mark.parametrize(
    ("task", "lengths"),
    [("majority", range(4, 16)), ("first", (6, 12)), ("palindrome", range(4, 16, 2)),
     ("recall", (5, 7))],
)  # fmt: skip
def test_lengths_differ_where_they_may(task: TaskName, lengths: Any):
    dataset = synthetic(task=task, **RAGGED)
    real = arrays(dataset.train)["x"] != 0  # [n, t]
    assert set(real.sum(axis=1)) == {*lengths}
    assert (real[:, 1:] >= real[:, :-1]).all()  # padding in front
    labels = arrays(dataset.train)["y"]
    # the length says nothing about the class of a palindrome, of which the short ones are few
    if task == "palindrome":
        np.testing.assert_array_equal(
            np.sort(real[labels == 0].sum(axis=1)), np.sort(real[labels == 1].sum(axis=1))
        )


@pytest.mark.parametrize("sizes", [SMALL, RAGGED], ids=["default", "ragged"])
@pytest.mark.parametrize("task", TASKS)
def test_no_sequence_occurs_twice(task: TaskName, sizes: dict[str, Any]):
    found = [tuple(words) for words, _ in examples(synthetic(task=task, **sizes))]
    assert len(set(found)) == len(found) == 400


@pytest.mark.parametrize("sizes", [SMALL, RAGGED], ids=["default", "ragged"])
def test_the_bag_says_nothing_of_the_first_symbol(sizes: dict[str, Any]):
    for words, _ in examples(synthetic(task="first", **sizes)):
        counts = Counter(words).values()
        assert len(counts) == sizes.get("symbols", 8) and len({*counts}) == 1


@pytest.mark.parametrize("sizes", [SMALL, RAGGED], ids=["default", "ragged"])
def test_palindromes_and_the_others_have_the_same_bags(sizes: dict[str, Any]):
    bags: dict[str, Counter[tuple[str, ...]]] = {"palindrome": Counter(), "other": Counter()}
    for words, label in examples(synthetic(task="palindrome", **sizes)):
        bags[label][tuple(sorted(words))] += 1
    assert bags["palindrome"] == bags["other"]


def test_what_is_no_palindrome_differs_in_few_or_many_places():
    differences = Counter(
        sum(a != b for a, b in zip(words[:8], words[:7:-1], strict=True))
        for words, label in examples(synthetic(task="palindrome", length=16, **SMALL))
        if label == "other"
    )
    assert min(differences) == 2 and differences[2] > 10 and max(differences) >= 6


def test_the_bag_leaves_all_values_of_a_sequence_open():
    places = Counter()
    for words, label in examples(synthetic(task="recall")):
        keys, values = words[:-1:2], words[1::2]
        assert len({*keys}) == len({*values}) == 3
        assert keys.count(words[-1]) == 1
        places[sorted(values).index(label)] += 1
    # who knows which values there are is right once in three times
    np.testing.assert_allclose([places[i] / 5000 for i in range(3)], 1 / 3, atol=0.03)


def digest(dataset: harness.Dataset) -> str:
    parts = [arrays(split)[name] for split in (dataset.train, dataset.test) for name in "xy"]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:12]


def test_the_examples_are_these_for_ever():
    assert {task: digest(synthetic(task=task, **SMALL)) for task in TASKS} == {
        "majority": "6fb69305c66e", "first": "e3219fc26f4b", "palindrome": "8f196340c7e9",
        "recall": "bffef68d944b",
    }  # fmt: skip


def test_fingerprint_follows_every_parameter():
    changed: list[dict[str, Any]] = [
        {}, *({"task": task} for task in TASKS[1:]), {"length": 9}, {"min_length": 4},
        {"symbols": 9}, {"n_train": 301}, {"n_test": 101}, {"seed": 1},
    ]  # fmt: skip
    found = [synthetic(**{**SMALL, **change}).spec.fingerprint for change in changed]
    assert len(set(found)) == len(found)
    assert synthetic(**SMALL).spec.fingerprint == found[0]


@pytest.mark.parametrize("task", TASKS)
def test_the_test_split_does_not_depend_on_how_much_is_trained_on(task: TaskName):
    few, many = (arrays(synthetic(task=task, n_train=n, n_test=50).test) for n in (10, 500))
    np.testing.assert_array_equal(few["x"], many["x"])
    np.testing.assert_array_equal(few["y"], many["y"])


@pytest.mark.parametrize("task", TASKS)
def test_a_sequence_comes_back_from_its_text(task: TaskName):
    dataset = synthetic(task=task, **RAGGED)
    assert dataset.encode is not None and dataset.decode is not None
    for row in arrays(dataset.test)["x"]:
        found = dataset.encode(dataset.decode(row))
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, row)


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "expected 1 to 8 words, got 0"), ("s1 " * 9, "got 9"), ("s1 k0", "s7, got 'k0'"),
     ("s8", "got 's8'")],
)  # fmt: skip
def test_text_of_other_words_is_one_line(text: str, why: str):
    encode = synthetic(**SMALL).encode
    assert encode is not None
    with pytest.raises(harness.UsageError, match=f"{why}$"):
        encode(text)


def test_lengths_that_a_task_has():
    def found(task: TaskName, low: int | None, high: int, symbols: int = 4) -> list[int]:
        return [*permitted_lengths(task, symbols=symbols, low=low, high=high)]

    assert found("majority", None, 9) == [9] and found("majority", 7, 9) == [7, 8, 9]
    assert found("first", None, 11) == [8] and found("first", 1, 12) == [4, 8, 12]
    assert found("palindrome", None, 9) == [8] and found("palindrome", 1, 9) == [4, 6, 8]
    assert found("recall", None, 99) == [5] and found("recall", 1, 8, 99) == [5, 7]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"task": "first", "symbols": 9}, "to length=8: expected 9, 18, 27, ...$"),
        ({"task": "palindrome", "length": 3}, "expected 4, 6, 8, ...$"),
        ({"min_length": 9}, "min_length=9 to length=8: expected 1, 2, 3"),
        ({"task": "recall", "symbols": 3}, "expected 5, 7, 9, ... with at least 4 symbols$"),
        ({"task": "recall", "min_length": 10, "length": 12}, "expected 5, 7, 9, ... up to 9$"),
        ({"length": 2, "symbols": 2}, r"task=majority\] found 2 of 5,000 .* or ask for fewer"),
    ],
)  # fmt: skip
def test_sequences_that_there_are_not_are_one_line(changes: dict[str, Any], why: str):
    with pytest.raises(harness.UsageError, match=why):
        synthetic(**changes)


# two pairs of many values are learnt within seconds; long sequences have nearly all symbols
SIZES: dict[str, dict[str, Any]] = {
    "recall": {"length": 5, "symbols": 32, "n_train": 3000, "n_test": 500},
    "majority": {"length": 32},
}


def best_accuracy(
    task: TaskName, factory: type[nnx.Module], *, epochs: int = 12, **params: Any
) -> float:
    """The best test accuracy of an epoch: does it learn the task at all?"""
    data = synthetic(task=task, **SIZES.get(task, {}))
    recipe = Recipe(epochs=epochs, batch_size=32, eval_batch_size=500, learning_rate=3e-3)
    heard = Heard()
    model = build_model(factory, data.spec, params, seed=0)
    fit(model, data, recipe, seed=0, emit=heard)
    return max(float(epoch["test_accuracy"]) for epoch in heard.epochs)


@pytest.mark.parametrize(
    ("task", "chance"), [("first", 1 / 8), ("palindrome", 1 / 2), ("recall", 1 / 2)]
)
def test_averaged_tokens_are_at_chance_where_order_is_the_point(task: TaskName, chance: float):
    assert best_accuracy(task, MeanPool, epochs=6, dropout=0.0) < chance + 0.06


def test_averaged_tokens_tell_the_majority():
    assert best_accuracy("majority", MeanPool, dropout=0.0) > 0.95


@pytest.mark.parametrize(("task", "epochs", "least"), [("first", 3, 0.95), ("recall", 12, 0.9)])
def test_attention_learns_what_averaged_tokens_cannot(
    task: TaskName, epochs: int, least: float
):
    assert best_accuracy(task, Transformer, epochs=epochs, num_blocks=2, dropout=0.0) > least


def test_weights_between_places_tell_palindromes():
    assert best_accuracy("palindrome", MLPMixer, epochs=12, dropout=0.0) > 0.95


def test_which_symbols_there_are_says_nothing_of_the_majority():
    assert best_accuracy("majority", NBSVM, epochs=4, max_n=1, ratios=False) < 1 / 8 + 0.06


def test_symbols_are_bounded_because_they_are_counted_side_by_side():
    with pytest.raises(harness.UsageError, match="symbols=1001"):
        harness.load_dataset("synthetic[symbols=1001]")


def test_the_list_says_what_the_tasks_are_and_no_paper_of_one_of_them():
    done = CliRunner().invoke(cli, ["list", "datasets"], catch_exceptions=False)
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("  synthetic"))
    assert line.split(" | ")[0].removeprefix("  synthetic").strip() == (
        "Random symbols: majority, first, palindrome, or associative recall "
        "(Graves et al. 2014)"
    )
