"""`harness compare`: two models, commits or stores, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import (
    format_option,
    output_option,
    store_option,
    store_url,
    write_output,
)
from harness.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from harness.store import Store
    from harness.table.sides import Side


@click.command("compare")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "-d", "--dataset", metavar="SELECTION", help="Compare on this data set only, as in imdb."
)
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="Keep rows for which a condition on columns holds, as in 'epochs == 10'. Repeatable.",
)
@store_option()
@format_option("text", "markdown", "latex", "csv", "json")
@output_option()
def compare_command(
    first: str,
    second: str,
    dataset: str | None,
    conditions: tuple[str, ...],
    store: str | None,
    format_: str,
    output: str | None,
) -> None:
    """Compare A with B: how much, and how sure.

    A and B are two models as selections (transformer:no_position, mean_pool[width=16]), two
    commits (the beginning of their hashes) or two stores (URLs or files). Differences are A
    minus B, ratios A over B. Where a task has no accuracy, the difference is in test loss.

    Rows of uncommitted changes stand for a commit only where it has no others. A parameter
    that one side does not know yet may have any value on the other, and is named.
    """
    from harness.table.beside import beside, beside_text
    from harness.table.beside_caption import beside_caption

    url = store_url(store)
    one, two = (
        _side(word, url, dataset=dataset, conditions=conditions) for word in (first, second)
    )
    lines = beside(one, two)
    write_output(beside_text(lines, format_, below=beside_caption(one, two, lines)), output)


def _side(word: str, url: str, *, dataset: str | None, conditions: tuple[str, ...]) -> Side:
    from harness.comparison import read_evidence
    from harness.store import open_store
    from harness.table import counted
    from harness.table.sides import Side, rows_of

    if "://" not in word and not Path(word).is_file() and _names_file(word):
        raise UsageError(f"no file {word!r}; a store is a file or a URL that exists")
    own = word if "://" in word else f"sqlite:///{word}" if Path(word).is_file() else None
    with open_store(own or url, must_exist=True) as opened:
        frame = _kept(opened, dataset, conditions)
        kind, rows = ("store", frame) if own else rows_of(word, frame)
        evidence = read_evidence(opened, counted(rows))
    return Side(name=word, kind=kind, frame=rows, evidence=evidence)


def _names_file(word: str) -> bool:
    bare = word.partition("[")[0]  # values of parameters may be paths
    return "/" in bare or Path(bare).suffix in (".db", ".sqlite", ".sqlite3")


def _kept(opened: Store, dataset: str | None, conditions: tuple[str, ...]) -> pd.DataFrame:
    from harness.table import where
    from harness.table.sides import DATASET, chosen

    every = opened.frame()
    frame = where(every, conditions)
    if frame.empty and not every.empty:
        raise UsageError(f"no row meets every --where ({'; '.join(conditions)}); loosen it")
    return chosen(dataset, frame, DATASET, what="data set") if dataset else frame
