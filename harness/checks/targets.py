"""From what the user names to the entries that are checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.entries import Entry, Failure, Kind
from harness.errors import UnknownName, UsageError, did_you_mean
from harness.plan import Choice, resolve
from harness.registry import Registry

KINDS: tuple[Kind, ...] = ("model", "dataset")  # those that there are checks of


@dataclass(frozen=True)
class Target:
    """An entry with the parameters that it is checked with.

    Attributes:
      dataset: what a model is tried on first; None for a data set.
    """

    kind: Kind
    entry: Entry
    choice: Choice
    dataset: Choice | None = None


def is_file(name: str) -> bool:
    """Whether a plugin file is meant and not an entry."""
    return name.endswith(".py")


def find(
    names: Sequence[str], known: Registry, *, dataset: str
) -> tuple[list[Target], list[Failure]]:
    """Everything that the names stand for; without names everything that is registered.

    Args:
      names: selections of models and data sets, and paths of plugin files.
      dataset: the selection that models are tried on.

    Returns:
      What is to be checked, and the plugins that are meant and could not be loaded.

    Raises:
      UsageError: a name stands for nothing.
    """
    chosen: list[tuple[Kind, Choice]] = []
    failures: list[Failure] = []
    for name in names or ("",):
        sources, selections = _meant(name, known)
        failures += [f for f in known.failures if not name or f.source.target in sources]
        chosen += selections
        if name and not selections and not failures:
            raise UsageError(f"{name!r} registers no entry; there is nothing to check")
    (tried,) = _single(dataset, known) if any(k == "model" for k, _ in chosen) else (None,)
    unique = {(kind, choice.label): (kind, choice) for kind, choice in chosen}
    return [
        Target(kind, known.get(kind, choice.name), choice, tried if kind == "model" else None)
        for kind, choice in unique.values()
    ], failures


def _meant(name: str, known: Registry) -> tuple[set[str], list[tuple[Kind, Choice]]]:
    """The places of the plugins that a name stands for, and its choices."""
    if name and not is_file(name):
        return set(), list(_named(name, known))
    places = {str(Path(name).expanduser().resolve())} if name else set()
    entries = [e for e in known.entries.values() if not name or e.source.target in places]
    return places, [
        (entry.kind, choice)
        for entry in sorted(entries, key=lambda e: (e.kind != "dataset", e.name))
        for choice in resolve(entry.kind, f'"{entry.name}"', known)
    ]


def _named(name: str, known: Registry) -> Iterator[tuple[Kind, Choice]]:
    """The choices of a selection, whichever kind it is of; both if it is of both."""
    found = False
    for kind in KINDS:
        try:
            choices = resolve(kind, name, known)
        except UnknownName:
            continue
        found = True
        for choice in choices:
            yield kind, choice
    if not found:
        near = did_you_mean(name, [n for _, n in known.entries], what="names")
        raise UnknownName(f"nothing is called {name!r}; {near}")


def _single(dataset: str, known: Registry) -> list[Choice]:
    choices = resolve("dataset", dataset, known)
    if len(choices) != 1:
        raise UsageError(f"--dataset {dataset!r} stands for {len(choices)} data sets; name one")
    return choices
