"""What a plugin that could not be loaded probably suffers from, and what to do.

Only the failure is read: its type, its line and its traceback. Each rule looks for one
known cause; the last one says where it happened and nothing more.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from harness.entries import Entry, Failure, Source
from harness.errors import UnsupportedHarness, did_you_mean, pip_line
from harness.hookspecs import Register
from harness.plugins import HOOKS
from harness.registry import missing_requirements

FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)', re.MULTILINE)
UNKNOWN_HOOK = re.compile(r"unknown hook '(?P<hook>\w+)'")
NO_NAME = re.compile(r"cannot import name '(?P<name>\w+)' from '(?P<module>harness[\w.]*)'")
NAMED_HOOK = re.compile(r"hook '(?P<hook>\w+)'")
UNKNOWN_FIELD = re.compile(r"unexpected keyword argument '(?P<field>\w+)'")
FIELDS = tuple(inspect.signature(Register.__call__).parameters)[2:]
SHAPES = ", ".join(f"{hook}(register)" for hook in HOOKS)


@dataclass(frozen=True)
class Diagnosis:
    """The likely cause, and what mends it."""

    cause: str
    do: str


def diagnose(failure: Failure) -> Diagnosis:
    """The first rule that knows the failure."""
    for rule in RULES:
        found = rule(failure)
        if found is not None:
            return found
    return Diagnosis(
        f"it raised {failure.error_type}{_where(failure)}",
        "mend what stands there; `python -m pdb` on the file stops in it",
    )


def lacking(entry: Entry) -> Diagnosis | None:
    """Why an entry is unavailable though its plugin was loaded; None if it is not."""
    missing = missing_requirements(entry)
    if not missing:
        return None
    return Diagnosis(
        f"{entry.kind} {entry.name} is unavailable: it requires {', '.join(missing)}, not "
        "installed here",
        pip_line(missing),
    )


def _missing(failure: Failure) -> Diagnosis | None:
    if not failure.missing:
        return None
    return Diagnosis(
        f"it imports {failure.missing}, which is not installed{_where(failure)}",
        f"{pip_line([failure.missing])}, or name it in `requires` and import it where it is "
        "used",
    )


def _unsupported(failure: Failure) -> Diagnosis | None:
    if failure.error_type != UnsupportedHarness.__name__:
        return None
    cause, _, do = failure.message.partition("; ")
    return Diagnosis(f"it was not imported: {cause}", do)


def _no_python(failure: Failure) -> Diagnosis | None:
    if failure.error_type not in ("SyntaxError", "IndentationError", "TabError"):
        return None
    return Diagnosis(f"it is no valid Python{_where(failure)}", "mend that line")


def _died(failure: Failure) -> Diagnosis | None:
    if failure.error_type == "Died":
        return Diagnosis(
            f"the process ended while it was imported: {failure.message}",
            "import it by itself with `python -X faulthandler`, and look for os._exit, for "
            "native code and for work that belongs into a function",
        )
    if failure.error_type == "SystemExit":
        return Diagnosis(
            f"it calls exit while it is imported{_where(failure)}",
            "put it behind `if __name__ == '__main__':`",
        )
    return None


def _taken_name(failure: Failure) -> Diagnosis | None:
    if failure.error_type != "DuplicateName":
        return None
    return Diagnosis(
        failure.message, "rename one, or choose with HARNESS_PLUGINS which plugins load"
    )


def _wrong_hook(failure: Failure) -> Diagnosis | None:
    unknown = UNKNOWN_HOOK.search(failure.message)
    if unknown:
        near = did_you_mean(unknown["hook"], HOOKS, what="hooks")
        return Diagnosis(f"no hook is called {unknown['hook']}", near)
    if "hookimpl" in failure.message and "Argument(s)" in failure.message:
        named = NAMED_HOOK.search(failure.message)
        hook = named["hook"] if named and named["hook"] in HOOKS else "register_models"
        return Diagnosis(
            f"{hook} takes other arguments than it is given", f"write it as {hook}(register)"
        )
    if "registers nothing" in failure.message:
        return Diagnosis(
            "no function of it is a hook that registers something",
            f"mark one of them with @harness.hookimpl, and call register in it: {SHAPES}",
        )
    return None


def _old_name(failure: Failure) -> Diagnosis | None:
    found = NO_NAME.search(failure.message)
    if not found:
        return None
    return Diagnosis(
        f"{found['module']} has no {found['name']}: it is made for another version, or it is "
        "misspelt",
        "use names that `import harness` has, and say in HARNESS_VERSIONS which versions it is "
        "for",
    )


def _unknown_field(failure: Failure) -> Diagnosis | None:
    found = UNKNOWN_FIELD.search(failure.message)
    if (
        failure.error_type != "TypeError"
        or found is None
        or "make_entry" not in failure.message
    ):
        return None
    near = did_you_mean(found["field"], FIELDS, what="fields")
    return Diagnosis(f"register takes no {found['field']}{_where(failure)}", near)


def _contract(failure: Failure) -> Diagnosis | None:
    if failure.error_type != "PluginError":
        return None
    return Diagnosis("what it registers is not as the contract says", failure.message)


def _where(failure: Failure) -> str:
    """The last place of the traceback in the plugin itself, or else anywhere in its package."""
    frames = [(m["file"], m["line"]) for m in FRAME.finditer(failure.traceback)]
    own = [f for f in frames if _is_own(f[0], failure.source)]
    if not (own or frames):
        return ""
    file, line = (own or frames)[-1]
    return f" ({file}, line {line})"


def _is_own(file: str, source: Source) -> bool:
    """Whether a file is the plugin's, or lies within its package."""
    if source.origin == "file":
        return file == source.target
    wanted, parts = tuple(source.target.split(".")), PurePath(file).with_suffix("").parts
    size = len(wanted)
    return any(parts[i : i + size] == wanted for i in range(len(parts) - size + 1))


RULES: tuple[Callable[[Failure], Diagnosis | None], ...] = (
    _missing, _unsupported, _no_python, _died, _taken_name, _wrong_hook, _old_name,
    _unknown_field, _contract,
)  # fmt: skip
