"""The figures that a store has something for, written to a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from harness.errors import UsageError
from harness.report.gates import gate_ratios_figure
from harness.report.history import read_histories
from harness.report.plots import epoch_metrics_figure, png, train_loss_figure
from harness.store import Store


@dataclass(frozen=True)
class Saved:
    """The pictures written, and a note for each run that could not be drawn."""

    paths: tuple[Path, ...]
    notes: tuple[str, ...]


def save_plots(store: Store, run_ids: Sequence[str] | None, folder: Path) -> Saved:
    """Writes `train_loss.png` and `test_metrics.png`, each if any run has such curves.

    Of a whole store also `gate_ratios.png`, if a gate has timed anything.

    Args:
      run_ids: the runs to overlay, whole or the start of one; None means all.
      folder: created if absent.

    Raises:
      UsageError: a run is not in the store, or the folder cannot be written.
      StoreError: the store cannot be read.
    """
    histories, notes = read_histories(store, run_ids)
    figures: dict[str, Figure] = {}
    if any(history.train_loss.size for history in histories):
        figures["train_loss.png"] = train_loss_figure(histories)
    if any(history.epochs.size for history in histories):
        figures["test_metrics.png"] = epoch_metrics_figure(histories)
    timed = [] if run_ids is not None else [g for g in store.gates() if g["ratio"]]
    if timed:
        figures["gate_ratios.png"] = gate_ratios_figure(timed)
    try:
        for name, figure in figures.items():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(png(figure))
    except OSError as error:
        raise UsageError(
            f"plots cannot be written to {folder} ({error.strerror}); name another folder"
        ) from None
    return Saved(tuple(folder / name for name in figures), tuple(notes))
