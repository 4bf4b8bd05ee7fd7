"""The Pythons that run the two sides: one for both, one each, or no trees at all.

Where both trees declare the same packages, this Python serves both. Where they do not, each
side gets an environment of its own, or is given one. Without git two environments are
compared with all that is installed in them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.gate.side import Side

REQUIREMENTS = "requirements.txt"
# where both sides agree in all of these, one environment serves both
DECLARED = ("pyproject.toml", "setup.py", "setup.cfg", REQUIREMENTS)
# what pyproject.toml says that changes no package: about the project, and to its checkers
ABOUT = {
    "authors", "classifiers", "description", "keywords", "license", "license-files",
    "maintainers", "readme", "urls", "version",
}  # fmt: skip
CHECKERS = {"black", "coverage", "isort", "mypy", "pyright", "pytest", "ruff", "towncrier"}
# what only its own tool installs as it says
LOCKS = {"uv.lock": "uv", "poetry.lock": "poetry", "pdm.lock": "pdm", "pixi.lock": "pixi"}


def from_environments(base: str, head: str) -> tuple[Side, Side]:
    """Two environments, by their interpreters; what is installed in each is compared.

    Raises:
      UsageError: one of them does not run, or has no harness.
    """
    sides = (Side("base", base, _absolute(base), ()), Side("head", head, _absolute(head), ()))
    for side in sides:
        check(side)
    return sides


def equipped(
    base: Side, head: Side, pythons: tuple[str | None, str | None], stack: ExitStack,
    *, note: Callable[[str], None],
) -> tuple[Side, Side]:  # fmt: skip
    """Both sides with the Python that runs them.

    Where the trees declare other packages and no Python is given, each side gets an
    environment of its own, which lives as long as the stack.

    Raises:
      UsageError: an environment cannot be made, does not run, or has no harness.
    """
    assert base.folder is not None and head.folder is not None
    if None in pythons:
        _refuse_locks(base.folder, head.folder)
    differ = declarations_differ(base.folder, head.folder)
    found = []
    for side, python in zip((base, head), pythons, strict=True):
        if python is not None:
            side = replace(side, python=_absolute(python))
        elif differ:
            note(f"installing the {side.name}, some minutes: {', '.join(differ)} changed")
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="harness-gate-"))
            side = with_environment(side, Path(folder) / side.name)
        if side.python != sys.executable:
            check(side)
        found.append(side)
    return found[0], found[1]


def declarations_differ(base: Path, head: Path) -> list[str]:
    """The files in which the two trees may ask for other packages."""
    return [name for name in DECLARED if _asked(base / name) != _asked(head / name)]


def _asked(path: Path) -> bytes | dict[str, Any] | None:
    """What a file says of packages; all of it where that cannot be told."""
    content = _content(path)
    if content is None or path.name != "pyproject.toml":
        return content
    try:
        told = tomllib.loads(content.decode())
    except ValueError:
        return content
    for table, silent in (("project", ABOUT), ("tool", CHECKERS)):
        found = told.get(table, {})
        if isinstance(found, dict):  # what is no table is pip's to refuse
            told[table] = {k: v for k, v in found.items() if k not in silent}
    return told


def _refuse_locks(base: Path, head: Path) -> None:
    for name, tool in LOCKS.items():
        if _content(base / name) != _content(head / name):
            raise UsageError(
                f"{name} differs between the two sides, and only {tool} installs what it says; "
                "make an environment of each commit with it and give them with --base-env "
                "and --head-env"
            )


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def with_environment(side: Side, folder: Path) -> Side:
    """The side with an environment of its own, in which its tree is installed.

    Raises:
      UsageError: pip could not install it; ends with what pip said.
    """
    assert side.folder is not None
    python = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
    wanted = ["--editable", str(side.folder)]
    if (side.folder / REQUIREMENTS).is_file():
        wanted += ["--requirement", str(side.folder / REQUIREMENTS)]
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [python, "-m", "pip", "install", "--quiet", *wanted],
    ):
        # what pip leaves when it is interrupted goes with the environment
        scratch = {**os.environ, "TMPDIR": str(folder.parent)}
        done = subprocess.run(command, capture_output=True, text=True, env=scratch)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["no word why"]
            raise UsageError(
                f"the {side.name} ({side.revision}) cannot be installed: {said[-1]}; give an "
                f"environment that has it with --{side.name}-env"
            )
    return replace(side, python=python)


def check(side: Side) -> None:
    """Whether a side's Python runs and finds the harness.

    Raises:
      UsageError: it does not.
    """
    option = f"--{side.name}-env"
    try:
        done = subprocess.run(
            [side.python, "-P", "-c", "import harness"], capture_output=True, text=True,
            env=side.environment(), cwd=side.folder,
        )  # fmt: skip
    except OSError as error:
        raise UsageError(
            f"{option} {side.python!r} cannot be run ({error.strerror}); expected the path of "
            "an environment's python"
        ) from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no word why"])[-1]
        raise UsageError(
            f"the {side.name}'s Python {side.python} cannot import the harness ({said}); "
            f"declare model-zoo-harness as a dependency, or give {option} an environment "
            "that has it"
        )


def _absolute(python: str) -> str:
    """An interpreter from everywhere; its links stay, an environment is known by them."""
    return os.path.abspath(python) if os.sep in python else python
