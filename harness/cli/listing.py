"""`harness list`: every entry, from the index."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
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
from harness.registry import status

KINDS: dict[str, Kind] = {
    "models": "model", "datasets": "dataset", "tasks": "task", "metrics": "metric",
    "optimizers": "optimizer", "observers": "observer",
}  # fmt: skip


# authors and year, as a paper begins; numbers of arXiv:2004.05150 and of addresses are none
CITATION = re.compile(r".*?(?<![\w:./-])(?:19|20)\d\d[a-z]?\b(?![./-]?\d)[)\]]?")


@click.command("list")
@click.argument("what", type=click.Choice(tuple(KINDS)), required=False)
@click.option(
    "--long",
    "is_long",
    is_flag=True,
    help="Whole papers, defaults of parameters, and what variants change.",
)
@plugin_option()
@format_option("text", "json")
@output_option()
def list_command(
    what: str | None, is_long: bool, plugins: tuple[str, ...], format_: str, output: str | None
) -> None:
    """List models, data sets and what else plugins register: a line each.

    It has the paper, or what the entry is, its parameters and its variants.
    """
    from harness.index import open_registry

    known = open_registry(plugins)
    report_failures(known)
    headings = [what] if what else list(KINDS)
    if format_ == "json":
        records = {h: [to_record(e) for e in known.of_kind(KINDS[h])] for h in headings}
        content = records[what] if what else records
        write_output(json.dumps(content, indent=2), output)
    else:
        section = _long if is_long else _short
        write_output("\n\n".join(section(h, known.of_kind(KINDS[h])) for h in headings), output)


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


def _short(heading: str, entries: Sequence[Entry]) -> str:
    wide = max((len(entry.name) for entry in entries), default=0)
    return "\n".join([heading, *(f"  {e.name:{wide}}  {_line(e)}" for e in entries)])


def _line(entry: Entry) -> str:
    """Who published it, or else what it is; its parameters and its variants by name.

    >>> CITATION.match("Kim 2014, Convolutional Neural Networks for ...")[0]
    'Kim 2014'
    """
    cited = CITATION.match(entry.paper)
    parts = [cited[0] if cited else entry.description.removesuffix(".")]
    named = ("parameters", [p.name for p in entry.parameters]), ("variants", entry.variants)
    parts += [f"{what}: {', '.join(names)}" for what, names in named if names]
    return " | ".join(parts) + _state(entry)


def _state(entry: Entry) -> str:
    state = status(entry)
    return "" if state == "ok" else f"  [{state}]"


def _long(heading: str, entries: Sequence[Entry]) -> str:
    return "\n".join([heading, *(_lines(entry) for entry in entries)])


def _lines(entry: Entry) -> str:
    lines = [f"  {entry.name}  {entry.description}{_state(entry)}"]
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
