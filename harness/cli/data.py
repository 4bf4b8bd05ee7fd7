"""`harness data`: files of data that the user brings."""

from __future__ import annotations

import click

from harness.cli.options import plugin_option


@click.group("data")
def data() -> None:
    """Bring data files of your own."""


@data.command("import")
@click.argument("dataset")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@plugin_option()
def import_command(dataset: str, paths: tuple[str, ...], plugins: tuple[str, ...]) -> None:
    """Copy files into the cache, where DATASET finds them.

    \b
    harness data import imdb ~/Downloads/imdb.npz ~/Downloads/imdb_word_index.json
    """
    from harness.api import choose, load_entry
    from harness.errors import UsageError
    from harness.files import import_files
    from harness.index import open_registry

    entry = load_entry("dataset", choose("dataset", dataset, open_registry(plugins)))
    if not entry.files:
        raise UsageError(f"data set {entry.name!r} needs no files; there is nothing to import")
    for path in import_files(entry.name, entry.files, paths):
        click.echo(str(path))
