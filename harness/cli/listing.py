"""`harness list`: every entry, from the index."""

from __future__ import annotations

import json
from typing import Any

import click

from harness.cli.options import (
    format_option,
    output_option,
    plugin_option,
    report_failures,
    write_output,
)
from harness.entries import Entry, Kind
from harness.parameters import show
from harness.registry import Registry, status

KINDS: dict[str, Kind] = {
    "models": "model", "datasets": "dataset", "tasks": "task", "metrics": "metric",
    "optimizers": "optimizer", "observers": "observer",
}  # fmt: skip


@click.command("list")
@click.argument("what", type=click.Choice(tuple(KINDS)), required=False)
@plugin_option()
@format_option("text", "json")
@output_option()
def list_command(
    what: str | None, plugins: tuple[str, ...], format_: str, output: str | None
) -> None:
    """List models, data sets and what else plugins register, with parameters and variants."""
    from harness.index import open_registry

    known = open_registry(plugins)
    report_failures(known)
    headings = [what] if what else list(KINDS)
    if format_ == "json":
        records = {h: [to_record(e) for e in known.of_kind(KINDS[h])] for h in headings}
        content = records[what] if what else records
        write_output(json.dumps(content, indent=2), output)
    else:
        write_output("\n\n".join(_section(h, known) for h in headings), output)


def to_record(entry: Entry) -> dict[str, Any]:
    """An entry as `harness list --format json` shows it."""
    return {
        "name": entry.name,
        "description": entry.description,
        "paper": entry.paper,
        "parameters": {p.name: p.default for p in entry.parameters},
        "variants": {name: dict(changes) for name, changes in entry.variants.items()},
        "origin": f"{entry.source.origin} {entry.source.target}",
        "plugin_version": entry.source.version,
        "status": status(entry),
    }


def _section(heading: str, known: Registry) -> str:
    entries = known.of_kind(KINDS[heading])
    return "\n".join([heading, *(_lines(entry) for entry in entries)])


def _lines(entry: Entry) -> str:
    state = status(entry)
    lines = [f"  {entry.name}  {entry.description}" + (f"  [{state}]" if state != "ok" else "")]
    if entry.paper:
        lines.append(f"      paper: {entry.paper}")
    if entry.parameters:
        shown = ", ".join(f"{p.name}={show(p.default)}" for p in entry.parameters)
        lines.append(f"      parameters: {shown}")
    if entry.variants:
        shown = "; ".join(f"{name} ({_changes(c)})" for name, c in entry.variants.items())
        lines.append(f"      variants: {shown}")
    return "\n".join(lines)


def _changes(changes: Any) -> str:
    return ", ".join(f"{key}={show(value)}" for key, value in changes.items())
