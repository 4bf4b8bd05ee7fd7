"""Rows with answers: which test examples each run got right, for tests of comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from stored import make_row

from harness.comparison import Evidence
from harness.frames import frame_of
from harness.rows import Row
from harness.table.sides import Kind, Side

EXAMPLES = 400


def right_on(accuracy: float, *, seed: int = 0, examples: int = EXAMPLES) -> np.ndarray:
    """Right on the first examples, on one fewer from seed to seed."""
    return np.arange(examples) < round(accuracy * examples) - seed


def answered_rows(
    model: str, accuracy: float, *, seeds: Sequence[int] = (0, 1, 2), **values: Any
) -> dict[str, tuple[Row, np.ndarray]]:
    """Rows with the accuracy of their answers, and the answers, by run."""
    found = {}
    for seed in seeds:
        right = right_on(accuracy, seed=seed)
        row = make_row(model, seed=seed, accuracy=float(right.mean()), **values)
        found[row["run_id"]] = (row, right)
    return found


def stored(*several: Mapping[str, tuple[Row, np.ndarray]]) -> tuple[pd.DataFrame, Evidence]:
    """A frame of rows, and what their answers are."""
    joined = {run: told for some in several for run, told in some.items()}
    frame = frame_of([row for row, _ in joined.values()])
    return frame, Evidence(right={run: right for run, (_, right) in joined.items()})


def side_of(
    *several: Mapping[str, tuple[Row, np.ndarray]], name: str = "x", kind: Kind = "model"
) -> Side:
    """A side of a comparison, whose answers are stored."""
    frame, evidence = stored(*several)
    return Side(name=name, kind=kind, frame=frame, evidence=evidence)


def bare_side(*rows: Row, name: str = "x", kind: Kind = "model") -> Side:
    """A side without stored answers."""
    return Side(name=name, kind=kind, frame=frame_of(rows), evidence=Evidence())
