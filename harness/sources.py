"""Finds plugins without importing one: built-ins, installed distributions, single files.

All three doors give the same value, a `Source`, so that whatever loads plugins treats a
built-in like a stranger's file. The hash covers the Python files that may shape what a
plugin registers; it decides when the index has to look again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import pkgutil
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from harness.entries import Source
from harness.errors import UsageError

GROUP = "harness"
BUILTIN_PACKAGES = ("harness_datasets", "harness_models", "harness_plugins")
DISTRIBUTION = "model-zoo-harness"


def find_sources(
    files: Iterable[str | Path] = (), *, allowed: str | None = None
) -> tuple[Source, ...]:
    """Every plugin there is, built-ins first, then distributions, then files.

    Args:
      files: paths of plugin files, as `--plugin` gives them.
      allowed: the value of `HARNESS_PLUGINS`: names of distributions or files to load,
        separated by commas; empty means built-ins only, None means all installed.

    Raises:
      UsageError: a file does not exist, or an allowed name is not installed.
    """
    named = None if allowed is None else [n.strip() for n in allowed.split(",") if n.strip()]
    found = [*_builtins(), *_distributions(named)]
    installed = {_canonical(source.name) for source in found}
    extra = [name for name in named or () if _canonical(name) not in installed]
    paths = dict.fromkeys(_resolve(path) for path in [*extra, *files])
    # two entry points may name one module
    return tuple(dict.fromkeys((*found, *map(file_source, paths))))


def _canonical(name: str) -> str:
    """A distribution's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _resolve(path: str | Path) -> Path:
    # unlike Path.expanduser, it leaves the home of nobody as it is
    full = Path(os.path.expanduser(path)).absolute()
    if not full.is_file():
        raise UsageError(
            f"no plugin file {str(path)!r}; give the path of a Python file, or for an "
            "installed plugin the name of its distribution in HARNESS_PLUGINS"
        )
    return full.resolve()


def file_target(path: str | Path) -> str:
    """A plugin file as `Source.target` names it, whether or not it is there."""
    return str(Path(os.path.expanduser(path)).resolve())


def file_source(path: Path) -> Source:
    """A plugin that is one file, wherever it lies.

    Raises:
      UsageError: the file cannot be read.
    """
    try:
        digest = _hash([path])
    except OSError as error:
        raise UsageError(
            f"plugin file {str(path)!r} cannot be read: {error.strerror}"
        ) from None
    return Source(
        name=path.stem, origin="file", target=str(path), version=digest[:8], source_hash=digest
    )


def _builtins() -> list[Source]:
    version = importlib.metadata.version(DISTRIBUTION)
    found: list[Source] = []
    for package in BUILTIN_PACKAGES:
        files = _python_files(package)
        if not files:
            continue
        # a leading underscore marks what plugins share, not a plugin
        names = sorted(m.name for m in pkgutil.iter_modules([str(files[0].parent)]))
        shared = [f for f in files if f.stem.startswith("_")]
        for name in names:
            if not name.startswith("_"):
                own = [f for f in files if f.stem == name or name in f.parts]
                target = f"{package}.{name}"
                found.append(
                    Source(
                        name=name, origin="built-in", target=target,
                        version=version, source_hash=_hash([*shared, *own]),
                    )
                )  # fmt: skip
    return found


def _distributions(named: Sequence[str] | None) -> list[Source]:
    allowed = None if named is None else {_canonical(name) for name in named}
    found: list[Source] = []
    for point in importlib.metadata.entry_points(group=GROUP):
        # an interrupted installation may lack its metadata, and so name and version
        dist = point.dist
        name = _known(lambda dist=dist: dist and dist.name) or point.name
        version = _known(lambda dist=dist: dist and dist.version) or "unknown"
        if allowed is None or _canonical(name) in allowed:
            target = point.value.partition(":")[0].strip()
            # the whole package: what a plugin registers may stand in its siblings
            digest = _hash(_python_files(target.partition(".")[0]), salt=version)
            found.append(
                Source(
                    name=name, origin="distribution", target=target,
                    version=version, source_hash=digest,
                )
            )  # fmt: skip
    found.sort(key=lambda source: (source.name, source.target))
    return found


def _known(ask: Callable[[], str | None]) -> str | None:
    """What a distribution says of itself; some ways of finding it raise where it cannot."""
    try:
        return ask()
    except FileNotFoundError:
        return None


def _python_files(package: str) -> list[Path]:
    """The files of a top-level module or package, found without importing it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # whoever imports it is told
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [Path(spec.origin)] if spec.origin else []
    files = (f for d in spec.submodule_search_locations for f in Path(d).rglob("*.py"))
    # editors put locks beside a file that are links to nowhere
    return sorted(f for f in files if f.is_file())


def _hash(files: Sequence[Path], *, salt: str = "") -> str:
    digest = hashlib.sha256(salt.encode())
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def allowed_from_environment() -> str | None:
    """`HARNESS_PLUGINS`, None if it is not set."""
    return os.environ.get("HARNESS_PLUGINS")


def package_hash(name: str) -> str:
    """SHA-256 of all Python files of a package, found without importing it."""
    return _hash(_python_files(name))
