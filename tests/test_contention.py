"""Runs that go on at the same time find each other, in real processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness.contention import default_folder, watched

HOLDER = """
import sys
from pathlib import Path
from harness.contention import watched
with watched(Path(sys.argv[1])) as shared:
    print("in", flush=True)
    sys.stdin.readline()
    print(shared(), flush=True)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    """Another process that measures until it is sent a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "in\n"
    return process


def test_a_run_alone_is_alone_and_leaves_nothing(tmp_path: Path):
    with watched(tmp_path) as shared:
        assert not shared()
    assert list(tmp_path.iterdir()) == []


def test_both_know_whichever_came_first(tmp_path: Path):
    other = start(tmp_path)
    with watched(tmp_path) as shared:
        assert shared()
    said, _ = other.communicate("\n", timeout=60)
    assert said == "True\n"
    with watched(tmp_path) as shared:
        assert not shared()


def test_one_that_comes_and_goes_in_between_is_remembered(tmp_path: Path):
    with watched(tmp_path) as shared:
        other = start(tmp_path)
        said, _ = other.communicate("\n", timeout=60)
        assert said == "True\n"
        assert shared()


def test_a_killed_run_is_no_company(tmp_path: Path):
    other = start(tmp_path)
    other.kill()
    other.communicate(timeout=60)
    with watched(tmp_path) as shared:
        assert not shared()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_the_users_and_the_machines():
    assert default_folder() == default_folder() and default_folder().is_absolute()


def test_without_a_folder_nobody_knows(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with watched(tmp_path / "file" / "folder") as shared:
        assert shared() is None
