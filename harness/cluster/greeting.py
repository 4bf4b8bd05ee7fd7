"""Whether a worker may be used: it has this harness, its libraries, and the plugins of a plan.

A worker with another version would measure something else under the same name, so it gets
nothing to do, and a line says what differs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from harness import machine, sources
from harness.cluster.shipping import Root, missing, receive
from harness.entries import Source

# of a machine, not of what is installed there
OWN = ("host", "cpu_model", *machine.SETTINGS)
NAMES = {"harness_version": "harness", "python_version": "Python"}


def asker() -> Callable[[], dict[str, str]]:
    """A function that tells what a worker has.

    A function within a function travels as code: it needs nothing of the harness that is
    installed there, which may be another one, or none.
    """

    def who() -> dict[str, str]:
        import importlib.metadata

        try:
            version = importlib.metadata.version("model-zoo-harness")
        except importlib.metadata.PackageNotFoundError:
            return {"harness_version": "none"}
        try:
            from harness import machine

            return dict(machine.key_parts())
        except Exception as error:
            return {"harness_version": version, "error": f"{type(error).__name__}: {error}"}

    return who


def difference(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """What a worker has otherwise, "" where it may be used."""
    for name, value in here.items():
        if name in OWN or there.get(name) == value:
            continue
        if name == "harness_code":
            return "its harness has other code of the same version"
        label = NAMES.get(name, name.removesuffix("_version"))
        return f"it has {label} {there.get(name, 'none')}, the command {label} {value}"
    return ""


def needed(found: Iterable[Source]) -> str:
    """The installed plugins of a plan, as JSON."""
    installed = [s for s in found if s.origin in ("built-in", "distribution")]
    return json.dumps([[s.name, s.target, s.source_hash] for s in installed])


def lacking(text: str) -> str:
    """On a worker: the first of some installed plugins that it lacks or has otherwise."""
    here = {source.target: source.source_hash for source in sources.find_sources()}
    for name, target, digest in json.loads(text):
        if target not in here:
            return f"plugin {name} is not installed there"
        if here[target] != digest:
            return f"plugin {name} has other code there"
    return ""


def greeted(
    client: Any,
    addresses: Sequence[str],
    *,
    here: Mapping[str, str],
    plugins: str,
    roots: Iterable[Root],
) -> dict[str, str | BaseException]:
    """Greets workers, all of them at once; those that may be used have all files then.

    Args:
      client: of Dask.
      here: what the command has, as `machine.key_parts`.
      plugins: the installed ones of a plan, as `needed`.
      roots: files that the plan needs.

    Returns:
      Why each may not be used, "" if it may, or what went wrong on it.
    """

    def fine() -> list[str]:
        return [address for address, why in found.items() if why == ""]

    def ask(function: Callable[..., Any], *args: Any, of: Sequence[str]) -> dict[str, Any]:
        answers = client.run(function, *args, workers=of, on_error="return") if of else {}
        found.update({a: why for a, why in answers.items() if isinstance(why, BaseException)})
        return {a: told for a, told in answers.items() if a not in found or found[a] == ""}

    found: dict[str, str | BaseException] = {}
    for address, there in ask(asker(), of=addresses).items():
        found[address] = difference(here, there)
    found |= ask(lacking, plugins, of=fine())
    for root in roots:
        about = (root.place, dict(root.files))
        lack = _lacking(ask(missing, *about, of=fine()))
        contents = {name: root.content(name) for name in root.files} if lack else {}
        # workers of one machine mostly share a folder: what one receives the others have
        first = list({_host(address): address for address in lack}.values())
        ask(receive, *about, contents, of=first)
        rest = [address for address in lack if address not in first]
        ask(receive, *about, contents, of=_lacking(ask(missing, *about, of=rest)))
    return found


def _lacking(answers: Mapping[str, bool]) -> list[str]:
    return [address for address, lacks in answers.items() if lacks]


def _host(address: str) -> str:
    return address.rpartition(":")[0]
