"""`harness store`: results in and out of a store."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import store_option, store_url
from harness.errors import UsageError, counted

if TYPE_CHECKING:
    from harness.rows import Result
    from harness.store import Store


@click.group("store")
def store() -> None:
    """Export, import and merge results."""


@store.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@store_option()
def export_command(file: Path, store: str | None) -> None:
    """Write all results of a store to FILE, *.jsonl or *.parquet.

    A record is a row with its epochs and arrays; where it was measured stays with it.
    """
    from harness.store import open_store
    from harness.transfer import write_file

    with open_store(store_url(store), must_exist=True) as opened:
        count = write_file(file, opened.results())
    click.echo(f"{counted(count, 'result')} written to {file}")


@store.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=Path)
@store_option()
def import_command(paths: tuple[Path, ...], store: str | None) -> None:
    """Add the results in files, or in folders of files, to a store.

    What the store has already stays as it is.
    """
    from harness.store import open_store
    from harness.transfer import read_file

    files = [file for path in paths for file in _files(path)]
    with open_store(store_url(store)) as opened:
        _add(opened, (result for file in files for result in read_file(file)))


@store.command("merge")
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@store_option()
def merge_command(urls: tuple[str, ...], store: str | None) -> None:
    """Add the results of other stores to a store.

    Rows of several machines live side by side; none takes another's place.
    """
    from harness.store import open_store

    with open_store(store_url(store)) as opened:
        for url in urls:
            with open_store(url, must_exist=True) as other:
                _add(opened, other.results())


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(f for f in path.iterdir() if f.suffix in (".jsonl", ".parquet"))
    if not found:
        raise UsageError(f"no *.jsonl or *.parquet file in {path}")
    return found


def _add(opened: Store, results: Iterable[Result]) -> None:
    """Adds results; one that the store refuses costs no other."""
    from harness.errors import AlreadyStored, StoreError
    from harness.spool import take

    known: list[str] = []
    refused: list[StoreError] = []

    def add(result: Result) -> None:
        try:
            opened.add(result)
        except AlreadyStored:
            known.append(result.row["run_id"])

    taken = take((partial(add, result) for result in results), refused)
    added = counted(taken - len(known), "result")
    click.echo(f"{added} added to {opened.name}, {len(known)} there already")
    if refused:
        first = f"{counted(len(refused), 'result')} refused, the first with: {refused[0]}"
        raise StoreError(f"{first}; what is added stays")
