"""What a report has, as files: figures, tables and the page itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure

from harness.errors import UsageError
from harness.frames import frame_of
from harness.report.document import Asked, read_document
from harness.report.gates import gate_ratios_figure
from harness.report.history import histories_of
from harness.report.lines import tabulated
from harness.report.look import picture
from harness.report.page import to_html
from harness.report.pictures import line_figures
from harness.report.plots import epoch_metrics_figure, train_loss_figure
from harness.report.superseded import superseded
from harness.store import Store
from harness.table import caption, to_text, with_caption

TABLES = {"table.md": "markdown", "table.tex": "latex"}


@dataclass(frozen=True)
class Saved:
    """The files written, and a note for each run that could not be drawn."""

    paths: tuple[Path, ...]
    notes: tuple[str, ...]


def save_plots(
    store: Store,
    run_ids: Sequence[str] | None,
    folder: Path,
    *,
    format: Literal["png", "svg"] = "png",
) -> Saved:
    """Writes `train_loss.png`, `test_metrics.png` and the report's figures.

    Each is written if any run has something for it: `learning_curves`, `accuracy_step_time`,
    `step_times`, `confusion`, `calibration`, `tuning`, and of a whole store also
    `gate_ratios`, if a gate has timed anything.

    Args:
      run_ids: the runs to draw, whole or the start of one; None means all.
      folder: created if absent.

    Raises:
      UsageError: a run is not in the store, or the folder cannot be written.
      StoreError: the store cannot be read.
    """
    rows = store.rows() if run_ids is None else [store.find(run_id) for run_id in run_ids]
    gone = superseded(rows)
    rows = [row for row in rows if row["run_id"] not in gone]
    histories, notes = histories_of(store, rows)
    if gone:
        notes.append(f"{len(gone)} superseded by runs that were made again: not drawn")
    figures: dict[str, Figure] = {}
    if any(history.train_loss.size for history in histories):
        figures["train_loss"] = train_loss_figure(histories)
    if any(history.epochs.size for history in histories):
        figures["test_metrics"] = epoch_metrics_figure(histories)
    figures |= line_figures(store, rows, histories)
    timed = [] if run_ids is not None else [g for g in store.gates() if g["ratio"]]
    if timed:
        figures["gate_ratios"] = gate_ratios_figure(timed)
    if not figures:
        notes.append("there is nothing to draw, so that no plots are written")
    files = {f"{name}.{format}": picture(figure, format) for name, figure in figures.items()}
    return Saved(_written(files, folder, what="plots"), tuple(notes))


def save_tables(store: Store, asked: Asked, folder: Path) -> Saved:
    """Writes the table with its statistics as `table.md` and `table.tex`.

    Args:
      folder: created if absent.

    Raises:
      UsageError: the folder cannot be written.
      StoreError: the store cannot be read.
    """
    frame = frame_of(asked.told)
    lines = tabulated(store, frame, target_accuracy=asked.target_accuracy)
    if lines is None:
        return Saved((), ("there is no run to tabulate",))
    below = caption(frame, lines)
    texts = {
        name: with_caption(to_text(lines, format), below, format)
        for name, format in TABLES.items()
    }
    files = {name: f"{text.rstrip()}\n".encode() for name, text in texts.items()}
    return Saved(_written(files, folder, what="tables"), ())


def save_report(store: Store, asked: Asked, file: Path) -> Saved:
    """Writes the report's page; what stood there before is replaced.

    Raises:
      UsageError: the file cannot be written.
      StoreError: the store cannot be read.
    """
    document = read_document(store, asked)
    notes = [f"{data.name}: no examples are shown: {data.note}" for data in document.data_sets
             if data.note]  # fmt: skip
    page = to_html(document).encode()
    return Saved(_written({file.name: page}, file.parent, what="the report"), tuple(notes))


def _written(files: Mapping[str, bytes], folder: Path, *, what: str) -> tuple[Path, ...]:
    try:
        for name, content in files.items():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    except OSError as error:
        raise UsageError(
            f"{what} cannot be written to {folder} ({error.strerror}); name another folder"
        ) from None
    return tuple(folder / name for name in files)
