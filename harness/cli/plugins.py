"""`harness plugins`: what was found, through which door, and what is broken."""

from __future__ import annotations

import json
from typing import Any

import click

from harness.cli.options import format_option, output_option, plugin_option, write_output
from harness.entries import Source
from harness.registry import Registry


@click.command("plugins")
@plugin_option()
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of each failure.")
@format_option("text", "json")
@output_option()
def plugins_command(
    plugins: tuple[str, ...], verbose: bool, format_: str, output: str | None
) -> None:
    """List plugins: name, version, origin, entries, status."""
    from harness.index import open_registry
    from harness.sources import allowed_from_environment, find_sources

    known = open_registry(plugins)
    sources = find_sources(plugins, allowed=allowed_from_environment())
    records = [to_record(source, known) for source in sources]
    if format_ == "json":
        write_output(json.dumps(records, indent=2), output)
    else:
        write_output("\n".join(_lines(r, verbose) for r in records), output)


def to_record(source: Source, known: Registry) -> dict[str, Any]:
    """A plugin as `harness plugins --format json` shows it."""
    failure = next((f for f in known.failures if f.source == source), None)
    entries = [f"{e.kind} {e.name}" for e in known.entries.values() if e.source == source]
    return {
        "name": source.name,
        "version": source.version,
        "origin": source.origin,
        "target": source.target,
        "entries": entries,
        "status": "ok" if failure is None else "failed",
        "error": None if failure is None else f"{failure.error_type}: {failure.message}",
        "traceback": None if failure is None else failure.traceback,
    }


def _lines(record: dict[str, Any], verbose: bool) -> str:
    head = f"{record['name']} {record['version']}  {record['origin']} {record['target']}"
    if record["status"] == "ok":
        return f"{head}  ok: {', '.join(record['entries'])}"
    text = f"{head}  failed: {record['error']}"
    return f"{text}\n{record['traceback'].rstrip()}" if verbose else text
