"""Names to entries.

The registry joins what the sources registered. A name that two plugins claim belongs to
neither: whoever asks for it is told both origins, so a benchmark never measures another
model than the one that was meant.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.machinery import PathFinder

from harness import plugins
from harness.entries import Entry, Failure, Kind, Source
from harness.errors import UnknownName, UsageError, did_you_mean, pip_line


@dataclass(frozen=True)
class Registry:
    """All entries by kind and name, and the plugins that failed.

    Attributes:
      entries: the entries; what two plugins claim is not among them.
      failures: plugins that could not be loaded, or that claimed a name twice.
      disputed: kind and name to the places of the plugins that claim it.
    """

    entries: Mapping[tuple[Kind, str], Entry]
    failures: tuple[Failure, ...] = ()
    disputed: Mapping[tuple[Kind, str], tuple[str, ...]] = field(default_factory=dict)

    def names(self, kind: Kind) -> list[str]:
        return sorted(name for k, name in self.entries if k == kind)

    def of_kind(self, kind: Kind) -> list[Entry]:
        return [self.entries[kind, name] for name in self.names(kind)]

    def get(self, kind: Kind, name: str) -> Entry:
        """The entry of that name.

        Raises:
          UnknownName: nothing has that name; the message lists the nearest.
          UsageError: two plugins claim it; the message names both.
        """
        if (kind, name) in self.disputed:
            places = " and ".join(self.disputed[kind, name])
            raise UsageError(
                f"{kind} {name!r} is registered by {places}; rename one, or choose with "
                "HARNESS_PLUGINS which plugins load"
            )
        if (kind, name) not in self.entries:
            raise UnknownName(
                f"no {kind} {name!r}; {did_you_mean(name, self.names(kind), what=f'{kind}s')}"
                f"{self.failure_hint()}"
            )
        return self.entries[kind, name]

    def broken(self, kind: Kind, name: str) -> Failure | None:
        """The plugin that failed to load and is meant, if nothing else has the name.

        It is meant by its own name, and by those that it had registered when it last loaded.
        """
        if (kind, name) in self.entries or (kind, name) in self.disputed:
            return None
        meant = (f for f in self.failures if f.source.name == name or (kind, name) in f.names)
        return next(meant, None)

    def failure_hint(self) -> str:
        """Which plugins failed, any of which might have had a name; "" if none did."""
        if not self.failures:
            return ""
        names = ", ".join(f.source.name for f in self.failures)
        doctors = ", ".join(f.doctor for f in self.failures)
        return f" (plugins that failed to load: {names}; see {doctors})"


def join(results: Iterable[tuple[Source, list[Entry] | Failure]]) -> Registry:
    """Builds the registry from what each source gave, in their order."""
    claims: dict[tuple[Kind, str], list[Entry]] = {}
    failures: list[Failure] = []
    for _, result in results:
        if isinstance(result, Failure):
            failures.append(result)
            continue
        for entry in result:
            claims.setdefault((entry.kind, entry.name), []).append(entry)
    disputed = {key: claim for key, claim in claims.items() if len(claim) > 1}
    failures += _duplicate_failures(disputed)
    rolled_back = {f.source for f in failures}
    return Registry(
        entries={
            key: claim[0]
            for key, claim in claims.items()
            if key not in disputed and claim[0].source not in rolled_back
        },
        failures=tuple(failures),
        disputed={key: tuple(e.source.place for e in claim) for key, claim in disputed.items()},
    )


def _duplicate_failures(disputed: Mapping[tuple[Kind, str], list[Entry]]) -> list[Failure]:
    """The later claimant of each name fails as a whole; the first keeps its other names."""
    failures: dict[Source, Failure] = {}
    for (kind, name), claim in disputed.items():
        for entry in claim[1:]:
            message = (
                f"{kind} {name!r} is already registered by {claim[0].source.place}; "
                "a name belongs to one plugin"
            )
            failures.setdefault(
                entry.source,
                Failure(
                    source=entry.source, error_type="DuplicateName",
                    message=message, traceback=message,
                ),
            )  # fmt: skip
    return list(failures.values())


def load(sources: Iterable[Source]) -> Registry:
    """Imports the sources in this process; entries hold their factories.

    Raises:
      HarnessError: a plugin failed and `HARNESS_STRICT_PLUGINS` is 1.
    """
    manager = plugins.new_manager()
    registry = join([(source, plugins.load(manager, source)) for source in sources])
    plugins.raise_if_strict(list(registry.failures), strict=strict_from_environment())
    return registry


def strict_from_environment() -> bool:
    return os.environ.get("HARNESS_STRICT_PLUGINS") == "1"


def missing_requirements(entry: Entry) -> list[str]:
    """Import names that the entry requires and that are not installed."""
    return [name for name in entry.requires if not _importable(name)]


def _importable(name: str) -> bool:
    """Whether a module is there; unlike `find_spec` alone, imports no parent of it."""
    if name in sys.modules:
        return True
    top, *rest = name.split(".")
    spec = importlib.util.find_spec(top)
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return False
        path = list(spec.submodule_search_locations)
        spec = PathFinder.find_spec(f"{spec.name}.{part}", path)
    return spec is not None


def status(entry: Entry) -> str:
    """ "ok", or "unavailable" with what to install."""
    missing = missing_requirements(entry)
    return f"unavailable ({pip_line(missing)})" if missing else "ok"
