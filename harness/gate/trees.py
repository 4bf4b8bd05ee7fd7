"""The two sides of a gate as source trees, taken from git.

The base is a commit, checked out into a git worktree of its own; the head is a commit too, or
a copy of the working tree with whatever is not committed. Both lie in one temporary
folder under names of one length, because even the length of a path has moved timings.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.errors import UsageError
from harness.gate.side import Side

# a way to a commit, or the start of its hash: no name that a remote knows
UNKNOWN_TO_A_REMOTE = re.compile(r"[~^@:]|^[0-9a-f]{4,39}$|^HEAD$")


@contextmanager
def from_git(
    repository: Path, base: str, head: str | None, *, note: Callable[[str], None]
) -> Iterator[tuple[Side, Side]]:
    """Two revisions of the repository that a folder lies in; no head is the working tree.

    Raises:
      UsageError: this is no repository, it has no such revision, or there is no room.
    """
    top = top_of(repository)
    inside = import_roots(top)
    if (top / ".gitmodules").is_file():
        note("note: submodules are not checked out, on neither side")
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
            sides.append(Side(name, told, sys.executable, roots, tree, top))
        yield sides[0], sides[1]


def top_of(folder: Path) -> Path:
    """The repository that a folder lies in.

    Raises:
      UsageError: it lies in none.
    """
    return Path(_git(folder, "rev-parse", "--show-toplevel")).resolve()


def import_roots(top: Path) -> list[Path]:
    """Folders of the repository that are on this process's import path, relative to it.

    An editable installation puts them there; the repository itself, and `src`, count too.
    """
    found = [Path("."), Path("src")]
    for entry in sys.path:
        path = Path(entry).resolve() if entry else None
        if path is None or not path.is_dir() or not path.is_relative_to(top):
            continue
        if "site-packages" not in path.parts:
            found.append(path.relative_to(top))
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
            f"revision {revision!r} is not in this shallow clone; {fetch(revision)}"
        )
    raise UsageError(f"no revision {revision!r} in {top}; give a commit, a branch or a tag")


def fetch(revision: str) -> str:
    """How to bring a revision into a shallow clone, in words."""
    name = revision.removeprefix("origin/")
    if UNKNOWN_TO_A_REMOTE.search(name):
        return "run `git fetch --unshallow`"
    if revision != name:
        return f"run `git fetch --depth=1 origin {name}:refs/remotes/origin/{name}`"
    return f"run `git fetch --depth=1 origin {name}` and name it FETCH_HEAD"


@contextmanager
def _worktree(top: Path, tree: Path, commit: str) -> Iterator[None]:
    _git(top, "worktree", "add", "--quiet", "--detach", str(tree), commit)
    try:
        yield
    finally:
        _run(top, "worktree", "remove", "--force", str(tree))


def copy_working_tree(top: Path, tree: Path) -> None:
    """Copies all files that git knows, changed or not, and those that it does not ignore.

    Raises:
      UsageError: a file cannot be read, or there is no room.
    """
    listed = _git(top, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    tree.mkdir()
    for name in filter(None, listed.split("\0")):
        source, target = top / name, tree / name
        # a deleted file is still listed; a link stays a link, also one to a folder
        if not source.is_symlink() and not source.is_file():
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
        except OSError as error:
            raise UsageError(
                f"{source} cannot be copied to {tree} ({error.strerror}); the head is a copy "
                "of the working tree in the temporary folder, which TMPDIR names"
            ) from None


def plugin_files(side: Side, repository: Path, files: Sequence[str]) -> list[str]:
    """Plugin files as the side has them: those of the repository from its own tree."""
    if side.folder is None:
        return [str(Path(file).absolute()) for file in files]
    top = top_of(repository)
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
            ["git", "-C", str(folder), *words], capture_output=True, text=True,
            # a file name may be any bytes
            encoding=sys.getfilesystemencoding(), errors="surrogateescape",
        )  # fmt: skip
    except OSError:
        raise UsageError(
            "git is not installed; install it, or compare two environments with --base-env "
            "and --head-env"
        ) from None
