"""`harness report`: figures of stored runs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.cli.options import store_option, store_url


@click.command("report")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option(
    "--plots",
    required=True,
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Save the training loss and the test loss and accuracy as figures in DIR.",
)
@store_option()
def report(runs: tuple[str, ...], plots: str, store: str | None) -> None:
    """Draw the learning curves of RUNs, or of all runs of the store.

    Of a store that `harness gate` has written to also the ratios of step times over commits.

    A RUN is the start of a run's id, as `harness table --format json` shows it.
    """  # fmt: skip
    from harness.store import open_store

    with open_store(store_url(store), must_exist=True) as opened:
        from harness.report import save_plots  # late: an absent store need not wait for it

        chosen = [opened.find(run)["run_id"] for run in runs]
        saved = save_plots(opened, chosen or None, Path(plots))
    for note in saved.notes:
        print(f"note: {note}", file=sys.stderr)
    for path in saved.paths:
        click.echo(str(path))
