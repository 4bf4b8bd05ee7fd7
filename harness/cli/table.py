"""`harness table`: the store's rows, tabulated again."""

from __future__ import annotations

import sys

import click

from harness.cli.options import (
    format_option,
    output_option,
    store_option,
    store_url,
    table_text,
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
@format_option("text", "markdown", "csv", "json")
@output_option()
def table_command(
    store: str | None,
    by: str | None,
    conditions: tuple[str, ...],
    sort: str | None,
    format_: str,
    output: str | None,
) -> None:
    """Tabulate the rows of a store."""  # fmt: skip
    from harness.store import open_store

    if format_ in ("csv", "json") and (by or sort):
        raise UsageError(f"--by and --sort shape the table; --format {format_} gives every row")
    with open_store(store_url(store), must_exist=True) as opened:
        from harness.table import where  # late: an absent store need not wait for pandas

        frame = where(opened.frame(), conditions)
        lost = opened.lost()
    if lost:
        print(
            f"note: {counted(len(lost), 'run')} planned since {lost[0]['planned_at']} without "
            "a row; what is not going on, `harness run --resume` performs",
            file=sys.stderr,
        )
    columns = [c.strip() for c in by.split(",")] if by else None
    write_output(table_text(frame, format_, by=columns, sort=sort), output)
