from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from harness import metrics


def plain_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(labels)), labels]


LOGITS = np.random.RandomState(0).normal(size=(5, 3)).astype(np.float32)
LABELS = np.array([0, 1, 2, 1, 0], np.int32)


def test_the_loss_is_the_mean_cross_entropy():
    loss = metrics.mean_loss(jnp.asarray(LOGITS), jnp.asarray(LABELS))
    np.testing.assert_allclose(loss, plain_cross_entropy(LOGITS, LABELS).mean(), rtol=1e-6)


def test_masked_examples_count_for_nothing():
    mask = np.array([True, True, False, True, False])
    probabilities = np.full((5, 3), 1 / 3, np.float32)
    sums = metrics.eval_sums(
        jnp.asarray(LOGITS), jnp.asarray(probabilities), jnp.asarray(LABELS), jnp.asarray(mask)
    )
    right = (LOGITS.argmax(axis=1) == LABELS) & mask
    np.testing.assert_allclose(
        sums.loss, plain_cross_entropy(LOGITS, LABELS)[mask].sum(), rtol=1e-6
    )
    assert int(sums.correct) == right.sum()


def test_a_masked_loss_that_is_not_finite_stays_out_of_the_sum():
    logits = np.array([[0.0, 0.0], [np.nan, 0.0]], np.float32)
    sums = metrics.eval_sums(
        jnp.asarray(logits), jnp.asarray(logits), jnp.array([0, 0]), jnp.array([True, False])
    )
    assert np.isfinite(sums.loss)


def test_sums_are_divided_once_by_the_number_of_real_examples():
    batch = metrics.EvalSums(
        loss=np.array([3.0, 1.0], np.float32),  # type: ignore[arg-type]
        correct=np.array([2, 1], np.int32),  # type: ignore[arg-type]
        answers={"predicted": np.array([[0, 1], [1, 0]], np.int32)},
    )
    result = metrics.summarize([batch], size=3)
    assert (result.loss, result.accuracy) == (4 / 3, 1.0)
    assert list(result.answers["predicted"]) == [0, 1, 1]
