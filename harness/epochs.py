"""What an epoch and a whole training came to, as a run says it."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness import program
from harness.assemble import Emit, Evaluator
from harness.events import EpochEnd, Measured
from harness.ledger import named_array
from harness.metrics import Evaluation


def epoch_of(
    epoch: int, losses: np.ndarray, judged: Evaluation, *, train_s: float, eval_s: float,
    prefix: str,
) -> dict[str, Any]:  # fmt: skip
    """An epoch's history, of the losses float32 [n] of its steps and of what came of it."""
    return {
        "epoch": epoch, "train_loss": float(losses.mean(dtype=np.float64)),
        f"{prefix}_loss": judged.loss, f"{prefix}_accuracy": judged.accuracy,
        "train_s": train_s, "eval_s": eval_s,
    }  # fmt: skip


def tell_epoch(history: dict[str, Any], best: float | None, emit: Emit) -> float | None:
    """Says what an epoch came to; its score, if it is the one that counts now.

    Args:
      best: the score that it has to exceed; None for any.
    """
    emit(EpochEnd(history))
    prefix = "val" if "val_loss" in history else "test"
    accuracy, loss = history[f"{prefix}_accuracy"], history[f"{prefix}_loss"]
    score = -loss if accuracy is None else accuracy
    if best is not None and score <= best:
        return None
    emit(Measured(_quality(history)))
    return score


def tell_answers(
    judged: Evaluation, state: program.TrainState, judge: Evaluator, emit: Emit
) -> None:
    """Says which parameters a training came to, and what they say of each test example."""
    emit(Measured({"params_hash": program.params_hash(state.params)}))
    # beside the answers, so that a store alone tells which of them are right
    for name, answer in {**judged.answers, "label": judge.examples.labels()}.items():
        emit(named_array(f"test_{name}", compact(name, answer)))


def _quality(history: dict[str, Any]) -> dict[str, Any]:
    """The columns of the group "quality" that an epoch's history holds."""
    names = ("train_loss", "test_loss", "test_accuracy", "val_loss", "val_accuracy")
    quality = {name: history[name] for name in names if name in history}
    return quality | {"best_epoch": history["epoch"]}


def compact(name: str, answer: np.ndarray) -> np.ndarray:
    """Class numbers in one byte where they fit, probabilities in two."""
    if np.issubdtype(answer.dtype, np.integer) and answer.min(initial=0) >= 0:
        if answer.max(initial=0) > np.iinfo(np.uint16).max:
            return answer
        wide = answer.max(initial=0) > np.iinfo(np.uint8).max
        return answer.astype(np.uint16 if wide else np.uint8)
    return answer.astype(np.float16) if name == "probability" else answer
