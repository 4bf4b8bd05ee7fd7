"""The two sides of a gate: a source tree and a Python each.

The base is a commit, checked out into a git worktree of its own; the head is a commit too, or
a copy of the working tree with whatever is not committed. Both lie in one temporary
folder under names of one length, because even the length of a path has moved timings.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import UsageError

# where both sides agree in all of these, one environment serves both
DECLARED = (
    "pyproject.toml", "setup.py", "setup.cfg", "uv.lock", "poetry.lock", "pdm.lock",
    "requirements.txt",
)  # fmt: skip


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
      name: "base" or "head".
      revision: what it is, for a reader: a commit, "working tree", or an environment.
      python: the interpreter that runs it.
      roots: folders that are put in front of its import path, and whose files are its own.
      folder: its source tree; None where the side is an environment.
    """

    name: str
    revision: str
    python: str
    roots: tuple[Path, ...]
    folder: Path | None = None

    def environment(self) -> dict[str, str]:
        """The environment of its processes."""
        before = os.environ.get("PYTHONPATH")
        path = [str(root) for root in self.roots if self.folder is not None]
        joined = os.pathsep.join([*path, *([before] if before else [])])
        return {**os.environ, "PYTHONPATH": joined}


@contextmanager
def from_git(repository: Path, base: str, head: str | None) -> Iterator[tuple[Side, Side]]:
    """Two revisions of the repository that a folder lies in; no head is the working tree.

    Raises:
      UsageError: this is no repository, or it has no such revision.
    """
    top = Path(_git(repository, "rev-parse", "--show-toplevel"))
    inside = import_roots(top)
    with tempfile.TemporaryDirectory(prefix="harness-gate-") as folder, ExitStack() as stack:
        sides = []
        for name, revision in (("base", base), ("head", head)):
            tree = Path(folder) / name
            if revision is None:
                copy_working_tree(top, tree)
                told = f"working tree on {_git(top, 'rev-parse', '--short', 'HEAD')}"
            else:
                commit = resolve(top, revision)
                stack.enter_context(_worktree(top, tree, commit))
                told = f"{revision} ({commit[:10]})" if revision != commit else commit[:10]
            roots = tuple(tree / place for place in inside if (tree / place).is_dir())
            sides.append(Side(name, told, sys.executable, roots, tree))
        yield sides[0], sides[1]


def from_environments(base: str, head: str) -> tuple[Side, Side]:
    """Two environments, by their interpreters; what is installed in each is compared."""
    return _environment("base", base), _environment("head", head)


def _environment(name: str, python: str) -> Side:
    return Side(name, python, _absolute(python), (_site_packages(name, python),))


def _absolute(python: str) -> str:
    """An interpreter from everywhere; its links stay, an environment is known by them."""
    return os.path.abspath(python) if os.sep in python else python


def _site_packages(name: str, python: str) -> Path:
    """Where an environment's packages are, which shows that its interpreter runs.

    Raises:
      UsageError: it does not.
    """
    program = "import sysconfig; print(sysconfig.get_path('purelib'))"
    try:
        done = subprocess.run([python, "-c", program], capture_output=True, text=True)
    except OSError as error:
        raise UsageError(
            f"--{name}-env {python!r} cannot be run ({error.strerror}); expected the path of "
            "an environment's python"
        ) from None
    if done.returncode:
        raise UsageError(f"--{name}-env {python!r} is no working Python; expected its path")
    return Path(done.stdout.strip())


def import_roots(top: Path) -> list[Path]:
    """Folders of the repository that are on this process's import path, relative to it.

    An editable installation puts them there; the repository itself, and `src`, count too.
    """
    found = [Path("."), Path("src")]
    for entry in sys.path:
        path = Path(entry).resolve() if entry else None
        if path is None or not path.is_dir() or not path.is_relative_to(top.resolve()):
            continue
        if "site-packages" not in path.parts:
            found.append(path.relative_to(top.resolve()))
    return list(dict.fromkeys(found))


