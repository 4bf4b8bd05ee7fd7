"""Options that several commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness import errors
from harness.paths import DEFAULT_STORE
from harness.paths import store_url as store_url
from harness.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

    from harness.store import Store

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def store_option() -> Decorator:
    return click.option(
        "--store",
        metavar="URL",
        help=f"Store of rows.  [default: $HARNESS_STORE or {DEFAULT_STORE}]",
    )


def plugin_option() -> Decorator:
    return click.option(
        "--plugin", "plugins", metavar="PATH", multiple=True, help="A plugin file. Repeatable."
    )


def format_option(*formats: str) -> Decorator:
    return click.option(
        "--format", "format_", type=click.Choice(formats), default="text", show_default=True
    )


def output_option() -> Decorator:
    return click.option(
        "-o", "--output", type=click.Path(dir_okay=False), help="Write the result to FILE."
    )


def check_output(output: str | None) -> None:
    """Refuses a file that could not be written, before any work is done for it."""
    if output is None:
        return
    folder = Path(output).absolute().parent
    if not folder.is_dir():
        raise click.UsageError(f"cannot write {output!r}: no folder {folder} to write in")
    if not os.access(folder, os.W_OK):
        raise click.UsageError(f"cannot write {output!r}: folder {folder} is not writable")


def write_output(text: str, output: str | None) -> None:
    """The result, to a file or to standard output, always with one newline at its end."""
    if output is None:
        click.echo(text.rstrip("\n"))
        return
    try:
        Path(output).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"cannot write {output!r}: {error.strerror}") from None


def report_failures(known: Registry) -> None:
    """One line on standard error for each plugin that could not be loaded."""
    for failure in known.failures:
        source = failure.source
        happened = "failed to load" if failure.status == "failed" else "is unavailable"
        print(
            f"note: plugin {source.name} ({source.place}) {happened}: "
            f"{failure.error_type}: {failure.message}; see {failure.doctor}",
            file=sys.stderr,
        )


def note_nothing(frame: pd.DataFrame, *, filtered: bool, rows: int | None = None) -> None:
    """On standard error, why there is nothing in a table.

    Args:
      rows: how many there are with those that are not in the frame.
    """
    from harness.table.tuned import without_trials

    if len(without_trials(frame)):
        return
    why = "no row meets every --where" if filtered else "the store has no rows"
    number = len(frame) if rows is None else rows
    if number:
        told = errors.counted(number, "row")
        why = f"{told}, all of them trials of tuning, which make no line"
    print(f"note: {why}", file=sys.stderr)


def target_option() -> Decorator:
    return click.option(
        "--target-accuracy",
        type=click.FloatRange(min=0, max=1),
        metavar="A",
        help="A column with the seconds of training until an epoch reached accuracy A, on "
        "validation where it is held out, else on the test set.",
    )


def table_text(
    frame: pd.DataFrame,
    format_: str,
    *,
    store: Store | None = None,
    by: Sequence[str] | None = None,
    sort: str | None = None,
    target_accuracy: float | None = None,
    columns: Sequence[str] | None = None,
) -> str:
    """Rows as a table of cells with its caption, or as one record for each run.

    Args:
      store: what has the answers and epochs of the rows; without it no intervals.
    """
    from harness.comparison import read_evidence
    from harness.table import (
        caption,
        counted,
        records,
        tabulate,
        to_text,
        with_caption,
        with_recipe,
    )

    if format_ in ("csv", "json"):
        return records(frame, format_)
    evidence = None
    if store is not None and by is None:
        with_epochs = target_accuracy is not None
        evidence = read_evidence(store, counted(frame), epochs=with_epochs)
    if target_accuracy is not None and bool(frame["test_accuracy"].isna().all()):
        print("note: --target-accuracy: no row has an accuracy", file=sys.stderr)
    lines = tabulate(
        frame, by=by, sort=sort, evidence=evidence, target_accuracy=target_accuracy
    )  # fmt: skip
    if columns is not None and by is None:
        lines = with_recipe(lines, frame, columns)
    text, below = to_text(lines, format_, columns=columns), caption(frame, lines, by=by)
    return with_caption(text, below, format_)
