"""Classification as a task: labels, losses, answers; and what another task changes."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from small import token_spec

from harness.tasks import CLASSIFICATION

SPEC = token_spec(classes=3)
OUTPUTS = jnp.array([[2.0, 0.0, 1.0], [0.0, 0.5, 0.0]])


def test_labels_outside_the_classes_are_a_fault():
    assert CLASSIFICATION.fault(np.array([0, 2]), SPEC) == ""
    assert CLASSIFICATION.fault(np.array([0, 3]), SPEC) == "labels from 0 to 3; expected 0 to 2"
    assert "labels from -1 to 0" in CLASSIFICATION.fault(np.array([-1, 0]), SPEC)


def test_the_answer_is_the_most_probable_class_and_its_probability():
    probabilities = CLASSIFICATION.probabilities(None, OUTPUTS)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    answers = CLASSIFICATION.answers(OUTPUTS, probabilities)
    assert answers["predicted"].tolist() == [0, 1]
    np.testing.assert_array_equal(answers["probability"], probabilities.max(axis=1))
    assert CLASSIFICATION.correct is not None
    assert CLASSIFICATION.correct(answers, jnp.array([0, 2])).tolist() == [True, False]


def test_a_model_may_say_itself_what_its_outputs_stand_for():
    class Doubles:
        def probabilities(self, outputs):
            return outputs * 2

    np.testing.assert_array_equal(
        CLASSIFICATION.probabilities(Doubles(), OUTPUTS), np.asarray(OUTPUTS) * 2
    )
