"""Which names a new plugin may have."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys

from harness.errors import UsageError
from harness.sources import find_sources

# no two underscores together and none at the end: pip takes no distribution `a--b` or `a-`
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# what the files use themselves: an entry's function of that name would stand in its place
USED = frozenset(
    ("harness", "math", "nnx", "np", "pathlib", "pytest", "register", "register_datasets",
     "register_models", "test_conformance", "test_it_goes_through_the_harness", "testing")
)  # fmt: skip


def check_name(name: str) -> None:
    """Refuses what Python could not import, or would import in place of something else.

    Raises:
      UsageError: says why, and suggests a name.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"name {name!r}: expected small letters, digits and single underscores between "
            f"them; use {_suggested(name)!r}"
        )
    other = f"use another one, such as {f'my_{name}'!r}"
    if keyword.iskeyword(name):
        raise UsageError(f"name {name!r} is a word of Python's; {other}")
    if name in USED or name == "conftest":
        raise UsageError(f"name {name!r} means something else in the new files; {other}")
    if any(source.name == name for source in find_sources(allowed="")):
        raise UsageError(f"name {name!r} is that of a built-in plugin; {other}")
    if name in sys.stdlib_module_names or _is_installed(name):
        raise UsageError(
            f"name {name!r} is that of an installed module, and would hide it; {other}"
        )


def _suggested(name: str) -> str:
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)  # WideDeep -> Wide_Deep
    found = re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")
    return found if NAME.fullmatch(found) else "my_plugin"


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # a module that is loaded and has no spec
        return True
