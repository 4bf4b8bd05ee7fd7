"""`python -m benchmarks.peers`: measures, and prints the tables as markdown."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.peers.arms import BY_NAME, MODELS
from benchmarks.peers.rounds import Record, data_folder, run_rounds
from benchmarks.peers.summary import model_table, roofline_table
from benchmarks.peers.targets import target_table
from harness.machine import cpu_model


def page(records: list[Record]) -> str:
    """All tables, with where and of what they were measured."""
    versions = {k: v for r in records for k, v in r.get("versions", {}).items()}
    data = " and ".join(dict.fromkeys(r["data"] for r in records if "data" in r))
    rounds = 1 + max(r["round"] for r in records)
    parts = [
        f"Data: {data}. Rounds: {rounds}; medians, in brackets the smallest and the largest; "
        "ratios are taken within a round.",
        f"Machine: {cpu_model()}, {os.cpu_count()} cores; "
        f"{datetime.now(UTC):%Y-%m-%d}; "
        + ", ".join(f"{name} {text}" for name, text in sorted(versions.items())) + ".",
    ]  # fmt: skip
    parts.append(
        "The harness starts its workers with huge pages where glibc has them, and so does its "
        "arm; its peers run as their users start them, one arm of each with huge pages too. "
        "The harness's first epoch runs in a process that has run the bare scan before; a step "
        "of Keras is one of a `fit` over 32, its start included."
    )
    for model in MODELS:
        parts += [f"### {model}", model_table(records, model)]
    parts += ["### Roofline", roofline_table(records), "### Targets", target_table(records)]
    return "\n\n".join(parts)


def read_records(path: Path) -> list[Record]:
    """What an earlier run kept with `--records`."""
    return [json.loads(line) for line in path.read_text().splitlines()]


FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--quick", is_flag=True, help="3,200 examples a split, one round.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--arm", "arms", multiple=True, type=click.Choice(list(BY_NAME)))
@click.option("--model", "models", multiple=True, type=click.Choice(MODELS))
@click.option("--records", type=FILE, help="Keep every measurement in this file.")
@click.option(
    "--show",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Measure nothing: the tables of a kept file.",
)
def main(
    quick: bool, rounds: int, arms: tuple[str, ...], models: tuple[str, ...],
    records: Path | None, show: Path | None,
) -> None:  # fmt: skip
    """Trains the same models with the harness and with its peers."""
    if show is not None:
        click.echo(page(read_records(show)))
        return
    kept: list[Record] = []
    with data_folder(3_200 if quick else None) as (folder, data):
        wanted = (1 if quick else rounds, models or MODELS, arms, folder, data)
        for record in run_rounds(*wanted):
            kept.append(record)
            _tell(record)
            if records is not None:
                with records.open("a") as file:
                    file.write(json.dumps(record) + "\n")
    click.echo(page(kept))


def _tell(record: Record) -> None:
    """One line an arm on standard error: it goes on for long."""
    took = " ".join(f"{seconds:.1f} s" for seconds in record.get("train_s", []))
    words = f"round {record['round'] + 1}", record.get("model", ""), record["arm"], took
    click.echo("  ".join((*words, record.get("error", ""))), err=True)


if __name__ == "__main__":
    main()
