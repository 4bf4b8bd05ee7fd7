"""What the registry knows of an entry: plain values that travel as JSON.

The command line plans a whole suite from these values alone, without importing a
plugin; the index in the cache folder stores them, and a worker process finds its plugin
again through `Source`. Only a process that loaded the plugin holds the `factory` too.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from harness.errors import UnsupportedHarness
from harness.specs import DataFile

Scalar = int | float | bool | str | None
Kind = Literal["model", "dataset", "task", "metric", "optimizer", "observer"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One keyword parameter of an entry, read from the factory's signature.

    Attributes:
      type: "int", "float", "bool" or "str".
      optional: whether `none` is allowed.
      choices: the values of a `Literal`; empty means any value of the type.
      minimum, maximum: inclusive bounds; None means unbounded.
      default: the value it has when nothing is said.
    """

    name: str
    type: Literal["int", "float", "bool", "str"]
    default: Scalar
    optional: bool = False
    choices: tuple[Scalar, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a plugin comes from, before it is imported.

    Attributes:
      name: the plugin's name: a built-in's module, a distribution, or a file's name.
      origin: which door it came through.
      target: what to import: a dotted module name, or the absolute path of a file.
      version: the distribution's version; for a file, the start of its hash.
      source_hash: SHA-256 of the Python files that may shape its entries.
    """

    name: str
    origin: Literal["built-in", "distribution", "file", "session"]
    target: str
    version: str
    source_hash: str

    @property
    def label(self) -> str:
        """The plugin as a row names it: `name==version`."""
        return f"{self.name}=={self.version}"

    @property
    def place(self) -> str:
        """The plugin as an error names it."""
        return f"{self.origin} {self.target}"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What one call of `register` left: a model, a data set, or another kind."""

    kind: Kind
    name: str
    source: Source
    parameters: tuple[Parameter, ...] = ()
    variants: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    description: str = ""
    paper: str = ""
    requires: tuple[str, ...] = ()
    exempt: Mapping[str, str] = field(default_factory=dict)
    factory: Callable[..., Any] | None = field(default=None, compare=False, repr=False)
    files: tuple[DataFile, ...] = field(default=(), compare=False, repr=False)

    @property
    def defaults(self) -> dict[str, Scalar]:
        return {p.name: p.default for p in self.parameters}

    def build(self) -> Callable[..., Any]:
        """The factory; an entry read from the index has none, which is our own fault."""
        if self.factory is None:
            raise RuntimeError(f"{self.name} was planned but not loaded")
        return self.factory


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A plugin that could not be loaded, and why.

    Attributes:
      missing: the package that it imports and that is not installed, if that is why.
      names: kind and name of what it registered when it last could be loaded, or of what its
        text says that it registers.
    """

    source: Source
    error_type: str
    message: str
    traceback: str
    missing: str = ""
    names: tuple[tuple[str, str], ...] = ()

    @property
    def status(self) -> Literal["failed", "unavailable"]:
        """Whether the plugin is at fault, or only lacks something here."""
        lacks = self.missing or self.error_type == UnsupportedHarness.__name__
        return "unavailable" if lacks else "failed"

    @property
    def doctor(self) -> str:
        """The command that shows its traceback and what to do."""
        source = self.source
        file = f" --plugin {shlex.quote(source.target)}" if source.origin == "file" else ""
        return f"`harness plugins doctor {shlex.quote(source.name)}{file}`"


def entry_to_json(entry: Entry) -> dict[str, Any]:
    """An entry as JSON values; what cannot travel (functions, files) is left out."""
    values = asdict(replace(entry, factory=None, files=()))
    del values["factory"], values["files"]
    return values


def entry_from_json(values: Mapping[str, Any]) -> Entry:
    """The inverse of `entry_to_json`."""
    rest = dict(values)
    parameters = [
        Parameter(**{**p, "choices": tuple(p["choices"])}) for p in rest.pop("parameters")
    ]
    return Entry(
        source=Source(**rest.pop("source")),
        parameters=tuple(parameters),
        requires=tuple(rest.pop("requires")),
        **rest,
    )
