"""Sides from a real git repository."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest
from gate_repository import git

from harness.errors import UsageError
from harness.gate import trees
from harness.gate.side import Side


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits of `model.py`, a third version in the working tree, an untracked file."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    for text in ("one", "two"):
        (folder / "model.py").write_text(text)
        (folder / ".gitignore").write_text("ignored.py\n")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", text)
    (folder / "model.py").write_text("three")
    (folder / "new.py").write_text("new")
    (folder / "ignored.py").write_text("ignored")
    return folder


def content(side: Side, name: str = "model.py") -> str:
    assert side.folder is not None
    return (side.folder / name).read_text()


def test_the_head_is_the_working_tree_with_all_that_is_not_committed(repository: Path):
    with trees.from_git(repository, "HEAD", None, note=print) as (base, head):
        assert (content(base), content(head)) == ("two", "three")
        assert content(head, "new.py") == "new"
        assert head.folder is not None and not (head.folder / "ignored.py").exists()
        assert head.revision.startswith("working tree on ")
        assert len(str(base.folder)) == len(str(head.folder))
    assert not base.folder or not base.folder.exists()
    assert "harness-gate" not in git(repository, "worktree", "list")


def test_two_commits_are_two_worktrees(repository: Path):
    with trees.from_git(repository, "HEAD~1", "main", note=print) as (base, head):
        assert (content(base), content(head)) == ("one", "two")
        assert head.revision == f"main ({git(repository, 'rev-parse', 'main')[:10]})"


def test_a_deleted_file_is_not_in_the_copy(repository: Path):
    (repository / "model.py").unlink()
    with trees.from_git(repository, "HEAD", None, note=print) as (_, head):
        assert head.folder is not None and not (head.folder / "model.py").exists()


def test_an_unknown_revision_is_a_usage_error(repository: Path):
    with (
        pytest.raises(UsageError, match="no revision 'nowhere'"),
        trees.from_git(repository, "nowhere", None, note=print),
    ):
        pass


def test_a_shallow_clone_says_which_fetch_it_needs(repository: Path, tmp_path: Path):
    git(repository, "branch", "other", "HEAD~1")
    git(repository, "tag", "--annotate", "v1", "HEAD~1", "-m", "a release")
    first = git(repository, "rev-parse", "HEAD~1")
    git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")
    for revision in ("other", "origin/other", "v1", first, first[:9], "HEAD~1"):
        clone = tmp_path / f"shallow {revision.replace('/', ' ')}"
        git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository}", str(clone))
        with pytest.raises(UsageError, match="shallow clone; run `git fetch ") as caught:
            trees.resolve(clone, revision)
        told = str(caught.value)
        git(clone, *told.split("`")[1].split()[1:])  # exactly what it says
        name = "FETCH_HEAD" if "FETCH_HEAD" in told else revision
        assert trees.resolve(clone, name) == first


def test_links_are_copied_as_links(repository: Path):
    (repository / "lib").mkdir()
    (repository / "lib" / "deep.py").write_text("deep")
    (repository / "pkg").symlink_to("lib")
    (repository / "broken").symlink_to("nowhere")
    with trees.from_git(repository, "HEAD", None, note=print) as (_, head):
        assert content(head, "pkg/deep.py") == "deep"
        assert head.folder is not None and (head.folder / "pkg").readlink() == Path("lib")
        assert (head.folder / "broken").is_symlink()


def test_a_file_name_may_be_any_bytes(repository: Path):
    name = os.fsdecode(b"caf\xe9 \n.py")
    (repository / name).write_text("odd")
    with trees.from_git(repository, "HEAD", None, note=print) as (_, head):
        assert content(head, name) == "odd"


def test_a_tree_that_cannot_be_copied_is_a_usage_error(repository: Path, tmp_path: Path):
    (repository / "model.py").unlink()
    (repository / "model.py").symlink_to("/proc/self/mem")  # a link is no reading of it
    trees.copy_working_tree(repository, tmp_path / "fine")
    (tmp_path / "full").mkdir()
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(UsageError, match="cannot be copied to .*No space left.*TMPDIR"),
    ):

        def full(*args: object, **kwargs: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(trees.shutil, "copy2", full)
        trees.copy_working_tree(repository, tmp_path / "full" / "tree")


def test_submodules_are_said_to_be_missing(repository: Path):
    (repository / ".gitmodules").write_text("")
    notes: list[str] = []
    with trees.from_git(repository, "HEAD", None, note=notes.append):
        assert notes == ["note: submodules are not checked out, on neither side"]


def test_a_folder_without_git_points_to_environments(tmp_path: Path):
    with (
        pytest.raises(UsageError, match="--base-env and --head-env"),
        trees.from_git(tmp_path, "HEAD", None, note=print),
    ):
        pass


def test_a_sides_own_tree_comes_first_on_its_import_path(repository: Path):
    with trees.from_git(repository, "HEAD", None, note=print) as (base, _):
        done = subprocess.run(
            [base.python, "-P", "-c", "import new"], env=base.environment(), cwd="/",
            capture_output=True, text=True,
        )  # fmt: skip
        assert "No module named 'new'" in done.stderr  # the base does not have it
        assert base.folder is not None
        (base.folder / "here.py").write_text("print('mine')")
        said = subprocess.check_output(
            [base.python, "-P", "-c", "import here"], env=base.environment(), text=True
        )
        assert said == "mine\n"


def test_plugin_files_of_the_repository_are_each_sides_own(repository: Path, tmp_path: Path):
    elsewhere = tmp_path / "other.py"
    with trees.from_git(repository, "HEAD", None, note=print) as (base, _):
        assert base.folder is not None
        found = trees.plugin_files(
            base, repository, [str(repository / "model.py"), str(elsewhere)]
        )
        assert found == [str(base.folder / "model.py"), str(elsewhere)]
