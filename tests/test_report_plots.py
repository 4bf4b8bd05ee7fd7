"""The pictures: their lines are the stored numbers, their files are images."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from stored import failed_row, make_epochs, make_result, make_row, npy

from harness.errors import UsageError
from harness.report import save_plots
from harness.report.history import History
from harness.report.plots import COLOURS, DPI, epoch_metrics_figure, train_loss_figure
from harness.rows import Result
from harness.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/rows.db") as opened:
        yield opened


def history(
    model: str = "mlp",
    *,
    dataset: str = "digits",
    seed: int = 0,
    judged_on: str = "test",
    steps: int = 5,
    epochs: int = 3,
) -> History:
    """Curves that no other call returns."""
    random = np.random.default_rng([seed, len(model), len(dataset)])
    return History(
        run_id=f"{model}{seed}", dataset=dataset, model=model, seed=seed, judged_on=judged_on,
        train_loss=random.random(steps, dtype=np.float32), epochs=np.arange(1, epochs + 1),
        loss=random.random(epochs), accuracy=random.random(epochs),
    )  # fmt: skip


def drawn(axes: Axes) -> list[tuple[list[float], list[float]]]:
    """The x and y values of each line."""
    return [
        (np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist())
        for line in axes.lines
    ]


def legend_of(figure: Figure) -> dict[str, object]:
    """The colour of each entry."""
    [legend] = figure.legends
    lines = [line.get_color() for line in legend.get_lines()]
    return dict(zip([text.get_text() for text in legend.get_texts()], lines, strict=True))


def test_a_line_of_the_training_loss_is_the_stored_array():
    runs = [history("mlp", steps=5), history("rnn", steps=3)]
    [axes] = train_loss_figure(runs).axes
    assert drawn(axes) == [
        ([1, 2, 3, 4, 5], runs[0].train_loss.tolist()),
        ([1, 2, 3], runs[1].train_loss.tolist()),
    ]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("training step", "training loss (nats)")
    assert axes.get_title() == "digits"


def test_loss_and_accuracy_of_the_epochs_stand_side_by_side():
    run = history()
    loss, accuracy = epoch_metrics_figure([run]).axes
    assert drawn(loss) == [([1, 2, 3], run.loss.tolist())]
    assert drawn(accuracy) == [([1, 2, 3], run.accuracy.tolist())]
    assert (loss.get_xlabel(), loss.get_ylabel()) == ("epoch", "test loss (nats)")
    assert (accuracy.get_xlabel(), accuracy.get_ylabel()) == (
        "epoch",
        "test accuracy (fraction)",
    )


def test_each_data_set_has_a_row_of_panels():
    runs = [history(dataset="imdb"), history(dataset="digits")]
    top, bottom = train_loss_figure(runs).axes
    assert (top.get_title(), bottom.get_title()) == ("imdb", "digits")
    assert drawn(top)[0][1] == runs[0].train_loss.tolist()
    assert drawn(bottom)[0][1] == runs[1].train_loss.tolist()
    assert [len(axes.lines) for axes in epoch_metrics_figure(runs).axes] == [1, 1, 1, 1]


def test_held_out_data_is_not_mixed_with_test_data():
    runs = [history(judged_on="test"), history(judged_on="validation", seed=1)]
    labels = [axes.get_ylabel() for axes in epoch_metrics_figure(runs).axes]
    assert labels == [
        "test loss (nats)", "test accuracy (fraction)",
        "validation loss (nats)", "validation accuracy (fraction)",
    ]  # fmt: skip


def test_seeds_of_a_model_share_a_colour_and_an_entry_of_the_legend():
    runs = [history("mlp", seed=0), history("rnn"), history("mlp", seed=1)]
    figure = train_loss_figure(runs)
    colours = [line.get_color() for line in figure.axes[0].lines]
    assert colours[0] == colours[2] != colours[1]
    assert legend_of(figure) == {"mlp (2 runs)": colours[0], "rnn": colours[1]}


def test_an_entry_counts_the_curves_of_one_panel():
    figure = train_loss_figure([history(dataset="digits"), history(dataset="imdb")])
    assert list(legend_of(figure)) == ["mlp"]


def test_more_models_than_colours_differ_by_their_dashes():
    figure = train_loss_figure([history(f"model{i}") for i in range(3 * len(COLOURS))])
    styles = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(styles) == 3 * len(COLOURS)
    assert {colour for colour, _ in styles} == set(COLOURS)


@pytest.mark.parametrize("count", [1, 9, 60])
def test_the_legend_covers_no_panel_and_ends_inside_the_picture(count: int):
    name = "transformer:no_position[num_heads=4,dropout={}]"
    for build in (train_loss_figure, epoch_metrics_figure):
        figure = build([history(name.format(i)) for i in range(count)])
        figure.draw_without_rendering()
        box = figure.legends[0].get_window_extent()
        panels = [axes.get_window_extent() for axes in figure.axes]
        assert all(panel.x1 <= box.x0 for panel in panels)
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
        assert all(panel.width > 2.5 * DPI for panel in panels)


def test_a_single_step_is_seen():
    [axes] = train_loss_figure([history(steps=1)]).axes
    assert axes.lines[0].get_marker() == "o"


def test_names_are_drawn_as_they_are():
    figure = train_loss_figure([history("_private"), history("cost[unit=$]", dataset="a$b$")])
    figure.draw_without_rendering()
    assert [text.strip() for text in legend_of(figure)] == ["_private", "cost[unit=\\$]"]


def size_of(figure: Figure) -> tuple[int, int]:
    width, height = figure.get_size_inches()
    return int(height * DPI), int(width * DPI)


def test_save_plots_writes_images_of_the_figures_size(store: Store, tmp_path: Path):
    for seed in range(2):
        store.add(make_result(make_row(seed=seed, run_id=f"run{seed}")))
    folder = tmp_path / "new" / "plots"
    saved = save_plots(store, ["run0", "run1"], folder)
    assert saved.notes == ()
    names = ("train_loss.png", "test_metrics.png", "learning_curves.png")
    assert saved.paths == tuple(folder / name for name in names)
    assert sorted(folder.iterdir()) == sorted(saved.paths)
    runs = [history(seed=seed) for seed in range(2)]
    figures = (train_loss_figure(runs), epoch_metrics_figure(runs))
    for path, figure in zip(saved.paths, figures, strict=False):
        pixels = imread(path)
        assert pixels.shape[:2] == size_of(figure)
        assert pixels.min() < 0.5 < pixels.max()


def test_the_same_rows_give_the_same_bytes(store: Store, tmp_path: Path):
    store.add(make_result())
    first, second = (save_plots(store, None, tmp_path / name) for name in ("one", "two"))
    assert [p.read_bytes() for p in first.paths] == [p.read_bytes() for p in second.paths]


def test_a_run_without_history_is_a_note(store: Store, tmp_path: Path):
    store.add(make_result(make_row(run_id="good")))
    store.add(Result(row=failed_row(seed=1, run_id="bad")))
    saved = save_plots(store, None, tmp_path / "plots")
    assert len(saved.paths) == 3
    assert len(saved.notes) == 1 and saved.notes[0].startswith("run bad ")


def test_only_the_pictures_that_have_lines_are_written(store: Store, tmp_path: Path):
    epochs = make_epochs([0.5], [0.5])
    store.add(Result(row=make_row(run_id="steps"), arrays={"train_loss": npy([0.5])}))
    store.add(Result(row=make_row(run_id="epochs"), epochs=epochs))
    store.add(Result(row=failed_row(run_id="none")))
    written = {
        run: [path.name for path in save_plots(store, [run], tmp_path / run).paths]
        for run in ("steps", "epochs", "none")
    }
    assert written == {"steps": ["train_loss.png"], "none": [],
                       "epochs": ["test_metrics.png", "learning_curves.png"]}  # fmt: skip
    assert not (tmp_path / "none").exists()


def test_a_loss_that_is_not_finite_leaves_a_gap(store: Store, tmp_path: Path):
    steps = [0.5, np.nan, np.inf, 0.25]
    store.add(make_result(make_row(), steps=steps))
    assert tmp_path / "train_loss.png" in save_plots(store, None, tmp_path).paths


def test_a_folder_that_cannot_be_made_is_told_in_a_line(store: Store, tmp_path: Path):
    store.add(make_result())
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="^plots cannot be written to [^\n]*file/plots"):
        save_plots(store, None, tmp_path / "file" / "plots")


def test_drawing_leaves_the_global_interface_of_pyplot_alone():
    """A notebook's own backend and figures stay as they are."""
    script = (
        "import sys\n"
        "from harness.report import look, plots\n"
        "from test_report_plots import history\n"
        "look.picture(plots.train_loss_figure([history()]), 'png')\n"
        "print('matplotlib.pyplot' in sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", script]
    assert subprocess.check_output(command, text=True, env=environment) == "False\n"


def test_a_run_that_was_made_again_has_no_note_of_its_own(store: Store, tmp_path: Path):
    store.add(Result(row=failed_row(run_id="bad", run_key="k")))
    store.add(make_result(make_row(run_id="good", run_key="k")))
    saved = save_plots(store, None, tmp_path / "plots")
    assert saved.notes == ("1 superseded by runs that were made again: not drawn",)
