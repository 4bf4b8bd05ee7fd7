"""`harness data`: files of data that the user brings, and the cache they lie in."""

from __future__ import annotations

import json

import click

from harness.cli.options import format_option, plugin_option
from harness.paths import cache_dir


@click.group("data")
def data() -> None:
    """Bring data files of your own; see and empty the cache."""


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


@data.command("list")
@format_option("text", "json")
def list_command(format_: str) -> None:
    """Show what the cache holds, part by part."""
    from harness.cache import parts

    found = [{**vars(part), "path": str(part.path)} for part in parts()]
    if format_ == "json":
        click.echo(json.dumps(found, indent=2))
        return
    for part in found:
        size = f"{part['size_bytes'] / 1e6:,.1f} MB"
        click.echo(f"{part['name']:<12}{part['files']:>8} files  {size:>14}  {part['about']}")
    click.echo(f"in {cache_dir()}")


@data.command("clean")
@click.argument("parts", nargs=-1, metavar="[PART...]")
@click.option("--all", "everything", is_flag=True, help="All but spool, checkpoints.")
@click.option(
    "--older-than", type=click.FloatRange(min=0), default=0.0, metavar="DAYS",
    help="Keep files written in the last DAYS days.",
)  # fmt: skip
def clean_command(parts: tuple[str, ...], everything: bool, older_than: float) -> None:
    """Throw parts of the cache away; `harness data list` names them.

    Everything but the spool, which holds rows that no store has taken, can be made again.
    """
    from harness.cache import PARTS, clean

    if bool(parts) == everything:
        raise click.UsageError(f"name parts to clean ({', '.join(PARTS)}) or give --all")
    # a run that goes on may be writing there
    kept = ("spool", "checkpoints")
    chosen = [name for name in PARTS if name not in kept] if everything else list(parts)
    for part in clean(chosen, older_than_days=older_than):
        click.echo(f"{part.name}: {part.files} files, {part.size_bytes / 1e6:,.1f} MB removed")
