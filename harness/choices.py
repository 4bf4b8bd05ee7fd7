"""From a selection to choices: entries with a value for each of their parameters.

A selection is held against the registry's entries alone: names, variants, parameters, types
and bounds are checked before any plugin is imported.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness import grammar
from harness.entries import Entry, Kind, Scalar, Source
from harness.errors import UsageError, did_you_mean
from harness.parameters import check, check_names, show
from harness.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One resolved selection: an entry with a value for each of its parameters.

    Attributes:
      params: all parameters, resolved.
      given: those that stood in brackets; they name the choice and change nothing.
      changes: those that the variant changes, with the values it declares.
      source: the plugin that registered the entry.
    """

    name: str
    variant: str
    params: dict[str, Scalar]
    source: Source
    given: dict[str, Scalar] = field(default_factory=dict, compare=False)
    changes: dict[str, Scalar] = field(default_factory=dict, compare=False)

    @property
    def label(self) -> str:
        """The choice as a selection."""
        name = f"{self.name}:{self.variant}" if self.variant else self.name
        given = ",".join(f"{key}={show(value)}" for key, value in self.given.items())
        return f"{name}[{given}]" if given else name

    @property
    def identity(self) -> dict[str, Any]:
        """What decides a result; where the plugin's file lies does not."""
        source = {k: v for k, v in vars(self.source).items() if k != "target"}
        return {
            "name": self.name, "variant": self.variant, "params": self.params, "source": source,
        }  # fmt: skip


def choice_from_json(values: Mapping[str, Any]) -> Choice:
    """The inverse of `dataclasses.asdict` of a choice."""
    return Choice(**{**values, "source": Source(**values["source"])})


def resolve(kind: Kind, text: str, registry: Registry) -> list[Choice]:
    """All choices that a selection stands for, in the order of its values.

    Raises:
      UsageError: a name, variant, parameter or value is unknown.
    """
    selection = grammar.parse(text)
    broken = registry.broken(kind, selection.name)
    if broken is not None:
        return _unchecked(selection, broken.source)
    if selection.name == "*":
        entries = registry.of_kind(kind)
        if not entries:
            raise UsageError(f"{text!r} stands for nothing: no {kind} is registered")
    else:
        entries = [registry.get(kind, selection.name)]
    return [
        choice
        for entry in entries
        for variant in _variants(entry, selection.variant)
        for choice in _grid(entry, variant, selection)
    ]


def _unchecked(selection: grammar.Selection, source: Source) -> list[Choice]:
    """Choices of a plugin that does not load: the run will say so, and cost itself alone."""
    keys = [key for key, _ in selection.params]
    found = []
    for values in itertools.product(*(values for _, values in selection.params)):
        given = dict(zip(keys, values, strict=True))
        found.append(
            Choice(
                name=selection.name, variant=selection.variant, params=given, source=source,
                given=given,
            )
        )  # fmt: skip
    return found


def _variants(entry: Entry, asked: str) -> list[str]:
    if asked == "*":
        return ["", *entry.variants]
    if asked and asked not in entry.variants:
        raise UsageError(
            f"{entry.kind} {entry.name!r} has no variant {asked!r}; "
            f"{did_you_mean(asked, entry.variants, what='variants')}"
        )
    return [asked]


def _grid(entry: Entry, variant: str, selection: grammar.Selection) -> Iterator[Choice]:
    keys = [key for key, _ in selection.params]
    known = check_names(entry, keys)
    changes = dict(entry.variants.get(variant, {}))
    base = entry.defaults | changes
    for values in itertools.product(*(values for _, values in selection.params)):
        given = {k: check(known[k], v) for k, v in zip(keys, values, strict=True)}
        yield Choice(
            name=entry.name, variant=variant, params=base | given, source=entry.source,
            given=given, changes=changes,
        )  # fmt: skip
