"""What an arm is asked and what it answers, and the clock that all arms read."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.peers import sizes


@dataclass(frozen=True)
class Job:
    """One arm, one model, in one process.

    Attributes:
      arm: a name in `arms.ARMS`.
      model: "transformer" or "mean_pool".
      epochs: how many; the first one also compiles and is reported by itself.
      blocks: blocks of bare steps that are measured.
      data: folder with x_train, y_train, x_test and y_test as .npy files.
      options: what distinguishes arms of one library.
    """

    arm: str
    model: str
    epochs: int
    blocks: int
    data: str
    options: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What a process measured; times in seconds, one entry an epoch.

    Attributes:
      train_s, eval_s: wall time of training and of evaluation.
      step_ms: median of blocks of bare steps.
      accuracy: on the test examples after the last epoch.
      extra: what only this arm knows.
    """

    param_count: int
    train_s: list[float]
    eval_s: list[float]
    step_ms: float
    accuracy: float
    versions: dict[str, str]
    extra: dict[str, Any]


@dataclass(frozen=True)
class Data:
    """x int32 [n, 200], y int32 [n]; the training examples are whole batches."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @property
    def steps(self) -> int:
        return len(self.x_train) // sizes.BATCH


def read_data(folder: str | Path) -> Data:
    names = ("x_train", "y_train", "x_test", "y_test")
    arrays = {name: np.load(Path(folder) / f"{name}.npy") for name in names}
    whole = len(arrays["x_train"]) // sizes.BATCH * sizes.BATCH
    for name in ("x_train", "y_train"):
        arrays[name] = arrays[name][:whole]
    return Data(**arrays)


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """What a function returns and the seconds it took; it returns when all is done."""
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def block_ms(
    run_block: Callable[[], Any], *, blocks: int, steps: int = sizes.BLOCK_STEPS
) -> float:
    """Median milliseconds a step over blocks, the first one not counted."""
    seconds = [timed(run_block)[1] for _ in range(blocks + 1)][1:]
    return 1e3 * median(seconds) / steps


def run_epochs(
    epochs: int, train: Callable[[], Any], evaluate: Callable[[], float]
) -> dict[str, Any]:
    """Trains and evaluates in turn: `train_s`, `eval_s` and the last `accuracy`."""
    pairs = [(timed(train)[1], timed(evaluate)) for _ in range(epochs)]
    return {
        "train_s": [train_s for train_s, _ in pairs],
        "eval_s": [eval_s for _, (_, eval_s) in pairs],
        "accuracy": pairs[-1][1][0],
    }
