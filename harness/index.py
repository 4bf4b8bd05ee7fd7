"""The index: what every plugin registers, remembered between commands.

Importing plugins means importing JAX, over a second of CPU; `harness list` and the check
of a selection need names and signatures only. They are kept in the cache folder under
the hash of each plugin's sources. A child process fills in what is new or changed, so
that not even a plugin that kills its process can take the command down. Failures are
not remembered: the next command tries again.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness import logs, plugins, registry
from harness.children import ask
from harness.entries import Entry, Failure, Source, entry_from_json, entry_to_json
from harness.paths import cache_dir, write_atomically
from harness.sources import allowed_from_environment, find_sources

# seconds that a child may take to import the plugins it is given
PATIENCE = 180.0
# seconds that the index may be held by another command, which writes it in milliseconds
LOCK_S = 2.0
SCHEMA = 1


def open_registry(
    files: Iterable[str | Path] = (), *, strict: bool | None = None
) -> registry.Registry:
    """The registry without factories, from the index where it is up to date.

    Args:
      files: paths of plugin files.
      strict: whether a plugin that fails is an error; None for what the environment says.

    Raises:
      UsageError: a plugin file does not exist.
      HarnessError: a plugin failed, and that is one, as with `HARNESS_STRICT_PLUGINS=1`.
    """
    strict = registry.strict_from_environment() if strict is None else strict
    sources = find_sources(files, allowed=allowed_from_environment())
    path = cache_dir() / "index.json"
    known = _read(path)
    remembered = {source: _recall(known, source) for source in sources}
    results: dict[Source, list[Entry] | Failure]
    results = {s: entries for s, entries in remembered.items() if entries is not None}
    # what the index remembers may be from under another version of the harness
    results |= {s: refused for s in sources if (refused := plugins.refused(s)) is not None}
    stale = [source for source in sources if source not in results]
    if stale:
        results |= describe(stale)
        _remember(
            path, {_key(s): _to_json(r) for s, r in results.items() if isinstance(r, list)}
        )
    found = registry.join([(s, _named(results[s], known)) for s in sources])
    plugins.raise_if_strict(list(found.failures), strict=strict)
    return found


def _named(result: list[Entry] | Failure, known: dict[str, Any]) -> list[Entry] | Failure:
    """A failure with the names that the plugin had when it last could be loaded."""
    if not isinstance(result, Failure):
        return result
    place = f":{result.source.target}:"
    names = {
        (value["kind"], value["name"])
        for key, values in known.items() if place in key and isinstance(values, list)
        for value in values if isinstance(value, dict) and {"kind", "name"} <= set(value)
    }  # fmt: skip
    return replace(result, names=tuple(sorted(names | set(result.names))))


def _key(source: Source) -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"{SCHEMA}:{version}:{source.target}:{source.version}:{source.source_hash}"


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):  # absent or damaged: fill it again
        return {}
    return content if isinstance(content, dict) else {}


def _remember(path: Path, fresh: dict[str, Any]) -> None:
    """Adds to the index, to which another command may have added something meanwhile."""
    from filelock import FileLock  # late: mostly nothing is new

    # a folder that is not writable, a lock that is held, a file system that has no locks (which
    # older versions of filelock say by NotImplementedError): then the next command asks again
    with suppress(OSError, NotImplementedError):
        path.parent.mkdir(parents=True, exist_ok=True)
        # users may share the folder, whose lock the first of them makes for all
        with FileLock(path.with_suffix(".lock"), timeout=LOCK_S, mode=0o666):
            write_atomically(path, json.dumps({**_read(path), **fresh}).encode())


def _recall(known: dict[str, Any], source: Source) -> list[Entry] | None:
    """What the index says of a source; None if it says nothing that can be read."""
    try:
        return _entries(known[_key(source)], source)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _entries(values: list[dict[str, Any]], source: Source) -> list[Entry]:
    return [entry_from_json({**v, "source": asdict(source)}) for v in values]


def _to_json(entries: list[Entry]) -> list[dict[str, Any]]:
    return [entry_to_json(entry) for entry in entries]


def describe(sources: list[Source]) -> dict[Source, list[Entry] | Failure]:
    """Loads sources in child processes and returns what each of them registers.

    One child serves them all; a source during which it dies is set down as failed, and
    another child goes on behind it.
    """
    results: dict[Source, list[Entry] | Failure] = {}
    waiting = list(sources)
    while waiting:
        lines, died = _ask_child(waiting)
        for source, line in zip(waiting, lines, strict=False):
            results[source] = _from_line(line, source)
        waiting = waiting[len(lines) :]
        if waiting:
            source = waiting.pop(0)
            results[source] = Failure(
                source=source, error_type="Died", message=died, traceback=died
            )
    return results


def _ask_child(sources: list[Source]) -> tuple[list[dict[str, Any]], str]:
    """What a child said, a line each source, and how it ended if it left some out."""
    asked = json.dumps([asdict(source) for source in sources])
    # a plugin may print anything, and without end
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with logs.kept(log) as stderr:
            answer = ask("harness.describe", asked, patience_s=PATIENCE, stderr=stderr)
        said = logs.last_line(log)
    lines = [json.loads(line) for line in answer.lines]
    if answer.code is None:
        return lines, f"it was still importing after {PATIENCE:g} s"
    return lines, f"the process that imported it died (exit {answer.code}) {said}"


def _from_line(line: dict[str, Any], source: Source) -> list[Entry] | Failure:
    if "failure" in line:
        names = tuple((kind, name) for kind, name in line["failure"]["names"])
        return Failure(source=source, **{**line["failure"], "names": names})
    return _entries(line["entries"], source)
