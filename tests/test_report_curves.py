"""Learning curves: what the bands hold, and when lines share a panel."""

from __future__ import annotations

from typing import Any

import numpy as np
from reported import lines_of
from stored import make_row

from harness.report.curves import curve_panels
from harness.report.history import History
from harness.report.look import CONTEXT, OVERLAID, Panel, alone
from harness.report.panels import MOST


def history(run_id: str, curve: list[float], **values: Any) -> History:
    given = np.array(curve)
    usual: dict[str, Any] = {
        "dataset": "digits", "model": "m", "seed": 0, "judged_on": "validation",
        "train_loss": np.empty(0), "epochs": np.arange(1, len(given) + 1), "loss": 1 - given,
        "accuracy": given,
    }  # fmt: skip
    return History(run_id=run_id, **(usual | values))


def panels_of(models: int, *, seeds: int = 1, **values: Any) -> list[Panel]:
    rows = [make_row(f"m{i:02}", seed=s) for i in range(models) for s in range(seeds)]
    known = {
        row["run_id"]: history(row["run_id"], [0.1, 0.5 + row["seed"] / 10], **values)
        for row in rows
    }
    return curve_panels(lines_of(rows), known)


def test_the_line_is_the_mean_and_the_band_reaches_from_least_to_most():
    accuracy, loss = panels_of(1, seeds=3)
    assert (accuracy.title, loss.title) == ("Validation accuracy", "Validation loss")
    axes = alone(accuracy).axes[0]
    np.testing.assert_allclose(np.asarray(axes.lines[0].get_ydata(), float), [0.1, 0.6])
    (band,) = axes.collections
    np.testing.assert_allclose(np.asarray(band.get_paths()[0].vertices)[:, 1].max(), 0.7)
    assert "0.600 (0.500 to 0.700 over 3 seeds)" in accuracy.description


def test_only_epochs_that_every_seed_has_are_drawn():
    rows = [make_row(seed=0, run_id="a"), make_row(seed=1, run_id="b")]
    known = {"a": history("a", [0.1, 0.2, 0.3]), "b": history("b", [0.3])}
    panel = curve_panels(lines_of(rows), known)[0]
    assert alone(panel).axes[0].lines[0].get_xdata().tolist() == [1]  # type: ignore[union-attr]


def test_a_task_without_accuracy_has_its_loss_alone():
    panels = panels_of(2, accuracy=np.full(2, np.nan))
    assert [panel.title for panel in panels] == ["Validation loss"]


def test_many_lines_have_a_panel_each_with_the_others_behind():
    few, many = panels_of(OVERLAID), panels_of(OVERLAID + 1)
    assert [len(few[0].legend), len(few)] == [OVERLAID, 2]
    assert len(many) == 2 * (OVERLAID + 1) and not many[0].legend
    drawn = alone(many[0]).axes[0].lines
    assert [line.get_color() == CONTEXT for line in drawn] == [True] * (OVERLAID + 1) + [False]
    assert len(panels_of(MOST + 3)) == 2 * MOST


def test_without_histories_there_is_no_panel():
    assert curve_panels(lines_of([make_row()]), {}) == []
