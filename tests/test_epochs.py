from __future__ import annotations

import numpy as np
import pytest

from harness.epochs import compact, epoch_of, tell_epoch
from harness.events import EpochEnd, Event, Measured
from harness.metrics import Evaluation

LOSSES = np.array([2.0, 1.0], np.float32)


def history(*, accuracy: float | None, loss: float = 0.5, prefix: str = "val") -> dict:
    judged = Evaluation(loss=loss, accuracy=accuracy, answers={})
    return epoch_of(3, LOSSES, judged, train_s=2.0, eval_s=1.0, prefix=prefix)


def test_an_epoch_has_the_mean_of_its_losses_and_what_came_of_it():
    assert history(accuracy=0.75) == {
        "epoch": 3, "train_loss": 1.5, "val_loss": 0.5, "val_accuracy": 0.75, "train_s": 2.0,
        "eval_s": 1.0,
    }  # fmt: skip


def test_an_epoch_that_counts_is_a_column_and_one_that_does_not_is_history_alone():
    heard: list[Event] = []
    better, same = history(accuracy=0.75), history(accuracy=0.75, loss=0.25)
    assert tell_epoch(better, 0.5, heard.append) == 0.75
    assert tell_epoch(same, 0.75, heard.append) is None
    first, quality, second = heard
    assert (first, second) == (EpochEnd(better), EpochEnd(same))
    assert isinstance(quality, Measured) and quality.values["best_epoch"] == 3


def test_where_there_is_no_accuracy_the_lower_loss_counts():
    assert tell_epoch(history(accuracy=None, loss=0.25), -0.5, [].append) == -0.25
    assert tell_epoch(history(accuracy=None, loss=0.75), -0.5, [].append) is None


@pytest.mark.parametrize(
    ("name", "answer", "dtype"),
    [
        ("predicted", np.array([0, 255]), np.uint8),
        ("predicted", np.array([0, 256]), np.uint16),
        ("predicted", np.array([0, 70_000], np.int32), np.int32),
        ("predicted", np.array([-1, 3], np.int32), np.int32),
        ("predicted", np.array([0.5], np.float32), np.float32),
        ("probability", np.array([0.5], np.float32), np.float16),
    ],
)
def test_answers_are_kept_in_as_few_bytes_as_hold_them(name: str, answer, dtype):
    kept = compact(name, answer)
    assert kept.dtype == dtype and kept.tolist() == answer.tolist()
