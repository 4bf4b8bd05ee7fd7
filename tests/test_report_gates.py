"""The history of gates as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.report import save_plots
from harness.report.gates import MARKS, gate_ratios_figure
from harness.store import Store, open_store


def gate(head: str, ratio: float | None, *, cell: str = "digits x mlp", **values: Any) -> Any:
    bounds = {"ratio_low": ratio and ratio - 0.01, "ratio_high": ratio and ratio + 0.02}
    return {"gate_id": head, "cell": cell, "head": head, "verdict": "pass", "ratio": ratio,
            **bounds, **values}  # fmt: skip


GATES = [
    gate("a", 1.0),
    gate("b", 1.1, verdict="slower"),
    gate("b", 1.02, cell="digits x rnn", verdict="inconclusive", ratio_high=None),
]


def test_a_panel_a_cell_and_a_point_a_gate_with_its_interval():
    figure = gate_ratios_figure(GATES)
    assert [axes.get_title() for axes in figure.axes] == ["digits x mlp", "digits x rnn"]
    mlp, rnn = figure.axes
    assert [label.get_text() for label in mlp.get_xticklabels()] == ["a", "b"]
    points = [c.lines[0] for c in mlp.containers]  # type: ignore[attr-defined]
    assert [line.get_ydata()[0] for line in points] == [1.0, 1.1]
    assert points[1].get_marker() == MARKS["slower"][1]
    (bar,) = mlp.containers[1].lines[2]  # type: ignore[attr-defined]
    np.testing.assert_allclose(bar.get_segments()[0][:, 1], [1.09, 1.12])
    assert rnn.get_ylabel() == "step time, head over base"


def test_every_verdict_of_the_gate_has_a_mark():
    from harness.gate.verdict import Verdict

    # a program that changed is not timed
    assert {v.name.lower() for v in Verdict} - {"changed"} == set(MARKS)


@pytest.fixture
def store(store_url: str) -> Any:
    with open_store(store_url) as opened:
        yield opened


def test_gates_come_back_as_they_were_written_and_are_drawn(store: Store, tmp_path: Path):
    assert store.gates() == []
    store.add_gate([])
    store.add_gate([gate("c", None, verdict="changed")])
    assert save_plots(store, None, tmp_path / "none").paths == ()
    store.add_gate(GATES)
    assert [(g["head"], g["ratio"]) for g in store.gates()] == [
        ("c", None), ("a", 1.0), ("b", 1.1), ("b", 1.02),
    ]  # fmt: skip
    assert save_plots(store, None, tmp_path).paths == (tmp_path / "gate_ratios.png",)
