"""One suite in several places: whether it comes to the same there.

    python -m benchmarks.places --write benchmarks/results/places.md

The same cells and seeds are performed by this machine's own processes, by the workers of a
Dask cluster on it, on a mesh of two simulated devices, by two processes with a device each,
and with all seeds in one program. Held against the first of these are every accuracy, every
step's training loss and the trained parameters. On Dask they have to be the same to the bit;
elsewhere sums are added in another order, so losses may differ by the tolerance of the place.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

import harness
from harness import machine
from harness.store import open_store

MODELS = ("mean_pool", "transformer", "gru", "text_cnn")
SUITE: dict[str, Any] = {"datasets": "digits", "epochs": 5, "batch_size": 64}


@dataclass(frozen=True)
class Place:
    """Where the suite is performed.

    Attributes:
      tolerance: the largest difference of a step's training loss, 0 for the same bits.
      asked: of `harness.run`, beside the suite.
      environment: in which the runs go on.
    """

    name: str
    tolerance: float = 0.0
    asked: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


TWO = {"JAX_NUM_CPU_DEVICES": "2"}
PLACES = (
    Place("processes of this machine"),
    Place("Dask, 2 workers", asked={"workers": 2}),
    Place("mesh of 2 devices", 1e-4, {"devices": 2}, TWO),
    Place("2 processes, a device each", 1e-4, {"devices": 2, "processes": 2}),
    Place("seeds in one program", 2e-4, {"vmap_seeds": True}),
)


@dataclass(frozen=True)
class Found:
    """What a suite came to in a place.

    Attributes:
      rows: one a run, in the order of the plan.
      losses: float32 [steps] of each of them.
    """

    place: Place
    rows: pd.DataFrame
    losses: list[np.ndarray]


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def perform(
    place: Place, folder: Path, models: Sequence[str], seeds: int, **more: Any
) -> Found:
    """Performs the suite in a place.

    Raises:
      ClickException: a run is not ok.
    """
    store = f"sqlite:///{folder}/{place.name.replace(' ', '_')}.db"
    with _environment(place.environment):
        asked = {**SUITE, **place.asked, **more}
        rows = harness.run(models=list(models), seeds=seeds, store=store, **asked)
    for row in rows.loc[rows["status"] != "ok"].to_dict("records"):
        raise click.ClickException(f"{place.name}: {row['model']}: {row['error_message']}")
    with open_store(store) as opened:
        losses = opened.arrays("train_loss", rows["run_id"])
    return Found(place, rows, [losses[run_id] for run_id in rows["run_id"]])


def furthest(found: Found, first: Found, of: Sequence[bool]) -> float:
    """The largest difference of a step's training loss in some of the runs."""
    pairs = zip(found.losses, first.losses, of, strict=True)
    return max(float(np.abs(one - other).max()) for one, other, counts in pairs if counts)


def lines(found: Found, first: Found) -> Iterator[str]:
    """One line of the table a model.

    Raises:
      ClickException: it did not come to the same as the first.
    """
    for model in dict.fromkeys(first.rows["model"]):
        of = (first.rows["model"] == model).tolist()
        one, other = found.rows[of], first.rows[of]
        apart = furthest(found, first, of)
        same = one["params_hash"].tolist() == other["params_hash"].tolist()
        accuracies = np.array(one["test_accuracy"]), np.array(other["test_accuracy"])
        accuracy = float(np.abs(accuracies[0] - accuracies[1]).max())
        if apart > found.place.tolerance or (found.place.tolerance == 0 and not same):
            told = f"{model}, {found.place.name}: losses differ by {apart:g}"
            raise click.ClickException(told)
        told = " ".join(f"{value:.4f}" for value in one["test_accuracy"])
        yield (
            f"| {model} | {found.place.name} | {told} | {accuracy:.4f} | {apart:.1e} | "
            f"{'yes' if same else 'no'} |"
        )


def page(results: Sequence[Found]) -> str:
    first, versions = results[0], machine.versions()
    columns = ("model", "place", "test accuracy of each seed", "furthest accuracy",
               "furthest loss of a step", "same parameters to the bit")  # fmt: skip
    table = [line for found in results for line in lines(found, first)]
    epochs, batch = SUITE["epochs"], SUITE["batch_size"]
    allowed = ", ".join(f"{p.name} {p.tolerance:g}" for p in PLACES if p.tolerance)
    return "\n".join(
        [
            "# One suite in several places\n",
            f"`python -m benchmarks.places` on {machine.utc()[:10]}, {machine.cpu_model()}, "
            f"jax {versions['jax_version']}, flax {versions['flax_version']}: data set "
            f"`digits`, {epochs} epochs, batches of {batch}. Differences are from the first "
            "place; of the losses of steps they may be as large as: "
            f"{allowed}; on Dask nothing may differ.\n",
            f"| {' | '.join(columns)} |",
            "|---" * len(columns) + "|",
            *sorted(table, key=lambda line: MODELS.index(line.split(" ")[1])),
            "",
        ]
    )


@click.command(help=__doc__)
@click.option("--seeds", default=3, show_default=True)
@click.option("--write", type=click.Path(path_type=Path))
def main(seeds: int, write: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        results = [perform(place, Path(folder), MODELS, seeds) for place in PLACES]
    text = page(results)
    if write is not None:
        write.write_text(text, encoding="utf-8")
    click.echo(text)


if __name__ == "__main__":
    main()
