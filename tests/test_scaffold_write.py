"""All files or none: what is there already stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.scaffold.write import write


def test_files_are_written_with_their_folders(tmp_path: Path):
    paths = write({"a/b/c.py": "x = 1\n", "a/d.md": "# d\n"}, tmp_path)
    assert paths == [tmp_path / "a/b/c.py", tmp_path / "a/d.md"]
    assert [path.read_text() for path in paths] == ["x = 1\n", "# d\n"]


def test_nothing_is_overwritten_and_then_nothing_written(tmp_path: Path):
    (tmp_path / "test_a.py").write_text("mine")
    with pytest.raises(UsageError, match="test_a.py is there already; choose another name"):
        write({"a.py": "", "test_a.py": ""}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["test_a.py"]


def test_a_folder_of_that_name_is_left_alone(tmp_path: Path):
    (tmp_path / "kit").mkdir()
    with pytest.raises(UsageError, match="kit is there already"):
        write({"kit/pyproject.toml": ""}, tmp_path)


def test_what_cannot_be_written_is_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="a.py cannot be written: "):
        write({"a.py": ""}, tmp_path / "file")
