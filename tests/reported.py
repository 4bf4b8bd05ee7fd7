"""Answers made by hand, for the tests of what a report makes of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from stored import make_row

from harness.frames import frame_of
from harness.report.answers import Answers
from harness.report.lines import Line, read_lines
from harness.rows import Row
from harness.table import tabulate


def answers(
    *, label: Sequence[int], predicted: Sequence[Sequence[int]],
    probability: Sequence[Sequence[float]] | None = None, model: str = "mlp", place: int = 0,
) -> Answers:  # fmt: skip
    line = Line(
        number=place,
        place=place,
        dataset="digits",
        model=model,
        settings="",
        values={},
        rows=(),
    )
    return Answers(
        line=line, data=("f", None), row=make_row(model), label=np.array(label),
        predicted=np.array(predicted),
        probability=None if probability is None else np.array(probability, dtype=float),
    )  # fmt: skip


def lines_of(rows: Sequence[Row]) -> list[Line]:
    """The lines of rows, without statistics."""
    frame = frame_of(rows)
    return read_lines(frame, tabulate(frame))
