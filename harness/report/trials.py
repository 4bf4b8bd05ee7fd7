"""The trials of tuning: what was tried, and how it did on validation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from harness.report.axes import spread_x
from harness.report.lines import printable
from harness.report.look import INK, LOOKS, Panel, look
from harness.table.labels import labels


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial.

    Attributes:
      model: the model's selection.
      rung: of successive halving, from 0.
      chosen: the values tried, by the names that the user gave them.
      score: validation accuracy, or where there is none the validation loss.
    """

    run_id: str
    dataset: str
    model: str
    rung: int
    epochs: int | None
    chosen: dict[str, Any]
    score: float | None
    is_loss: bool
    status: str


def read_trials(frame: pd.DataFrame) -> list[Trial]:
    """The trials among rows, in the order of the store."""
    rows = [
        {str(k): v for k, v in row.items()}
        for row in frame.loc[(frame["kind"] == "trial").fillna(False).astype(bool)]
        .astype(object)
        .to_dict(orient="records")
    ]
    datasets = labels((r["dataset"], _text(r["dataset_variant"]), None) for r in rows)
    models = labels((r["model"], _text(r["variant"]), None) for r in rows)
    return [
        _trial(row, dataset, model)
        for row, dataset, model in zip(rows, datasets, models, strict=True)
    ]


def _trial(row: dict[str, Any], dataset: str, model: str) -> Trial:
    tune: dict[str, Any] = json.loads(_text(row["tune"]) or "{}")
    is_loss = bool(pd.isna(row["val_accuracy"]))
    score = row["val_loss"] if is_loss else row["val_accuracy"]
    return Trial(
        run_id=row["run_id"], dataset=printable(dataset), model=printable(model),
        rung=int(tune.get("rung", 0)),
        epochs=None if pd.isna(row["epochs"]) else int(row["epochs"]),
        chosen=dict(tune.get("chosen", {})),
        score=None if pd.isna(score) else float(score), is_loss=is_loss,
        status=_text(row["status"]),
    )  # fmt: skip


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def trial_panels(trials: Sequence[Trial]) -> list[Panel]:
    """A panel for each data set and tuned number: its value against the score."""
    panels = []
    for dataset in dict.fromkeys(one.dataset for one in trials):
        own = [one for one in trials if one.dataset == dataset and _counts(one)]
        for key in dict.fromkeys(key for one in own for key in one.chosen):
            drawn = [one for one in own if _is_number(one.chosen.get(key))]
            if drawn:
                panels.append(_panel(dataset, key, drawn))
    return panels


def _counts(trial: Trial) -> bool:
    return trial.status == "ok" and trial.score is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _panel(dataset: str, key: str, drawn: Sequence[Trial]) -> Panel:
    models = list(dict.fromkeys(one.model for one in drawn))
    best = {m: _best([one for one in drawn if one.model == m]) for m in models}
    told = "; ".join(f"{m} {one.chosen[key]:g} ({one.score:.3f})" for m, one in best.items())
    name = key.removeprefix("model.").replace("_", " ")
    return Panel(
        title=f"{dataset}: {name}", description=f"Best trial of each model by {name}: {told}.",
        draw=lambda axes: _draw(axes, key, drawn, models),
        legend=tuple((model, look(place)) for place, model in enumerate(models[: len(LOOKS)])),
    )  # fmt: skip


def _best(trials: Sequence[Trial]) -> Trial:
    """The best of the last rung."""
    last = max(one.rung for one in trials)
    scored = [one for one in trials if one.rung == last and one.score is not None]
    return max(scored, key=lambda one: -(one.score or 0.0) if one.is_loss else one.score or 0.0)


def _draw(axes: Axes, key: str, drawn: Sequence[Trial], models: Sequence[str]) -> None:
    # open marks, so that equal points do not hide each other
    for place, model in enumerate(models):
        how = look(place)
        own = [one for one in drawn if one.model == model]
        best = _best(own)
        for one in own:
            axes.plot(
                [one.chosen[key]], [one.score or 0.0], color=how.colour, marker=how.marker,
                linestyle="none", markersize=5 + one.rung, markerfacecolor="none",
                markeredgewidth=1.3,
            )  # fmt: skip
        axes.scatter(
            [best.chosen[key]], [best.score or 0.0], s=160, facecolors="none", edgecolors=INK,
            linewidths=1.0,
        )  # fmt: skip
    spread_x(axes, [one.chosen[key] for one in drawn])
    axes.set_xlabel(key.replace("_", " "))
    axes.set_ylabel("validation loss" if drawn[0].is_loss else "validation accuracy")
