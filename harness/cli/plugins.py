"""`harness plugins`: what was found, through which door, and what is broken."""

from __future__ import annotations

import json
from typing import Any

import click

from harness.cli.options import format_option, output_option, plugin_option, write_output
from harness.entries import Source
from harness.errors import UnknownName, did_you_mean
from harness.registry import Registry


@click.group("plugins", invoke_without_command=True)
@plugin_option()
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of each failure.")
@format_option("text", "json")
@output_option()
@click.pass_context
def plugins_command(
    context: click.Context,
    plugins: tuple[str, ...],
    verbose: bool,
    format_: str,
    output: str | None,
) -> None:
    """List plugins: name, version, origin, hooks, entries, status."""
    if context.invoked_subcommand is not None:
        context.obj = plugins
        return
    known, sources = _found(plugins)
    records = [to_record(source, known) for source in sources]
    if format_ == "json":
        write_output(json.dumps(records, indent=2), output)
    else:
        write_output("\n".join(_lines(r, verbose) for r in records), output)


@plugins_command.command("doctor")
@click.argument("name")
@plugin_option()
@click.pass_obj
def doctor_command(before: tuple[str, ...], name: str, plugins: tuple[str, ...]) -> None:
    """Say what a plugin suffers from: its traceback, the likely cause, what to do.

    NAME is the name of a plugin or of one of its entries, or the path of a plugin file.
    """
    files = [name] if name.endswith(".py") else []
    known, sources = _found((*before, *plugins, *files), strict=False)
    write_output("\n\n".join(_told(s, known) for s in _meant(name, sources, known)), None)


def _found(
    files: tuple[str, ...], *, strict: bool | None = None
) -> tuple[Registry, tuple[Source, ...]]:
    from harness.index import open_registry
    from harness.sources import allowed_from_environment, find_sources

    return open_registry(files, strict=strict), find_sources(
        files, allowed=allowed_from_environment()
    )


def _meant(name: str, sources: tuple[Source, ...], known: Registry) -> list[Source]:
    """The plugins that a name stands for: two may have an entry of one name.

    Raises:
      UnknownName: it stands for none.
    """
    from harness.sources import file_target

    claimed = {(f.source, n) for f in known.failures for _, n in f.names}
    claimed |= {(e.source, e.name) for e in known.entries.values()}
    place = file_target(name) if name.endswith(".py") else ""
    found = [s for s in sources if name == s.name or s.target == place or (s, name) in claimed]
    if not found:
        names = {s.name for s in sources} | {n for _, n in claimed}
        raise UnknownName(f"no plugin {name!r}; {did_you_mean(name, names, what='names')}")
    return found


def to_record(source: Source, known: Registry) -> dict[str, Any]:
    """A plugin as `harness plugins --format json` shows it."""
    from harness.plugins import HOOKS

    failure = next((f for f in known.failures if f.source == source), None)
    entries = [e for e in known.entries.values() if e.source == source]
    kinds = {e.kind for e in entries}
    return {
        "name": source.name,
        "version": source.version,
        "origin": source.origin,
        "target": source.target,
        "hooks": [hook for hook, kind in HOOKS.items() if kind in kinds],
        "entries": [f"{e.kind} {e.name}" for e in entries],
        "status": "ok" if failure is None else failure.status,
        "error": None if failure is None else f"{failure.error_type}: {failure.message}",
        "traceback": None if failure is None else failure.traceback,
    }


def _lines(record: dict[str, Any], verbose: bool) -> str:
    head = f"{record['name']} {record['version']}  {record['origin']} {record['target']}"
    if record["status"] == "ok":
        hooks = ", ".join(record["hooks"])
        return f"{head}  ok: {', '.join(record['entries'])} ({hooks})"
    text = f"{head}  {record['status']}: {record['error']}"
    return f"{text}\n{record['traceback'].rstrip()}" if verbose else text


def _told(source: Source, known: Registry) -> str:
    """What `harness plugins doctor` says of a plugin."""
    from harness.doctor import diagnose, lacking

    failure = next((f for f in known.failures if f.source == source), None)
    line = _lines(to_record(source, known), verbose=True)
    if failure is not None:
        found = [diagnose(failure)]
    else:
        entries = [e for e in known.entries.values() if e.source == source]
        found = [lack for lack in map(lacking, entries) if lack is not None]
    told = [f"\nlikely cause: {one.cause}\nwhat to do: {one.do}" for one in found]
    return "\n".join([line, *(told or ["nothing is wrong with it"])])
