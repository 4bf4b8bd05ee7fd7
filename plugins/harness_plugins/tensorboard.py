"""Writes a run's curves for TensorBoard: `--observer tensorboard[folder=logs]`.

Each run has a folder of its own below `folder`, named by what it is, so that TensorBoard
shows the runs of a suite side by side: training loss and speed over the steps, what is
evaluated over the epochs, and at the end the row's numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import harness
from harness.hookspecs import Register


class TensorBoard:
    """One writer a run.

    Args:
      folder: below which the run's own folder is made.
    """

    def __init__(self, *, folder: str = "tensorboard") -> None:
        self.folder = Path(folder).expanduser()

    @harness.hookimpl
    def run_start(self, run: Mapping[str, Any]) -> None:
        from tensorboardX import SummaryWriter

        model = f"{run['model']}-{run['variant']}" if run["variant"] else run["model"]
        name = f"{run['dataset']}-{model}-seed{run['seed']}-{run['run_id']}"
        place = self.folder / re.sub(r"[^A-Za-z0-9_.\-]", "_", name)
        self.writer = SummaryWriter(str(place))
        told = {key: value for key, value in run.items() if value not in (None, "")}
        self.writer.add_text("run", "\n".join(f"    {k}: {v}" for k, v in told.items()), 0)

    @harness.hookimpl
    def chunk_end(self, step: int, losses: np.ndarray, seconds: float) -> None:
        first = step - len(losses) + 1
        for place, loss in enumerate(losses, start=first):
            self.writer.add_scalar("train/loss", float(loss), place)
        self.writer.add_scalar("train/step_ms", 1e3 * seconds / len(losses), step)

    @harness.hookimpl
    def evaluation_end(self, epoch: int, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if name != "epoch" and value is not None:
                self.writer.add_scalar(f"epoch/{name}", float(value), epoch)

    @harness.hookimpl
    def run_end(self, row: Mapping[str, Any]) -> None:
        self.writer.add_text("outcome", f"{row['status']} {row['error_message'] or ''}", 0)
        for name in ("test_loss", "test_accuracy", "param_count", "step_ms_p50", "compile_s"):
            if row[name] is not None:
                self.writer.add_scalar(f"row/{name}", float(row[name]), 0)
        self.writer.close()


@harness.hookimpl
def register_observers(register: Register) -> None:
    register("tensorboard", TensorBoard, requires=("tensorboardX",))
