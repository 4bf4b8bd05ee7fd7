"""The drawing of tuning: every model is named once, and looks alike in every panel."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from matplotlib.axes import Axes
from reported import lines_of
from stored import make_row, make_trial, make_tuned

from harness.frames import frame_of
from harness.report.look import CONTEXT, LOOKS, OVERLAID, Panel, alone, look
from harness.report.trials import read_trials
from harness.report.tuning import Tuning, tuning_of
from harness.rows import Row

RATE, DROPOUT = "learning_rate", "model.dropout"


def tuning(rows: Sequence[Row]) -> list[Tuning]:
    return tuning_of(read_trials(frame_of(rows), lines_of(rows)))


def panels(rows: Sequence[Row]) -> list[Panel]:
    (one,) = tuning(rows)
    return list(one.panels)


def points(axes: Axes) -> list[tuple[float, float]]:
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines]  # type: ignore[index]


def rings(axes: Axes) -> list[tuple[float, ...]]:
    return [tuple(map(float, ring.get_offsets()[0])) for ring in axes.collections]  # type: ignore[index]


def test_a_number_has_a_panel_of_its_values_against_validation():
    word = {"model.pool": "mean"}
    (panel,) = panels([  # a word has none
        make_trial("mlp", 0.3, {RATE: 1e-4, **word}),
        make_trial("mlp", 0.5, {RATE: 1e-2, **word}),
        make_trial("mlp", 0.7, {RATE: 1e-2, **word}, rung=1),
        make_trial("rnn", 0.6, {RATE: 1e-4, **word}),
    ])  # fmt: skip
    assert panel.title == "Learning rate"
    assert "mlp 0.01 (0.700); rnn 0.0001 (0.600)" in panel.description
    axes = alone(panel).axes[0]
    assert points(axes) == [(1e-4, 0.3), (1e-2, 0.5), (1e-2, 0.7), (1e-4, 0.6)]
    assert axes.get_xscale() == "log"
    # open marks, so that equal points do not hide each other, and a ring around the best
    assert {line.get_markerfacecolor() for line in axes.lines} == {"none"}
    assert rings(axes) == [(1e-2, 0.7), (1e-4, 0.6)]


def test_trials_that_do_not_train_at_all_are_at_the_edge_of_a_scale_for_the_others():
    rates = (1e-3, 2e-3, 4e-3, 8e-3, 16e-3)
    good = [make_trial("mlp", 0.88 + n / 1000, {RATE: rate}) for n, rate in enumerate(rates)]
    (panel,) = panels([*good, make_trial("mlp", 0.5, {RATE: 0.1})])
    axes = alone(panel).axes[0]
    assert 0.8 < axes.get_ylim()[0] < 0.88
    *inside, beyond = axes.lines
    assert len(inside) == 5 and beyond.get_marker() == "$\\downarrow$"
    assert beyond.get_transform() == axes.get_xaxis_transform()
    losses = [make_trial("mlp", None, {RATE: r}, val_loss=0.3 + r) for r in rates]
    (panel,) = panels([*losses, make_trial("mlp", None, {RATE: 0.1}, val_loss=9.0)])
    axes = alone(panel).axes[0]
    assert axes.get_ylim()[1] < 0.4 and axes.lines[-1].get_marker() == "$\\uparrow$"


@pytest.mark.parametrize("scores", [(0.9, 0.893), (0.9, 0.85)])
def test_beside_equal_accuracies_a_little_less_is_not_far_beyond(scores: tuple[float, float]):
    most, last = scores
    rates = (1e-3, 2e-3, 4e-3, 8e-3)
    rows = [make_trial("mlp", most, {RATE: rate}) for rate in rates]
    (panel,) = panels([*rows, make_trial("mlp", last, {RATE: 0.1})])
    assert points(alone(panel).axes[0])[-1] == (0.1, last)


def test_beside_equal_losses_a_little_more_is_not_far_beyond():
    def marks(last: float) -> list[str]:
        rows = [make_trial("mlp", None, {RATE: n / 100}, val_loss=40.0) for n in range(1, 5)]
        (panel,) = panels([*rows, make_trial("mlp", None, {RATE: 0.1}, val_loss=last)])
        return [str(line.get_marker()) for line in alone(panel).axes[0].lines]

    assert marks(42.0) == [look(0).marker] * 5
    assert marks(80.0) == [*[look(0).marker] * 4, "$\\uparrow$"]


def test_the_best_trial_of_every_line_is_within_the_scale():
    rates = (1e-3, 2e-3, 4e-3, 8e-3)
    rows = [make_trial("mlp", 0.88 + n / 1000, {RATE: rate}) for n, rate in enumerate(rates)]
    (panel,) = panels([*rows, *rows, make_trial("majority", 0.5, {RATE: 1e-3})])
    axes = alone(panel).axes[0]
    assert axes.get_ylim()[0] < 0.5
    assert "$\\downarrow$" not in [line.get_marker() for line in axes.lines]


def test_only_trials_that_ended_well_are_drawn():
    (panel,) = panels([
        make_trial("mlp", 0.3, {RATE: 1e-4}),
        make_trial("mlp", 0.9, {RATE: 1e-2}, status="diverged"),
    ])  # fmt: skip
    assert "mlp 0.0001 (0.300)" in panel.description
    assert len(alone(panel).axes[0].lines) == 1
    assert tuning([make_trial("mlp", 0.9, {RATE: 1e-2}, status="diverged")]) == []


def test_the_least_loss_is_the_best():
    (panel,) = panels([
        make_trial("mlp", None, {RATE: 1e-3}, val_loss=0.5),
        make_trial("mlp", None, {RATE: 1e-2}, val_loss=0.25),
    ])  # fmt: skip
    assert "mlp 0.01 (0.250)" in panel.description
    assert alone(panel).axes[0].get_ylabel() == "validation loss"


def test_of_equal_accuracies_the_ring_is_around_the_one_that_tuning_chooses():
    trials = [  # as they ended, not as they are numbered
        make_trial("mlp", 0.9, {RATE: rate}, number=number, val_loss=loss)
        for number, rate, loss in ((0, 1e-3, 0.5), (2, 1e-1, 0.1), (1, 1e-2, 0.1))
    ]
    (panel,) = panels([make_tuned("mlp", {RATE: 1e-2}), *trials])
    assert panel.description == "Best trial by learning rate: mlp 0.01 (0.900)."
    assert rings(alone(panel).axes[0]) == [(1e-2, 0.9)]


def test_a_model_looks_alike_in_every_panel_and_as_its_line_does():
    both = {RATE: 1e-3, DROPOUT: 0.1}
    rows = [make_row("untuned")]
    for model, chosen in (("one", {RATE: 1e-3}), ("two", both), ("three", both)):
        rows += [make_tuned(model, chosen), make_trial(model, 0.5, chosen)]
    rate, dropout = panels(rows)
    assert dict(rate.legend) == {"one": look(1), "two": look(2), "three": look(3)}
    assert dict(dropout.legend) == {"two": look(2), "three": look(3)}
    colours = [line.get_color() for line in alone(dropout).axes[0].lines]
    assert colours == [look(2).colour, look(3).colour]


def test_cells_that_are_tuned_each_by_itself_have_a_ring_each():
    (panel,) = panels([
        make_trial("mlp", score, {RATE: rate}, batch_size=size)
        for size, score in ((32, 0.9), (128, 0.5)) for rate in (1e-3, 1e-2)
    ])  # fmt: skip
    assert [name for name, _ in panel.legend] == ["mlp, batch size 32", "mlp, batch size 128"]
    assert rings(alone(panel).axes[0]) == [(1e-3, 0.9), (1e-3, 0.5)]


def test_many_models_have_a_panel_each_with_the_others_behind():
    names = [f"m{number:02}" for number in range(2 * OVERLAID + 1)]
    rows = [
        make_trial(name, 0.5 + number / 100, {RATE: rate})
        for number, name in enumerate(names) for rate in (1.2e-3, 3e-2)
    ]  # fmt: skip
    (one,) = tuning(rows)
    assert [panel.title for panel in one.panels] == [f"{name}: learning rate" for name in names]
    assert one.models == len(names) and not any(panel.legend for panel in one.panels)
    figure = alone(one.panels[3])
    axes = figure.axes[0]
    colours = [line.get_color() for line in axes.lines]
    assert colours == [CONTEXT] * len(names) + [LOOKS[3]] * 2
    assert rings(axes) == [(1.2e-3, 0.53)]
    assert axes.get_ylim()[0] < 0.5 and axes.get_ylim()[1] > 0.62  # the scale is all lines'
    figure.draw_without_rendering()
    low, high = axes.get_xlim()
    shown = [
        label.get_window_extent()
        for place, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
        if low <= place <= high
    ]
    assert len(shown) > 1  # and there is room for each
    assert all(a.x1 < b.x0 for a, b in zip(shown, shown[1:], strict=False))


def test_each_data_set_is_drawn_by_itself():
    rows = [make_trial("mlp", 0.5, {RATE: 1e-3}, dataset=name) for name in ("digits", "imdb")]
    assert [(one.dataset, len(one.panels)) for one in tuning(rows)] == [
        ("digits", 1), ("imdb", 1),
    ]  # fmt: skip
