"""The documents keep their word: commands and snippets run, hooks and columns are all there."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from gate_repository import git

import harness
from harness.hookspecs import Hooks, Register, RunHooks
from harness.observers import HOOKS
from harness.rows import COLUMNS

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for pattern in (
        "*.md",
        "docs/*.md",
        "models/*.md",
        "datasets/*.md",
        "plugins/*.md",
        "benchmarks/*.md",
    )
    for path in ROOT.glob(pattern)
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# commands run as they stand, but for so much data and so many steps
SMALLER = "--epochs 1 --limit 160 --batch-size 32 --seeds 1"


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text()
    return [body for kind, body in BLOCK.findall(text) if kind == language]


def named(block: str) -> str | None:
    """The file that a block belongs into, from its first line: `# bag.py`."""
    match = re.match(r"# ([\w.]+)\n", block)
    return match[1] if match else None


def commands() -> list[str]:
    lines = "".join(blocks("README.md", "console")).splitlines()
    assert all(line.startswith("$ harness ") for line in lines)
    return [line.removeprefix("$ ") for line in lines]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the README's files, as a reader would have made them."""
    folder = tmp_path_factory.mktemp("readme")
    git(folder, "init", "--quiet")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "first")
    for language in ("python", "toml"):
        for block in blocks("README.md", language):
            name = named(block)
            if name:
                (folder / name).write_text(block)
    assert {path.name for path in folder.iterdir()} == {".git", "bag.py", "suite.toml"}
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "plugin")
    return folder


def shell(words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    binaries = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        words, shell=True, cwd=folder, env=environment, capture_output=True, text=True
    )


def test_the_readmes_commands_run(folder: Path, real_imdb: bool):
    ran = []
    for command in commands():
        if re.search(r"imdb|\bRUN\b", command) and not real_imdb:
            continue  # test_the_tutorials_commands_need_data says so
        if " RUN " in command:  # the newest
            run_id = harness.load(f"sqlite:///{folder}/harness.db")["run_id"].iloc[-1]
            command = command.replace(" RUN ", f" {run_id} ")
        small = f"{command} {SMALLER}" if command.startswith("harness run") else command
        done = shell(small, folder)
        assert done.returncode == 0, f"{small}\n{done.stderr}"
        ran.append(command.split()[1])
    assert {"list", "run", "table", "report", "inspect", "gate"} <= set(ran)
    assert (folder / "rows.json").exists()
    assert len(list((folder / "figures").glob("*.png"))) == 2


def test_the_tutorials_commands_need_data(real_imdb: bool):
    assert any("imdb" in command for command in commands())
    if not real_imdb:
        pytest.skip("HARNESS_DATA_DIR holds no imdb/imdb.npz; the IMDB commands were not run")


def test_the_readmes_python_runs(folder: Path):
    scripts = [b for b in blocks("README.md", "python") if named(b) is None]
    assert scripts
    for script in scripts:
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("page", "words", "checks"),
    [
        (
            "models/README.md",
            "-d digits -m attention_pool",
            "--only outputs --only foreign_spec",
        ),
        ("datasets/README.md", "-d more_ones -m majority", ""),
    ],
)
def test_the_plugin_guides_complete_plugin_runs(
    page: str, words: str, checks: str, tmp_path: Path
):
    plugin = blocks(page, "python")[0]
    (tmp_path / "plugin.py").write_text(plugin)
    done = shell(f"harness run {words} --plugin plugin.py {SMALLER}", tmp_path)
    assert done.returncode == 0, done.stderr
    done = shell(f"harness check plugin.py {checks}", tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_guide_to_the_other_kinds_runs_as_it_stands(tmp_path: Path):
    page = "plugins/README.md"
    for block in blocks(page, "python"):
        name = named(block)
        assert name is not None
        (tmp_path / name).write_text(block)
    for line in "".join(blocks(page, "console")).splitlines():
        done = shell(line.removeprefix("$ "), tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    rows = (tmp_path / "curve.csv").read_text().splitlines()
    assert rows[0].startswith("mean_pool 0,1,") and len(rows) == 22


def test_make_has_the_readmes_targets():
    text = (ROOT / "Makefile").read_text()
    readme = (ROOT / "README.md").read_text()
    wanted = set(re.findall(r"(?:^    |`)make (\w+)", readme, re.MULTILINE))
    assert {"run", "test"} <= wanted
    for target in wanted:
        assert re.search(rf"^{target}:", text, re.MULTILINE), target


def test_every_hook_is_documented_with_its_exact_arguments():
    text = (ROOT / "docs/hooks.md").read_text()
    hooks = [f for name, f in inspect.getmembers(Hooks, inspect.isfunction)]
    assert len(hooks) >= 2
    for hook in hooks:
        names = [name for name in inspect.signature(hook).parameters if name != "self"]
        assert f"\n## {hook.__name__}({', '.join(names)})\n" in text
    for name in HOOKS:
        names = [
            n for n in inspect.signature(getattr(RunHooks, name)).parameters if n != "self"
        ]
        assert f"\n### {name}({', '.join(names)})\n" in text
    described = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert described == [
        p for p in inspect.signature(Register.__call__).parameters if p != "self"
    ]


def test_every_column_is_documented_under_its_group():
    text = (ROOT / "docs/columns.md").read_text()
    found: list[tuple[str, str]] = []
    group = ""
    for line in text.splitlines():
        if line.startswith("## "):
            group = line.removeprefix("## ")
        elif line.startswith("| `"):
            found += [(group, name) for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert sorted(found) == sorted((c.group, c.name) for c in COLUMNS)


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page}: {target}"
