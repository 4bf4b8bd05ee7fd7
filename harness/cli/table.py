"""`harness table`: the store's rows, tabulated again."""

from __future__ import annotations

import sys

import click

from harness.cli.options import (
    format_option,
    note_nothing,
    output_option,
    store_option,
    store_url,
    table_text,
    target_option,
    write_output,
)
from harness.errors import UsageError, counted


@click.command("table")
@store_option()
@click.option("--by", metavar="COLUMN,...", help="Group by these columns instead of cells.")
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="Keep rows for which a condition on columns holds, as in "
    "'accuracy > 0.8'. Repeatable.",
)
@click.option("--sort", metavar="COLUMN[:desc]", help="Sort the lines by a column.")
@click.option(
    "--columns",
    "shown",
    metavar="COLUMN,...",
    help="Show these columns of the lines, as in model,rank,vs_next,vs_next_p: the "
    "difference from the line of the next lower accuracy, and its p. docs/method.md lists "
    "them all.",
)
@target_option()
@format_option("text", "markdown", "latex", "csv", "json")
@output_option()
def table_command(
    store: str | None,
    by: str | None,
    conditions: tuple[str, ...],
    sort: str | None,
    shown: str | None,
    target_accuracy: float | None,
    format_: str,
    output: str | None,
) -> None:
    """Tabulate the rows of a store."""  # fmt: skip
    from harness.store import open_store

    groups, columns = _names("--by", by), _names("--columns", shown)
    if format_ in ("csv", "json") and (by or sort or shown or target_accuracy is not None):
        raise UsageError(
            "--by, --sort, --columns and --target-accuracy shape the table; "
            f"--format {format_} gives every row"
        )
    if by and target_accuracy is not None:
        raise UsageError("--target-accuracy is a column of cells; leave --by out")
    with open_store(store_url(store), must_exist=True) as opened:
        from harness.table import read_table, where  # late: an absent store need not wait

        if format_ in ("csv", "json"):  # which give every row
            frame = where(opened.frame(), conditions)
            note_nothing(frame, filtered=bool(conditions))
        else:
            read = read_table(opened, conditions, by=groups is not None)
            frame = read.frame
            note_nothing(frame, filtered=bool(conditions), rows=read.rows)
        lost = opened.lost()
        text = table_text(
            frame, format_, store=opened, by=groups, sort=sort, columns=columns,
            target_accuracy=target_accuracy,
        )  # fmt: skip
    if lost:
        print(
            f"note: {counted(len(lost), 'run')} planned since {lost[0]['planned_at']} without "
            "a row; what is not going on, `harness run --resume` performs",
            file=sys.stderr,
        )
    write_output(text, output)


def _names(option: str, text: str | None) -> list[str] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise UsageError(
            f"{option} {text!r}: expected COLUMN,... without an empty name, or leave it out"
        )
    return names
