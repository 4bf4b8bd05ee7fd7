"""`harness report`: stored runs as a page, as figures and as tables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from harness.cli.options import (
    check_output,
    note_nothing,
    plugin_option,
    store_option,
    store_url,
)
from harness.errors import HarnessError, UsageError, first_line

if TYPE_CHECKING:
    from harness.report import Data
    from harness.rows import Row
    from harness.store import Store

Read = TypeVar("Read")


@click.command("report")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the report to FILE, one HTML page that needs no network.",
)
@click.option(
    "--plots",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Save the figures in DIR: curves, accuracy against step time, confusion and more.",
)
@click.option(
    "--figure-format",
    type=click.Choice(["png", "svg"]),
    default="png",
    show_default=True,
    help="What --plots saves.",
)
@click.option(
    "--tables",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Save the table in DIR as table.md and table.tex.",
)
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="Only runs for which a condition on columns holds, as in `harness table`. Repeatable.",
)
@click.option(
    "--target-accuracy",
    type=click.FloatRange(0, 1),
    metavar="A",
    help="Also tell the training time until accuracy A.",
)
@click.option(
    "--no-examples",
    is_flag=True,
    help="Leave all data out of the report: no test examples, no names of classes, and no "
    "error messages and logs, which may quote data.",
)
@plugin_option()
@store_option()
def report(
    runs: tuple[str, ...],
    output: str | None,
    plots: str | None,
    figure_format: Literal["png", "svg"],
    tables: str | None,
    conditions: tuple[str, ...],
    target_accuracy: float | None,
    no_examples: bool,
    plugins: tuple[str, ...],
    store: str | None,
) -> None:
    """Report RUNs, or all runs of the store, as one HTML page, as figures or as tables.

    The page opens on the table with its intervals and ties, and has learning curves, accuracy
    against step time, step times, confusion, calibration, the test examples on which two models
    disagree, and every run with the end of its log where it failed.

    A RUN is the start of a run's id, as `harness table --format json` shows it.
    """  # fmt: skip
    if not (output or plots or tables):
        raise UsageError(
            "nothing to write; give -o report.html for the page, --plots DIR for figures or "
            "--tables DIR for tables"
        )
    check_output(output)
    from harness.frames import frame_of
    from harness.store import open_store

    url = store_url(store)
    with open_store(url, must_exist=True) as opened:
        # late: an absent store need not wait for it
        from harness.report import Asked, save_plots, save_report, save_tables

        rows = _chosen(opened, runs, conditions)
        note_nothing(frame_of(rows), filtered=bool(conditions))
        asked = Asked(
            rows=rows, runs=runs, conditions=conditions, target_accuracy=target_accuracy,
            load=None if no_examples else _loader(plugins),
            declared=_declared(plugins) if output else {},
            store=_named(opened, url), plugins=plugins,
        )  # fmt: skip
        saved = []
        if output:
            saved.append(save_report(opened, asked, Path(output)))
        if plots:
            chosen = [row["run_id"] for row in rows] if runs or conditions else None
            saved.append(save_plots(opened, chosen, Path(plots), format=figure_format))
        if tables:
            saved.append(save_tables(opened, asked, Path(tables)))
    for note in dict.fromkeys(note for one in saved for note in one.notes):
        print(f"note: {note}", file=sys.stderr)
    for path in (path for one in saved for path in one.paths):
        click.echo(str(path))


def _chosen(store: Store, runs: Sequence[str], conditions: Sequence[str]) -> list[Row]:
    """The rows to report, in the order of the store or in which they were named."""
    from harness.frames import frame_of
    from harness.table import where

    rows = [store.find(run) for run in runs] if runs else store.rows()
    rows = list({row["run_id"]: row for row in rows}.values())
    if not conditions:
        return rows
    kept: set[Any] = set(where(frame_of(rows), conditions)["run_id"])
    return [row for row in rows if row["run_id"] in kept]


def _named(store: Store, url: str) -> str:
    """The store as it was named: a relative file stays so, and no password is told."""
    return url if url.startswith("sqlite") else store.name


def _declared(plugins: Sequence[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """The default parameters of the data sets and models that are known here."""
    from harness.index import open_registry

    entries = open_registry(plugins).entries
    return {key: entry.defaults for key, entry in entries.items()}


def _loader(plugins: Sequence[str]) -> Callable[[Row], Data]:
    """Reads the data set of a run; whatever goes wrong costs the examples and no report."""

    def load(row: Row) -> Data:
        from harness.inspection import data_of
        from harness.report import Data

        names, texts = _read(row, "loaded", lambda: data_of(row, plugins=plugins))

        def decoded(indices: Sequence[int]) -> Mapping[int, str]:
            return _read(
                row, "decoded", lambda: {i: str(text) for i, text in texts(indices).items()}
            )

        return Data(names, decoded)

    return load


def _read(row: Row, what: str, read: Callable[[], Read]) -> Read:
    """What a plugin gives, or a harness's error: a plugin raises as it likes.

    Args:
      what: is done with the data set.
    """
    try:
        return read()
    except HarnessError:
        raise
    except Exception as error:
        raise UsageError(
            f"data set {row['dataset']!r} cannot be {what}: {first_line(error)}"
        ) from None
