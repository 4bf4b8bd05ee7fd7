"""Which Python runs a side: this one, one that is given, or one of its own by a real pip."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from contextlib import ExitStack
from pathlib import Path

import pytest
from gate_repository import git

from harness.errors import UsageError
from harness.gate import environments, trees
from harness.gate.side import Side


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One commit of `model.py`."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "model.py").write_text("one")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    return folder


def test_two_environments_need_no_git():
    base, head = environments.from_environments(sys.executable, sys.executable)
    assert (base.name, head.name) == ("base", "head")
    assert base.python == head.python == sys.executable and base.folder is None
    with pytest.raises(UsageError, match="--head-env '/nowhere' cannot be run"):
        environments.from_environments(sys.executable, "/nowhere")


def test_a_python_without_the_harness_is_refused_with_what_to_do(tmp_path: Path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path)], check=True)
    bare = str(tmp_path / "bin" / "python")
    with pytest.raises(
        UsageError, match="the head's Python .* cannot import the harness .*No module named"
    ):
        environments.from_environments(sys.executable, bare)


@pytest.mark.parametrize(("lock", "tool"), environments.LOCKS.items())
def test_a_lock_that_differs_asks_for_environments(repository: Path, lock: str, tool: str):
    (repository / lock).write_text("jax 2")
    with trees.from_git(repository, "HEAD", None, note=print) as sides, ExitStack() as stack:
        with pytest.raises(UsageError, match=f"{lock} differs .* only {tool} installs"):
            environments.equipped(*sides, (sys.executable, None), stack, note=print)
        given = (sys.executable, sys.executable)
        assert environments.equipped(*sides, given, stack, note=print) == sides


def test_an_environment_inherits_no_import_path(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    assert "PYTHONPATH" not in Side("base", "x", sys.executable, ()).environment()
    tree = Side("base", "x", sys.executable, (Path("/a"), Path("/b")), Path("/a"))
    assert tree.environment()["PYTHONPATH"] == "/a:/b:/elsewhere"


def test_other_packages_mean_an_environment_for_each_side(
    repository: Path, monkeypatch: pytest.MonkeyPatch
):
    installed: list[str] = []

    def install(side: Side, folder: Path) -> Side:
        installed.append(side.name)
        return side

    monkeypatch.setattr(environments, "with_environment", install)
    with (
        trees.from_git(repository, "HEAD", None, note=print) as (base, head),
        ExitStack() as stack,
    ):
        environments.equipped(base, head, (None, None), stack, note=print)
        assert installed == [] and head.folder is not None
        (head.folder / "pyproject.toml").write_text("[project]\n")
        environments.equipped(base, head, (sys.executable, None), stack, note=print)
    assert installed == ["head"]


@pytest.mark.parametrize(
    ("base", "head", "differ"),
    [
        ('[project]\nversion = "1"', '[project]\nversion = "2"\n[tool.ruff]\nx = 1', False),
        ('[project]\ndependencies = ["jax"]', '[project]\ndependencies = ["jax<1"]', True),
        ("[build-system]\nrequires = []", '[build-system]\nrequires = ["flit"]', True),
        ("[dependency-groups]\ndev = []", '[dependency-groups]\ndev = ["pytest"]', True),
        ("[tool.setuptools]\nx = 1", "[tool.setuptools]\nx = 2", True),
        ("project = 1", "project = 2", True),
        ("no toml 1", "no toml 2", True),
        ("no toml", "no toml", False),
    ],
)
def test_only_what_may_change_a_package_asks_for_other_environments(
    tmp_path: Path, base: str, head: str, differ: bool
):
    for name, text in (("base", base), ("head", head)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(text)
    found = environments.declarations_differ(tmp_path / "base", tmp_path / "head")
    assert found == (["pyproject.toml"] if differ else [])


# builds itself with nothing from an index
BACKEND = """
import pathlib, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    info, here = "tiny-{version}.dist-info", pathlib.Path(__file__).parent
    files = {{
        "tiny.pth": f"{{here}}\\n{harness}\\n{site}\\n",
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
ROOT, SITE = Path(__file__).parent.parent, sysconfig.get_path("purelib")
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
        (repository / "pyproject.toml").write_text(f"{DECLARATION}[tool.tiny]\nof = {version}")
        (repository / "backend.py").write_text(
            BACKEND.format(version=version, harness=ROOT, site=SITE)
        )
        if version == "1":
            git(repository, "add", ".")
            git(repository, "commit", "-m", "declares its packages")
    program = "from importlib.metadata import version; print(version('tiny'))"
    notes: list[str] = []
    with trees.from_git(repository, "HEAD", None, note=print) as sides, ExitStack() as stack:
        base, head = environments.equipped(*sides, (None, None), stack, note=notes.append)
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
            environments.with_environment(head, tmp_path / "again")
    assert notes == [
        f"installing the {name}, some minutes: pyproject.toml changed"
        for name in ("base", "head")
    ]


def test_an_interpreter_named_from_here_is_found_from_everywhere(
    repository: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(repository)
    (repository / "env").symlink_to(sys.prefix)
    here = f"env/bin/{Path(sys.executable).name}"
    assert environments.from_environments(here, here)[0].python == str(repository / here)
    with trees.from_git(repository, "HEAD", None, note=print) as sides, ExitStack() as stack:
        found = environments.equipped(*sides, (here, here), stack, note=print)
        assert [side.python for side in found] == [str(repository / here)] * 2
