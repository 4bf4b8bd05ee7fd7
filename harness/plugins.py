"""Loads plugins one by one, so that a broken one costs itself alone.

pluggy checks signatures and names of hooks. A hook is called for one plugin at a time,
because one call for all of them would stop at the first that raises. What a plugin
registered before it raised is dropped with it.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pluggy

from harness import compatibility, hookspecs, parameters
from harness.entries import Entry, Failure, Kind, Source
from harness.errors import (
    HarnessError,
    PluginError,
    UnsupportedHarness,
    UsageError,
    first_line,
)

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
HOOKS: dict[str, Kind] = {
    "register_datasets": "dataset", "register_models": "model", "register_tasks": "task",
    "register_metrics": "metric", "register_optimizers": "optimizer",
    "register_observers": "observer",
}  # fmt: skip
# what every run measures, in columns of its own
OWN_METRICS = ("accuracy", "loss")
# what the harness itself passes to a factory
GIVEN: dict[Kind, tuple[str, ...]] = {
    "dataset": (), "model": ("data", "rngs"), "task": (), "metric": ("predictions",),
    "optimizer": ("learning_rate",), "observer": (),
}  # fmt: skip


def new_manager() -> pluggy.PluginManager:
    """A plugin manager that knows the harness's hooks and no plugin."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs.Hooks)
    return manager


def load(manager: pluggy.PluginManager, source: Source) -> list[Entry] | Failure:
    """Imports one plugin and collects its entries, or says why that failed."""
    try:
        compatibility.check(source)
        return register(manager, import_module(source), source)
    # a plugin that calls sys.exit on import must not end the harness
    except (Exception, SystemExit) as error:
        return _failure(source, error)


def refused(source: Source) -> Failure | None:
    """Why a plugin is not even imported: it is made for other versions of the harness."""
    try:
        compatibility.check(source)
    except HarnessError as error:
        return _failure(source, error)
    return None


def _failure(source: Source, error: BaseException) -> Failure:
    return Failure(
        source=source,
        error_type=type(error).__name__,
        message=first_line(error),
        traceback="".join(traceback.format_exception(error)),
        missing=_missing(error, source),
        names=_names(error, source),
    )


def _missing(error: BaseException, source: Source) -> str:
    """The package whose absence an import failed for; "" if that is not what happened."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    top = (name or "").partition(".")[0]
    # what lacks a part of its own is broken, not in want of something to install
    return "" if top == source.target.partition(".")[0] else top


def _names(error: BaseException, source: Source) -> tuple[tuple[str, str], ...]:
    """What a plugin would register that was not even imported."""
    if not isinstance(error, UnsupportedHarness):
        return ()
    return tuple((HOOKS[h], n) for h, n in compatibility.registered_names(source, HOOKS))


def import_module(source: Source) -> ModuleType:
    """The plugin's module; a file gets a module name of its own."""
    if source.origin != "file":
        return importlib.import_module(source.target)
    name = f"harness_plugin_{re.sub(r'[^A-Za-z0-9_]', '_', source.name)}_{source.version}"
    spec = importlib.util.spec_from_file_location(name, source.target)
    if spec is None or spec.loader is None:
        raise PluginError(f"{source.target} is not a Python file; name it *.py")
    module = importlib.util.module_from_spec(spec)
    # classes look up their module by name (pickle, dataclasses, type hints)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def register(manager: pluggy.PluginManager, plugin: object, source: Source) -> list[Entry]:
    """Lets one plugin register its entries; on any fault the manager forgets it.

    Raises:
      PluginError: a hook is unknown, an entry breaks the contract, or there is none.
      Exception: whatever the plugin itself raises.
    """
    entries: list[Entry] = []
    try:
        _check_hooks(manager, plugin, source)
        others = [p for p in manager.get_plugins() if p is not plugin]
        for hook, kind in HOOKS.items():
            caller = manager.subset_hook_caller(hook, remove_plugins=others)
            caller(register=_bound_register(kind, source, entries))
        if not entries:
            raise PluginError(
                "it registers nothing; write `@harness.hookimpl def register_models(register)` "
                f"or another of {', '.join(HOOKS)}"
            )
    except BaseException:
        # pluggy before 1.7 keeps a plugin that it refused half-way
        if manager.is_registered(plugin):
            manager.unregister(plugin)
        raise
    return entries


