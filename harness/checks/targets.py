"""From what the user names to the entries that are checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from harness import grammar
from harness.checks import names as known_checks
from harness.choices import Choice, resolve
from harness.entries import Entry, Failure, Kind, Source
from harness.errors import UnknownName, UsageError, did_you_mean
from harness.registry import Registry
from harness.sources import file_target

KINDS: tuple[Kind, ...] = ("model", "dataset")  # those that there are checks of


@dataclass(frozen=True)
class Target:
    """An entry with the parameters that it is checked with.

    Attributes:
      dataset: what a model is tried on first; None for a data set.
      tasks: the plugins that register tasks, by the tasks' names.
    """

    kind: Kind
    entry: Entry
    choice: Choice
    dataset: Choice | None = None
    tasks: Mapping[str, Source] = field(default_factory=dict)


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
        broken, selections = _meant(name, known)
        failures += [failure for failure in broken if failure not in failures]
        chosen += selections
        if name and not selections and not broken:
            raise UsageError(
                f"{name!r} registers neither a model nor a data set; there is nothing to check"
            )
    tried = _single(dataset, known) if any(kind == "model" for kind, _ in chosen) else None
    unique: dict[tuple[Kind, str], tuple[Kind, Choice]]
    unique = {(kind, choice.label): (kind, choice) for kind, choice in chosen}
    tasks = {entry.name: entry.source for entry in known.of_kind("task")}
    return [
        Target(
            kind,
            known.get(kind, choice.name),
            choice,
            tried if kind == "model" else None,
            tasks,
        )
        for kind, choice in unique.values()
    ], failures


def _meant(name: str, known: Registry) -> tuple[list[Failure], list[tuple[Kind, Choice]]]:
    """The plugins that are meant and did not load, and the choices that a name stands for."""
    if name and not is_file(name):
        return _named(name, known)
    place = file_target(name)
    entries = [
        entry for entry in known.entries.values()
        if entry.kind in known_checks.OF and (not name or entry.source.target == place)
    ]  # fmt: skip
    return [f for f in known.failures if not name or f.source.target == place], [
        (entry.kind, choice)
        for entry in sorted(entries, key=lambda e: (e.kind != "dataset", e.name))
        for choice in resolve(entry.kind, f'"{entry.name}"', known)
    ]


def _named(name: str, known: Registry) -> tuple[list[Failure], list[tuple[Kind, Choice]]]:
    """What a selection stands for, of whichever kind it is; of both if it is of both."""
    wanted = grammar.parse(name).name
    found: list[tuple[Kind, Choice]] = []
    for kind in KINDS:
        broken = known.broken(kind, wanted)
        if broken is not None:
            return [broken], []
        with suppress(UnknownName):
            for choice in resolve(kind, name, known):
                found.append((kind, choice))
    if not found:
        others = [kind for kind, n in known.entries if n == wanted]
        if others:
            raise UsageError(
                f"{wanted!r} is a {others[0]}; there are checks of models and data sets only"
            )
        names = [n for kind, n in known.entries if kind in KINDS]
        near = did_you_mean(wanted, names, what="models and data sets")
        raise UnknownName(f"nothing is called {wanted!r}; {near}")
    return [], found


def _single(dataset: str, known: Registry) -> Choice:
    choices = resolve("dataset", dataset, known)
    if len(choices) != 1:
        raise UsageError(f"--dataset {dataset!r} stands for {len(choices)} data sets; name one")
    return choices[0]
