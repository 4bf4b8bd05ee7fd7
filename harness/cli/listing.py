"""`harness list`: every entry, or some by name, from the index."""

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
from harness.errors import UnknownName, UsageError, did_you_mean
from harness.parameters import allowed, show
from harness.registry import Registry, status

KINDS: dict[str, Kind] = {
    "models": "model", "datasets": "dataset", "tasks": "task", "metrics": "metric",
    "optimizers": "optimizer", "observers": "observer",
}  # fmt: skip


# authors and year, as a paper begins; numbers of arXiv:2004.05150 and of addresses are none
CITATION = re.compile(r".*?(?<![\w:./-])(?:19|20)\d\d[a-z]?\b(?![./-]?\d)[)\]]?")


@click.command("list")
@click.argument("words", nargs=-1, metavar=f"[{'|'.join(KINDS)}] [NAME]...")
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
    words: tuple[str, ...],
    is_long: bool,
    plugins: tuple[str, ...],
    format_: str,
    output: str | None,
) -> None:
    """List models, data sets and what else plugins register: a line each.

    It has the paper, or what the entry is, its parameters and its variants. Of a NAME all is
    told, and what values each parameter takes.
    """
    from harness.index import open_registry

    known = open_registry(plugins)
    report_failures(known)
    kinds, names = _read(words)
    found = {h: known.of_kind(KINDS[h]) for h in kinds}
    if names:
        found = _named(known, kinds, names)
    if format_ == "json":
        records = {h: [to_record(e) for e in entries] for h, entries in found.items()}
        content = records[kinds[0]] if len(kinds) == 1 else records
        write_output(json.dumps(content, indent=2), output)
    else:
        section = _whole if names else _long if is_long else _short
        write_output("\n\n".join(section(h, entries) for h, entries in found.items()), output)


def _read(words: Sequence[str]) -> tuple[list[str], Sequence[str]]:
    """The kinds that are asked for, and the names; a selection is taken for its name."""
    names = [re.split(r"[:\[]", word)[0] for word in words]
    if names and names[0] in KINDS:
        return [names[0]], names[1:]
    return list(KINDS), names


def _named(
    known: Registry, kinds: Sequence[str], names: Sequence[str]
) -> dict[str, list[Entry]]:
    """The entries of some names by their headings; one name may be of several kinds.

    Raises:
      UsageError: nothing has a name, or two plugins claim it.
    """
    if len(kinds) == 1:
        return {kinds[0]: [known.get(KINDS[kinds[0]], name) for name in names]}
    there = {h: set(known.names(KINDS[h])) for h in kinds}
    everything = set().union(*there.values())
    for name in names:
        if name in KINDS:
            raise UsageError(f"{name} stands behind a name; a kind comes first, and only one")
        if name not in everything:
            told = did_you_mean(name, {*KINDS, *everything}, what="kinds and names")
            raise UnknownName(f"nothing is called {name!r}; {told}{known.failure_hint()}")
    found = {h: [n for n in names if n in there[h]] for h in kinds}
    return {h: [known.get(KINDS[h], n) for n in some] for h, some in found.items() if some}


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


def _whole(heading: str, entries: Sequence[Entry]) -> str:
    return "\n".join([heading, *(_everything(entry) for entry in entries)])


def _everything(entry: Entry) -> str:
    """All that is known of an entry: a line for each parameter and each variant."""
    lines = [f"  {entry.name}  {entry.description}{_state(entry)}"]
    if entry.paper:
        lines.append(f"      paper: {entry.paper}")
    lines.append(
        f"      plugin: {entry.source.origin} {entry.source.target}, {entry.source.version}"
    )
    values = [(f"{p.name}={show(p.default)}", allowed(p)) for p in entry.parameters]
    variants = [(name, _changes(changes)) for name, changes in entry.variants.items()]
    for what, pairs in (("parameters", values), ("variants", variants)):
        wide = max((len(left) for left, _ in pairs), default=0)
        lines += [f"      {what}:"] if pairs else []
        lines += [f"        {left:{wide}}  {right}" for left, right in pairs]
    return "\n".join(lines)


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
