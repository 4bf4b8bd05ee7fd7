"""What models take on the device that is here: step times, achieved FLOP/s, memory.

    python -m benchmarks.device [--write FILE] [--seeds 1,4,8]

Each model is trained in float32 and bfloat16, three times in turn, each time in a worker of
its own. With `--seeds` the first model's vmapped seeds are measured beside single ones too.
Achieved FLOP/s are XLA's count of a step over its median time, so that loops within a model,
which it counts once, make them too small.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import click
import pandas as pd

import harness
from harness import machine

MODELS = (
    "mean_pool", "ngrams", "text_cnn", "gru", "transformer:masked", "linear_attention",
    "selective",
)  # fmt: skip
PRECISIONS = ("float32", "bfloat16")
HEADS = ("device", "model", "precision", "batch size", "step ms p50 (lowest to highest)",
         "FLOP a step", "achieved TFLOP/s", "device peak MB", "temporary MB",
         "test accuracy")  # fmt: skip
SEED_HEADS = ("device", "model", "precision", "seeds", "step ms p50 (lowest to highest)",
              "over one seed", "over as many single steps")  # fmt: skip


def measure(dataset: str, model: str, precision: str, seeds: int, **recipe: Any) -> dict:
    """The row of the first seed of one run in a worker of its own.

    Raises:
      click.ClickException: the run is not ok.
    """
    frame = harness.run(
        dataset, model, seeds=seeds, vmap_seeds=seeds > 1, precision=precision, **recipe
    )
    row = {str(k): None if pd.isna(v) else v for k, v in frame.iloc[0].items()}
    if row["status"] != "ok":
        raise click.ClickException(f"{model} in {precision}: {row['error_message']}")
    return row


def in_turn(asked: Sequence[tuple[str, str, int]], repeats: int, **how: Any) -> dict:
    """Several rows of each model, precision and number of seeds, one after another."""
    rows: dict[tuple[str, str, int], list[dict]] = {one: [] for one in asked}
    for _ in range(repeats):
        for one in asked:
            model, precision, seeds = one
            rows[one].append(measure(model=model, precision=precision, seeds=seeds, **how))
    return rows


def line(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One line of the first table, from the repeats of one model in one precision."""
    first, times = rows[0], [row["step_ms_p50"] for row in rows]
    flops = first["flops_per_step"]
    achieved = "-" if flops is None else f"{flops / median(times) / 1e9:.3g}"
    return [
        first["device_kind"], named(first), first["precision"], str(first["batch_size"]),
        spread(times), "-" if flops is None else f"{flops:.3g}", achieved,
        megabytes(max(row["device_peak_bytes"] or 0 for row in rows)),
        megabytes(first["temp_bytes"]), f"{first['test_accuracy']:.4f}",
    ]  # fmt: skip


def seed_line(rows: Sequence[dict[str, Any]], single_ms: float) -> list[str]:
    """One line of the second table, beside a step of one seed."""
    first, times = rows[0], [row["step_ms_p50"] for row in rows]
    ratio, seeds = median(times) / single_ms, first["vmap_seeds"]
    return [
        first["device_kind"], named(first), first["precision"], str(seeds), spread(times),
        f"{ratio:.2f}", f"{ratio / seeds:.2f}",
    ]  # fmt: skip


def named(row: dict[str, Any]) -> str:
    return f"{row['model']}:{row['variant']}" if row["variant"] else row["model"]


def spread(times: Sequence[float]) -> str:
    return f"{median(times):.3g} ({min(times):.3g} to {max(times):.3g})"


def megabytes(size: int | None) -> str:
    """Bytes as MB; a platform that does not tell says none."""
    return f"{size / 1e6:.1f}" if size else "-"


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def heading(command: str, row: dict[str, Any]) -> str:
    """What the tables were measured with, in front of them."""
    versions = ", ".join(f"{n} {row[f'{n}_version']}" for n in ("jax", "jaxlib", "flax"))
    commit = str(row["commit"] or "unknown")[:7] + (", changed" if row["dirty"] else "")
    day = datetime.datetime.now(datetime.UTC).date()
    return (
        f"# Models on a device\n\nCommand, on {day}:\n\n    {command}\n\n"
        f"On {row['device_kind']}, {machine.cpu_model()}, {os.cpu_count()} cores; CPython "
        f"{row['python_version']}, {versions}, harness at commit {commit}."
    )


@click.command(help=__doc__)
@click.option("--write", type=click.Path(path_type=Path), help="Also write the page there.")
@click.option("--seeds", default="", help="Numbers of vmapped seeds, as in 1,4,8.")
@click.option("--dataset", default="imdb", show_default=True)
@click.option("--model", "models", multiple=True, help="In place of the list. Repeatable.")
@click.option("--limit", default=4992, show_default=True)
@click.option("--epochs", default=3, show_default=True)
@click.option("--batch-size", default=128, show_default=True)
@click.option("--repeats", default=3, show_default=True)
def main(
    write: Path | None, seeds: str, models: tuple[str, ...], repeats: int, **how: Any
) -> None:
    models = models or MODELS
    rows = in_turn([(m, p, 1) for m in models for p in PRECISIONS], repeats, **how)
    first = next(iter(rows.values()))[0]
    command = "python -m benchmarks.device" + (f" --seeds {seeds}" if seeds else "")
    page = [heading(command, first), table(HEADS, [line(some) for some in rows.values()])]
    if seeds:
        numbers = sorted({1, *map(int, seeds.split(","))})
        found = in_turn(
            [(models[0], p, n) for p in PRECISIONS for n in numbers], repeats, **how
        )
        single = {
            p: median(row["step_ms_p50"] for row in found[models[0], p, 1]) for p in PRECISIONS
        }
        lines = [seed_line(some, single[p]) for (_, p, _), some in found.items()]
        page.append("Vmapped seeds beside one:\n\n" + table(SEED_HEADS, lines))
    text = "\n\n".join(page)
    click.echo(text)
    if write is not None:
        write.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
