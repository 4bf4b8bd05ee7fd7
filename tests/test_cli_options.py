"""What several commands do with the same options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.cli.options import check_output
from harness.errors import NoStore


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder; the one that it is in can only be read, as for an ordinary user."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    home, allowed = Path.cwd(), os.access

    def access(path: str | Path, mode: int, **more: Any) -> bool:
        return os.path.normpath(path) != str(home.parent) and allowed(path, mode, **more)

    monkeypatch.setattr(os, "access", access)
    return home


@pytest.mark.parametrize("words", ["report --plots figures", "predict 3f2a words"])
def test_without_a_file_to_write_no_folder_above_is_needed(home: Path, words: str):
    done = CliRunner().invoke(cli, words.split())
    assert isinstance(done.exception, NoStore)


def test_a_plan_is_printed_where_the_folder_above_is_closed(home: Path, described_here: None):
    done = CliRunner().invoke(cli, "run -d digits -m majority --dry-run".split())
    assert done.exit_code == 0 and "digits x majority" in done.stdout


def test_a_file_that_could_not_be_written_is_refused(home: Path):
    check_output("here.html")
    with pytest.raises(click.UsageError, match=r"'\.\./there' *: folder .* is not writable"):
        check_output("../there")
    with pytest.raises(click.UsageError, match=r"'gone/it': no folder \S*/gone to write in"):
        check_output("gone/it")
