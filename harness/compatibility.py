"""Which versions of the harness a plugin is made for, read without importing it.

A file or module says it in a constant, `HARNESS_VERSIONS = ">=0.1,<0.2"`; an installed
distribution also by what it requires. One that is made for other versions is not imported:
it is unavailable, with what to install.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Collection, Iterator
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from harness.entries import Source
from harness.errors import PluginError, UnsupportedHarness
from harness.sources import DISTRIBUTION

CONSTANT = "HARNESS_VERSIONS"


def check(source: Source) -> None:
    """Compares what a plugin supports with the harness that is here.

    Raises:
      UnsupportedHarness: it is made for other versions.
      PluginError: what it says is no version specifier.
    """
    here = version(DISTRIBUTION)
    for said, where in _declared(source):
        if not _contains(said, here, where):
            raise UnsupportedHarness(
                f"it supports harness {said} ({where}), and this is {here}; install a version "
                f"of the plugin for {here}, or pip install '{DISTRIBUTION}{said}'"
            )


def _contains(said: str, here: str, where: str) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(said).contains(here, prereleases=True)
    except InvalidSpecifier:
        raise PluginError(
            f"{where} is {said!r}; expected a version specifier such as '>=0.1,<0.2'"
        ) from None


def _declared(source: Source) -> Iterator[tuple[str, str]]:
    """Each specifier of a plugin, and where it stands."""
    if source.origin not in ("file", "distribution"):  # ours, or typed in just now
        return
    if source.origin == "distribution":
        for said in _required(source.name):
            yield said, f"{source.name} requires {DISTRIBUTION}"
    tree = _parsed(source, having=CONSTANT)
    if tree is not None:
        yield from ((said, CONSTANT) for said in _constants(tree))


def _required(distribution: str) -> Iterator[str]:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    try:
        lines = requires(distribution) or []
    except PackageNotFoundError:  # an interrupted installation may lack its metadata
        lines = []
    for line in lines:
        try:
            found = Requirement(line)
        except InvalidRequirement:  # pip's to refuse
            continue
        wanted = found.marker is None or found.marker.evaluate({"extra": ""})
        if canonicalize_name(found.name) == DISTRIBUTION and wanted and found.specifier:
            yield str(found.specifier)


def _constants(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign):
            targets, value = [node.target], node.value
        else:
            continue
        if any(isinstance(t, ast.Name) and t.id == CONSTANT for t in targets):
            if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
                raise PluginError(
                    f"{CONSTANT} is {ast.unparse(value) if value else 'empty'}; expected a "
                    "version specifier as a plain text, such as '>=0.1,<0.2'"
                )
            yield value.value


def registered_names(source: Source, hooks: Collection[str]) -> Iterator[tuple[str, str]]:
    """Hook and name of each entry that a plugin's text registers by a plain name.

    Only what stands as `register("name", ...)` or `register(name="name", ...)` in a hook is
    found.
    """
    tree = _parsed(source)
    for function in tree.body if tree is not None else ():
        if not isinstance(function, ast.FunctionDef) or function.name not in hooks:
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "register":
                said = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "name")]
                for value in said:
                    if isinstance(value, ast.Constant) and isinstance(value.value, str):
                        yield function.name, value.value


def _parsed(source: Source, *, having: str = "") -> ast.Module | None:
    """The plugin's text, if it has a word in it.

    None where it cannot be read, which whoever imports it is told.
    """
    path = Path(source.target) if source.origin == "file" else _module_file(source.target)
    if path is None or path.suffix != ".py":
        return None
    try:
        text = path.read_bytes()
        return ast.parse(text) if having.encode() in text else None
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def _module_file(name: str) -> Path | None:
    """Where a module lies, found without importing it or a package that it is in."""
    top, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(
            f"{spec.name}.{part}", list(spec.submodule_search_locations)
        )
    return Path(spec.origin) if spec is not None and spec.origin else None