def _check_hooks(manager: pluggy.PluginManager, plugin: object, source: Source) -> None:
    """Hands the plugin to the manager, which knows its hooks and their arguments."""
    try:
        manager.register(plugin, name=source.target)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        hooks = ", ".join(f"{hook}(register)" for hook in HOOKS)
        raise PluginError(f"{' '.join(str(error).split())}; the hooks are {hooks}") from error


def _bound_register(kind: Kind, source: Source, entries: list[Entry]) -> Callable[..., None]:
    def register(name: str, factory: Callable[..., Any], **fields: Any) -> None:
        entry = make_entry(kind, name, factory, source=source, **fields)
        if any(e.kind == kind and e.name == name for e in entries):
            raise PluginError(f"{kind} {name!r} is registered twice by {source.place}")
        entries.append(entry)

    return register


def make_entry(
    kind: Kind,
    name: str,
    factory: Callable[..., Any],
    *,
    source: Source,
    variants: Any = {},
    description: str = "",
    paper: str = "",
    requires: Any = (),
    exempt: Any = {},
    files: Any = (),
) -> Entry:
    """Checks one registration and turns it into an `Entry`.

    Raises:
      PluginError: says which field is off and how.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise PluginError(
            f"{kind} name {name!r} cannot be typed in a selection; use letters, digits, "
            "'_', '-' and '.'"
        )
    if kind == "metric" and name in OWN_METRICS:
        raise PluginError(f"metric {name!r} is the harness's own; choose another name")
    if isinstance(requires, str):
        raise PluginError(f"requires={requires!r} of {name!r} is a string; give a tuple")
    for module in requires:
        if not isinstance(module, str) or not all(map(str.isidentifier, module.split("."))):
            raise PluginError(f"{name!r} requires {module!r}; expected a name to import")
    summary = (
        " ".join(description.split()) or (factory.__doc__ or "").strip().partition("\n")[0]
    )
    entry = Entry(
        kind=kind, name=name, source=source, factory=factory, description=summary,
        paper=paper, requires=tuple(requires), exempt=dict(exempt), files=tuple(files),
        parameters=parameters.describe(factory, given=GIVEN[kind]),
    )  # fmt: skip
    return Entry(**{**vars(entry), "variants": _check_variants(entry, variants)})


def _check_variants(entry: Entry, variants: Any) -> dict[str, dict[str, Any]]:
    checked: dict[str, dict[str, Any]] = {}
    if not isinstance(variants, Mapping):
        raise PluginError(
            f"variants={variants!r} of {entry.name!r}: expected a dict of name to changes"
        )
    for name, changes in variants.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise PluginError(f"variant {name!r} of {entry.name!r} cannot be typed")
        if not isinstance(changes, Mapping):
            raise PluginError(
                f"variant {name!r} of {entry.name!r} is {changes!r}; expected a dict of "
                "parameter to value"
            )
        try:
            known = parameters.check_names(entry, changes)
            checked[name] = {k: parameters.check(known[k], v) for k, v in changes.items()}
        except UsageError as error:
            raise PluginError(f"variant {name!r} of {entry.name!r}: {error}") from None
    return checked


def raise_if_strict(failures: list[Failure], *, strict: bool) -> None:
    """With `HARNESS_STRICT_PLUGINS=1` a plugin that fails to load ends the command."""
    if strict and failures:
        failure = failures[0]
        raise HarnessError(
            f"plugin {failure.source.name} ({failure.source.place}) failed to load: "
            f"{failure.error_type}: {failure.message}; see {failure.doctor}"
        )
