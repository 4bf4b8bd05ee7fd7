"""Every run and how it ended, with what its log said last where that was not well."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.logs import last_lines
from harness.paths import cache_dir
from harness.report.lines import named, printable, printable_lines
from harness.rows import Row
from harness.table.labels import RECIPE, labels

LOG_LINES = 40
LOGS = 50  # runs whose logs are shown


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run.

    Attributes:
      model: the model with the hyper-parameters that are not the same in all runs, or trials.
      log: its last lines, or why they are not here; "" for an ok run, and without logs.
    """

    run_id: str
    dataset: str
    model: str
    kind: str
    seed: int | None
    status: str
    why: str
    accuracy: float | None
    loss: float | None
    train_s: float | None
    started_at: str
    log: str


def read_runs(rows: Sequence[Row], *, with_logs: bool = True) -> list[Run]:
    """All runs, those that are not ok first, in the order of the store."""
    datasets = labels((r["dataset"], r["dataset_variant"], r["dataset_params"]) for r in rows)
    models = _models(rows)
    listed = sorted(
        zip(rows, datasets, models, strict=True), key=lambda n: n[0]["status"] == "ok"
    )
    return [
        _run(row, dataset, model, log=_log(row, number) if with_logs else "")
        for number, (row, dataset, model) in enumerate(listed)
    ]


def _models(rows: Sequence[Row]) -> list[str]:
    """The model of each row, and what of its recipe tells it apart from others of its kind."""
    bare = labels((r["model"], r["variant"], r["model_params"]) for r in rows)
    kinds = {_kind(row) for row in rows}
    varying = {kind: _varying([row for row in rows if _kind(row) == kind]) for kind in kinds}
    return [
        named({**row, "model": model}, _shown(row, varying[_kind(row)]))
        for row, model in zip(rows, bare, strict=True)
    ]


def _kind(row: Row) -> str:
    return row["kind"] or "run"


def _varying(rows: Sequence[Row]) -> set[str]:
    return {name for name in RECIPE if len({row[name] for row in rows}) > 1} - {"tune_trials"}


def _shown(row: Row, varying: Collection[str]) -> list[str]:
    """The hyper-parameters that a row is named with: a trial always with its own values."""
    tried = json.loads(row["tune"] or "{}").get("chosen", {}) if _kind(row) == "trial" else {}
    return [name for name in RECIPE if name in varying or name in tried]


def _run(row: Row, dataset: str, model: str, *, log: str) -> Run:
    told = [row["error_type"], row["error_message"]]
    why = ": ".join(text for text in told if text)
    phase = f" (phase: {row['phase']})" if row["phase"] and row["status"] != "ok" else ""
    return Run(
        run_id=row["run_id"], dataset=printable(dataset), model=printable(model),
        kind=_kind(row), seed=row["seed"], status=row["status"] or "unknown",
        why=printable(why + phase if why else ""), accuracy=row["test_accuracy"],
        loss=row["test_loss"], train_s=row["train_s"],
        started_at=(row["started_at"] or "")[:16].replace("T", " "),
        log=log,
    )  # fmt: skip


def _log(row: Row, number: int) -> str:
    """The end of its log, or why it is not shown; "" for an ok run.

    A store may come from elsewhere and name any file: only logs are read.

    Args:
      number: of the row among those that are not ok.
    """
    if row["status"] == "ok":
        return ""
    if number >= LOGS:
        return f"its log is not shown: only those of the first {LOGS} runs are"
    if not row["log_path"]:
        return "no log was kept"
    path = Path(row["log_path"])
    if path.parent != cache_dir() / "logs":
        return f"its log is not in this machine's cache folder: {printable(path)}"
    return printable_lines(last_lines(path, LOG_LINES))
