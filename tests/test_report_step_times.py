"""Step times: the steady steps of all seeds, by the rule of the row's own column."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reported import lines_of
from stored import make_answered, make_result, make_row

from harness import timing
from harness.report.look import alone
from harness.report.step_times import (
    QUANTILES,
    StepTimes,
    read_step_times,
    step_times_panel,
    warm_up,
)
from harness.store import open_store


@pytest.mark.parametrize("seed", range(20))
def test_warm_up_is_what_the_column_leaves_out(seed: int):
    random = np.random.default_rng(seed)
    steps = random.integers(1, 9, random.integers(1, 12))
    seconds = steps * random.lognormal(0, 0.4, len(steps)) * np.linspace(3, 1, len(steps))
    blocks = [timing.Block(int(s), float(t)) for s, t in zip(steps, seconds, strict=True)]
    assert len(blocks) - warm_up(steps, seconds) == len(timing.steady(blocks))


def test_the_steady_steps_of_all_seeds_are_taken_together(tmp_path: Path):
    with open_store(f"sqlite:///{tmp_path}/rows.db") as store:
        for seed in (0, 1):
            store.add(make_answered(make_row(seed=seed), label=[0, 1], predicted=[0, 1]))
        store.add(make_result(make_row("rnn")))  # without blocks
        lines = lines_of(store.rows())
        (found,) = read_step_times(store, lines)
    # blocks of 4 steps at 2 and 4 ms behind a warm-up of 1 s
    assert (found.line.model, found.steps) == ("mlp", 16)
    assert found.quantiles[QUANTILES.index(0.5)] == 3.0
    assert found.quantiles[[0, -1]].tolist() == [2.0, 4.0]
    panel = step_times_panel([found])
    assert panel is not None and "median 3 ms" in panel.description
    axes = alone(panel).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["mlp"]
    assert axes.get_xscale() == "linear"
    assert step_times_panel([]) is None


@pytest.mark.parametrize(
    "name",
    [
        "transformer:no_position[embed_dim=64,num_heads=4], learning rate 0.001, batch size 32",
        "W" * 110,
        "a,b" * 200,
        "$_",
    ],
)
def test_a_long_name_leaves_room_for_the_drawing(name: str):
    (line,) = lines_of([make_row()])
    found = [
        StepTimes(line=replace(line, model=each), quantiles=np.linspace(1, 2, 6), steps=4)
        for each in (name, "short")
    ]
    panel = step_times_panel(found)
    assert panel is not None and panel.width <= 38 * 16  # as wide as the page shows it
    figure = alone(panel)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    labels = axes.get_yticklabels()
    assert axes.get_window_extent().width > 120 / 72 * figure.dpi
    boxes = [label.get_window_extent() for label in labels]
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.y1 <= figure.bbox.y1 for box in boxes)
    shown = labels[0].get_text().replace("\n", "").replace(" ", "").replace("\\", "")
    assert shown == name.replace(" ", "") or (len(name) > 110 and "…" in shown)
