"""Sides from a real git repository."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from gate_repository import git

from harness.errors import UsageError
from harness.gate import trees


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


def content(side: trees.Side, name: str = "model.py") -> str:
    assert side.folder is not None
    return (side.folder / name).read_text()


def test_the_head_is_the_working_tree_with_all_that_is_not_committed(repository: Path):
    with trees.from_git(repository, "HEAD", None) as (base, head):
        assert (content(base), content(head)) == ("two", "three")
        assert content(head, "new.py") == "new"
        assert head.folder is not None and not (head.folder / "ignored.py").exists()
        assert head.revision.startswith("working tree on ")
        assert len(str(base.folder)) == len(str(head.folder))
    assert not base.folder or not base.folder.exists()
    assert "harness-gate" not in git(repository, "worktree", "list")


def test_two_commits_are_two_worktrees(repository: Path):
    with trees.from_git(repository, "HEAD~1", "main") as (base, head):
        assert (content(base), content(head)) == ("one", "two")
        assert head.revision == f"main ({git(repository, 'rev-parse', 'main')[:10]})"


def test_a_deleted_file_is_not_in_the_copy(repository: Path):
    (repository / "model.py").unlink()
    with trees.from_git(repository, "HEAD", None) as (_, head):
        assert head.folder is not None and not (head.folder / "model.py").exists()


def test_an_unknown_revision_is_a_usage_error(repository: Path):
    with (
        pytest.raises(UsageError, match="no revision 'nowhere'"),
        trees.from_git(repository, "nowhere", None),
    ):
        pass


def test_a_shallow_clone_says_which_fetch_it_needs(repository: Path, tmp_path: Path):
    clone = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository}", str(clone))
    with pytest.raises(UsageError, match=r"shallow clone; run `git fetch .*--unshallow`"):
        trees.resolve(clone, git(repository, "rev-parse", "HEAD~1"))


def test_a_folder_without_git_points_to_environments(tmp_path: Path):
    with (
        pytest.raises(UsageError, match="--base-env and --head-env"),
        trees.from_git(tmp_path, "HEAD", None),
    ):
        pass


def test_two_environments_need_no_git():
    base, head = trees.from_environments(sys.executable, sys.executable)
    assert base.roots == head.roots and (base.roots[0] / "jax").is_dir()
    assert (base.name, head.name) == ("base", "head")
    with pytest.raises(UsageError, match="--head-env '/nowhere' cannot be run"):
        trees.from_environments(sys.executable, "/nowhere")


def test_a_sides_own_tree_comes_first_on_its_import_path(repository: Path):
    with trees.from_git(repository, "HEAD", None) as (base, _):
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
    with trees.from_git(repository, "HEAD", None) as (base, _):
        assert base.folder is not None
        found = trees.plugin_files(
            base, repository, [str(repository / "model.py"), str(elsewhere)]
        )
        assert found == [str(base.folder / "model.py"), str(elsewhere)]


def test_other_packages_mean_an_environment_for_each_side(
    repository: Path, monkeypatch: pytest.MonkeyPatch
):
    installed: list[str] = []

    def install(side: trees.Side, folder: Path) -> trees.Side:
        installed.append(side.name)
        return side

    monkeypatch.setattr(trees, "with_environment", install)
    with trees.from_git(repository, "HEAD", None) as (base, head), ExitStack() as stack:
        trees.equipped(base, head, (None, None), stack, note=lambda text: None)
        assert installed == [] and head.folder is not None
        (head.folder / "pyproject.toml").write_text("[project]\n")
        trees.equipped(base, head, (sys.executable, None), stack, note=lambda text: None)
    assert installed == ["head"]


# builds itself with nothing from an index
BACKEND = """
import pathlib, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    info, here = "tiny-{version}.dist-info", pathlib.Path(__file__).parent
    files = {{
        "tiny.pth": f"{{here}}\\n",
        f"{{info}}/METADATA": "Metadata-Version: 2.1\\nName: tiny\\nVersion: {version}\\n",
        f"{{info}}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }}
    listed = "".join(f"{{name}},,\\n" for name in (*files, f"{{info}}/RECORD"))
    wheel = "tiny-{version}-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder, wheel), "w") as archive:
        for name, text in (*files.items(), (f"{{info}}/RECORD", listed)):
            archive.writestr(name, text)
    return wheel
"""
DECLARATION = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def test_an_environment_of_its_own_has_what_the_sides_tree_declares(
    repository: Path, tmp_path: Path
):
    """By a real pip, in two environments at once."""
    for version in ("1", "2"):
        (repository / "pyproject.toml").write_text(f"# {version}\n{DECLARATION}")
        (repository / "backend.py").write_text(BACKEND.format(version=version))
        if version == "1":
            git(repository, "add", ".")
            git(repository, "commit", "-m", "declares its packages")
    program = "from importlib.metadata import version; print(version('tiny'))"
    notes: list[str] = []
    with trees.from_git(repository, "HEAD", None) as sides, ExitStack() as stack:
        base, head = trees.equipped(*sides, (None, None), stack, note=notes.append)
        said = [
            subprocess.check_output(
                [side.python, "-c", program], text=True, cwd=tmp_path
            ).strip()
            for side in (base, head)
        ]
        assert said == ["1", "2"] and base.python != head.python
        assert head.folder is not None
        (head.folder / "backend.py").write_text("raise ImportError('no backend')")
        with pytest.raises(UsageError, match="the head .* cannot be installed: .*--head-env"):
            trees.with_environment(head, tmp_path / "again")
    assert [note.split(":")[0] for note in notes] == [
        "installing the base",
        "installing the head",
    ]


def test_an_interpreter_named_from_here_is_found_from_everywhere(
    repository: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(repository)
    (repository / "bin").symlink_to(Path(sys.executable).parent)
    here = f"bin/{Path(sys.executable).name}"
    assert trees.from_environments(here, here)[0].python == str(repository / here)
    with trees.from_git(repository, "HEAD", None) as sides, ExitStack() as stack:
        found = trees.equipped(*sides, (here, here), stack, note=lambda text: None)
        assert [side.python for side in found] == [str(repository / here)] * 2