def resolve(top: Path, revision: str) -> str:
    """The commit that a revision names.

    Raises:
      UsageError: there is none; in a shallow clone it says which fetch would bring it.
    """
    done = _run(top, "rev-parse", "--verify", "--quiet", "--end-of-options",
                f"{revision}^{{commit}}")  # fmt: skip
    if done.returncode == 0:
        return done.stdout.strip()
    if _git(top, "rev-parse", "--is-shallow-repository") == "true":
        raise UsageError(
            f"revision {revision!r} is not in this shallow clone; run "
            f"`git fetch --depth=1 origin {revision}` for a branch or tag, or "
            "`git fetch --unshallow`"
        )
    raise UsageError(f"no revision {revision!r} in {top}; give a commit, a branch or a tag")


@contextmanager
def _worktree(top: Path, tree: Path, commit: str) -> Iterator[None]:
    _git(top, "worktree", "add", "--quiet", "--detach", str(tree), commit)
    try:
        yield
    finally:
        _run(top, "worktree", "remove", "--force", str(tree))


def copy_working_tree(top: Path, tree: Path) -> None:
    """Copies all files that git knows, changed or not, and those that it does not ignore."""
    listed = _run(top, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.stdout.split("\0")):
        source, target = top / name, tree / name
        if source.is_file():  # a deleted file is still listed
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def equipped(
    base: Side, head: Side, pythons: tuple[str | None, str | None], stack: ExitStack,
    *, note: Callable[[str], None],
) -> tuple[Side, Side]:  # fmt: skip
    """Both sides with the Python that runs them.

    Where the trees declare other packages and no Python is given, each side gets an
    environment of its own, which lives as long as the stack.
    """
    assert base.folder is not None and head.folder is not None
    differ = declarations_differ(base.folder, head.folder)
    found = []
    for side, python in zip((base, head), pythons, strict=True):
        if python is not None:
            _site_packages(side.name, python)
        if python is None and differ:
            note(f"installing the {side.name}: the two sides declare other packages")
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="harness-gate-"))
            side = with_environment(side, Path(folder) / side.name)
        found.append(side if python is None else replace(side, python=_absolute(python)))
    return found[0], found[1]


def declarations_differ(base: Path, head: Path) -> bool:
    """Whether the two trees ask for other packages."""
    return any(_content(base / name) != _content(head / name) for name in DECLARED)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def with_environment(side: Side, folder: Path) -> Side:
    """The side with an environment of its own, in which its tree is installed.

    Raises:
      UsageError: pip could not install it; ends with what pip said.
    """
    assert side.folder is not None
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet",
         "--editable", str(side.folder)],
    ):  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise UsageError(
                f"the {side.name} ({side.revision}) cannot be installed: {said[-1]}; give an "
                f"environment that has it with --{side.name}-env"
            )
    return replace(side, python=str(folder / "bin" / "python"))


def plugin_files(side: Side, repository: Path, files: Sequence[str]) -> list[str]:
    """Plugin files as the side has them: those of the repository from its own tree."""
    if side.folder is None:
        return [str(Path(file).absolute()) for file in files]
    top = Path(_git(repository, "rev-parse", "--show-toplevel")).resolve()
    return [
        str(side.folder / path.relative_to(top) if path.is_relative_to(top) else path)
        for path in (Path(file).resolve() for file in files)
    ]


def _git(folder: Path, *words: str) -> str:
    done = _run(folder, *words)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["git failed"]
        raise UsageError(
            f"git {words[0]} in {folder}: {said[-1]}; run in a git repository, or compare "
            "two environments with --base-env and --head-env"
        )
    return done.stdout.strip()


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True
        )
    except OSError:
        raise UsageError(
            "git is not installed; install it, or compare two environments with --base-env "
            "and --head-env"
        ) from None
