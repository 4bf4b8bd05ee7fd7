"""Multi-label classification and regression, from their functions to whole trainings."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small import Heard, Source

import harness
from harness import feed
from harness.assemble import Parts
from harness.engine import fit
from harness.metrics import eval_sums
from harness.recipe import Recipe
from harness_plugins.multi_label import multi_label
from harness_plugins.regression import regression

RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(90, 5)).astype(np.float32)
WEIGHTS = RANDOM.normal(size=(5, 2)).astype(np.float32)
VALUES = X @ WEIGHTS  # [n, 2]
TRAITS = (VALUES > 0).astype(np.int32)
RECIPE = Recipe(epochs=8, batch_size=10, eval_batch_size=16, learning_rate=0.1)


class Affine(nnx.Module):
    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs):
        self.head = nnx.Linear(data.shape[0], data.num_classes, rngs=rngs)

    def __call__(self, x):
        return self.head(x)


def data(task: str, labels: np.ndarray, *, as_source: bool = False) -> harness.Dataset:
    spec = harness.DataSpec(kind="features", shape=(5,), num_classes=2, task=task)
    splits = [{"x": X[:53], "y": labels[:53]}, {"x": X[53:], "y": labels[53:]}]
    train, test = [Source(split) for split in splits] if as_source else splits
    return harness.Dataset(train, test, spec)


def train(dataset: harness.Dataset, task: harness.Task, recipe: Recipe = RECIPE) -> Heard:
    heard = Heard()
    model = Affine(dataset.spec, rngs=nnx.Rngs(0))
    fit(model, dataset, recipe, seed=0, emit=heard, parts=Parts(task=task))
    return heard


@pytest.mark.parametrize("as_source", [False, True], ids=["arrays", "source"])
def test_several_labels_are_learnt_and_their_accuracy_is_of_whole_examples(as_source: bool):
    heard = train(data("multi_label", TRAITS, as_source=as_source), multi_label())
    predicted = heard.arrays["test_predicted"]
    assert predicted.shape == (37, 2) and predicted.dtype == np.uint8
    right = (predicted == TRAITS[53:]).all(axis=1)
    assert heard.measured["test_accuracy"] == right.mean() > 0.8
    probability = heard.arrays["test_probability"]
    assert probability.shape == (37, 2)
    np.testing.assert_array_equal(probability > 0.5, predicted == 1)


@pytest.mark.parametrize("as_source", [False, True], ids=["arrays", "source"])
def test_targets_are_learnt_and_have_no_accuracy(as_source: bool):
    heard = train(data("regression", VALUES, as_source=as_source), regression())
    predicted = heard.arrays["test_predicted"]
    assert predicted.shape == (37, 2) and predicted.dtype == np.float32
    loss = np.square(predicted - VALUES[53:]).mean()
    np.testing.assert_allclose(heard.measured["test_loss"], loss, rtol=1e-5)
    assert loss < 0.1 * np.square(VALUES).mean()
    assert heard.measured["test_accuracy"] is None
    assert "test_probability" not in heard.arrays


def test_without_an_accuracy_the_best_epoch_is_that_of_the_smallest_loss():
    recipe = Recipe(epochs=6, batch_size=10, learning_rate=3.0, validation=0.3, select="best")
    heard = train(data("regression", VALUES), regression(), recipe)
    losses = [epoch["val_loss"] for epoch in heard.epochs]
    assert heard.measured["best_epoch"] == 1 + int(np.argmin(losses))
    assert heard.measured["val_loss"] == min(losses) < losses[-1]


def test_losses_are_the_binary_cross_entropy_and_the_squared_error():
    outputs = jnp.array([[0.0, 100.0], [-100.0, 1.0]])
    found = multi_label().losses(outputs, jnp.array([[1, 1], [0, 0]]))
    np.testing.assert_allclose(found, [np.log(2) / 2, np.log1p(np.e) / 2], rtol=1e-6)
    found = regression().losses(outputs, jnp.array([[1.0, 100.0], [-100.0, 4.0]]))
    np.testing.assert_allclose(found, [0.5, 4.5])


def test_what_fills_up_a_batch_counts_for_no_task():
    mask = jnp.array([True, False])
    outputs = jnp.array([[1.0, -1.0], [9.0, 9.0]])
    sums = eval_sums(
        outputs, jax.nn.sigmoid(outputs), jnp.array([[1, 0], [1, 1]]), mask, task=multi_label()
    )
    assert int(sums.correct) == 1
    sums = eval_sums(outputs, outputs, jnp.zeros((2, 2)), mask, task=regression())
    assert (float(sums.loss), int(sums.correct)) == (1.0, 0)


@pytest.mark.parametrize(
    ("task", "labels", "message"),
    [
        (multi_label(), TRAITS[:, 0], r"y \[53\]; expected x \[n, 5\] and y \[n, 2\]"),
        (multi_label(), 2 * TRAITS, "labels from 0 to 2; expected 0 and 1"),
        (multi_label(), VALUES, "y of float32; expected float32 and integers"),
        (regression(), TRAITS, "y of int32; expected float32 and floats"),
        (regression(), VALUES * np.nan, "targets that are not finite"),
    ],
)
def test_labels_of_another_task_are_refused(task, labels, message: str):
    dataset = data("other", labels)
    with pytest.raises(harness.ContractError, match=message):
        feed.as_examples(dataset.train, dataset.spec, name="train", limit=None, task=task)


def test_one_output_is_enough_where_it_is_no_class():
    spec = harness.DataSpec(kind="features", shape=(5,), num_classes=1, task="regression")
    assert spec.class_names == ("0",)
    with pytest.raises(harness.ContractError, match="at least 2"):
        harness.DataSpec(kind="features", shape=(5,), num_classes=1)
