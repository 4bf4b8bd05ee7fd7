"""The documents as a reader takes them: each page's blocks, in order, in a folder of its own.

A block of Python, TOML or YAML whose first line is a comment with a file's name is written to
that file; other Python is run, and so is each `$ ` line of a `console` block. What cannot be
run says why in a comment before the block that readers do not see:

    <!-- not run: needs an account at a package index -->

Indented blocks and fences of a shell are never run, so each of them needs such a comment.

`<!-- exits with: 3 -->` is for commands that are shown failing, `<!-- needs: imdb -->` for
those that need the real reviews. RUN in a command is the newest run of the page.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

import harness
from harness.cli import main

ROOT = Path(__file__).parent.parent
MARK = re.compile(r"<!-- (not run|exits with|needs): (.+?) -->")
# what looks like commands to a reader, and is not run
SHELL = ("indented", "bash", "sh", "shell", "zsh")
NAMED = re.compile(r"# ([\w./-]+\.\w+)\n")
# `harness run` as it stands, but for so much data, so many steps, and in one process
SMALLER = "--epochs 1 --limit 160 --batch-size 32 --seeds 1 --in-process"


@dataclass(frozen=True)
class Block:
    """One fenced or indented block.

    Attributes:
      place: page and line.
      language: the word behind the fence, or "indented".
      marks: what the comment before it says.
    """

    place: str
    language: str
    text: str
    marks: dict[str, str]

    @property
    def file(self) -> str:
        """The file that it belongs into, "" if none."""
        found = NAMED.match(self.text)
        return found[1] if found and self.language in ("python", "toml", "yaml") else ""

    @property
    def unasked(self) -> bool:
        """Whether it shows commands that nothing runs, and does not say why."""
        return self.language in SHELL and "not run" not in self.marks

    @property
    def commands(self) -> list[str]:
        """The commands of a console block, continued lines joined."""
        if self.language != "console":
            return []
        lines = self.text.replace("\\\n", "").splitlines()
        assert all(line.startswith("$ ") for line in lines), f"{self.place}: no `$ `"
        return [line.removeprefix("$ ") for line in lines]


def pages() -> list[str]:
    """The documents in the repository, by their paths."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    return sorted(name for name in listed if (ROOT / name).exists())


def blocks(page: str) -> list[Block]:
    return list(_blocks(page))


def _blocks(page: str) -> Iterator[Block]:
    marks: dict[str, str] = {}
    for token in MarkdownIt().parse((ROOT / page).read_text(encoding="utf-8")):
        if token.type == "html_block":
            marks = dict(MARK.findall(token.content))
        elif token.type in ("fence", "code_block"):
            line = token.map[0] + 1 if token.map else 0
            language = token.info.strip() if token.type == "fence" else "indented"
            yield Block(f"{page}:{line}", language, token.content, marks)
            marks = {}


def run_page(page: str, folder: Path, *, has_imdb: bool) -> list[str]:
    """Does what a page says; the commands that were run.

    Commands of the harness are called in this process, which has loaded its libraries. From
    the page's `pip install` on they are programs of an environment of the page's own.
    """
    found = blocks(page)
    installs = any("pip install" in command for block in found for command in block.commands)
    binaries = Path(sys.executable).parent
    if installs:
        binaries = new_environment(folder.parent / "environment")
    ran: list[str] = []
    for block in found:
        if "not run" in block.marks or (block.marks.get("needs") == "imdb" and not has_imdb):
            continue
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            _run([binaries / "python", "-c", block.text], block, folder, binaries)
        for command in block.commands:
            small = f"{command} {SMALLER}" if command.startswith("harness run ") else command
            if " RUN " in small:
                small = small.replace(" RUN ", f" {_newest_run(folder)} ")
            installed = any("pip install" in one for one in ran)
            if command.startswith("harness ") and not installed:
                _call(small, block, folder)
            else:
                _run(small, block, folder, binaries)
            ran.append(command)
    return ran


def _newest_run(folder: Path) -> str:
    """What a reader puts in the place of RUN."""
    return harness.load(f"sqlite:///{folder}/harness.db")["run_id"].iloc[-1]


def _call(command: str, block: Block, folder: Path) -> None:
    """Calls a command of the harness; what it does to the process is taken back."""
    handler = signal.getsignal(signal.SIGTERM)
    said = io.StringIO()
    code: object = None
    with contextlib.chdir(folder), redirect_stdout(said), redirect_stderr(said):
        try:
            main(shlex.split(command)[1:])
        except SystemExit as end:
            code = end.code
        finally:
            signal.signal(signal.SIGTERM, handler)
    _expect(code, command, block, said.getvalue())


def _run(words: str | list[str | Path], block: Block, folder: Path, binaries: Path) -> None:
    """Runs a line of the shell, or a program with its words."""
    environment = {
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        # no index is asked, and what builds is what the tests have
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "GIT_AUTHOR_NAME": "reader",
        "GIT_AUTHOR_EMAIL": "reader@localhost",
        "GIT_COMMITTER_NAME": "reader",
        "GIT_COMMITTER_EMAIL": "reader@localhost",
    }  # fmt: skip
    # the installed plugins of this environment are wanted
    environment.pop("HARNESS_PLUGINS", None)
    done = subprocess.run(
        words, shell=isinstance(words, str), cwd=folder, env=environment,
        capture_output=True, text=True,
    )  # fmt: skip
    _expect(done.returncode, words, block, f"{done.stdout}\n{done.stderr}")


def _expect(code: object, words: object, block: Block, said: str) -> None:
    wanted = int(block.marks.get("exits with", 0))
    assert code == wanted, f"{block.place}: {words} exits with {code}\n{said}"


def new_environment(folder: Path) -> Path:
    """An environment to install into, which sees the packages of this one; its commands."""
    venv.EnvBuilder(symlinks=True).create(folder)
    paths = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    here = sysconfig.get_path("purelib")
    (site / "here.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    binaries = Path(sysconfig.get_path("scripts", "venv", vars=paths))
    for command, program in (
        ("harness", "from harness.__main__ import main; main()"),
        ("pytest", "import sys, pytest; sys.exit(pytest.main())"),
    ):
        file = binaries / command
        file.write_text(f"#!{binaries / 'python'}\n{program}\n")
        file.chmod(0o755)
    assert sys.prefix != str(folder)
    return binaries
