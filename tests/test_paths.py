"""The folders that the environment names, and files that are whole or not there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from harness import paths
from harness.errors import UsageError


def test_the_cache_is_where_the_environment_says_and_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "a" / "b"))
    assert paths.cache_dir() == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()
    assert paths.cache_dir() == tmp_path / "a" / "b"


def test_relative_and_home_paths_become_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HARNESS_CACHE_DIR", "near")
    assert paths.cache_dir() == tmp_path / "near"
    monkeypatch.setenv("HARNESS_CACHE_DIR", "~/kept")
    assert paths.cache_dir() == tmp_path / "home" / "kept"
    monkeypatch.setenv("HARNESS_DATA_DIR", "~/data")
    assert paths.data_dir() == tmp_path / "home" / "data"


def test_the_home_of_nobody_is_a_folder_like_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE_DIR", "~nobody_at_all/cache")
    monkeypatch.setenv("HARNESS_DATA_DIR", "~nobody_at_all/data")
    assert paths.cache_dir() == tmp_path / "~nobody_at_all" / "cache"
    assert paths.data_dir() == tmp_path / "~nobody_at_all" / "data"


@pytest.mark.skipif(sys.platform == "win32", reason="permissions as POSIX has them")
def test_a_written_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    """Others may share a cache."""
    (tmp_path / "plain").write_bytes(b"")
    paths.write_atomically(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(sys.platform != "linux", reason="where Linux keeps caches")
@pytest.mark.parametrize("named", [None, ""])
def test_without_a_name_the_cache_is_the_platforms(
    named: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HARNESS_CACHE_DIR")
    if named is not None:
        monkeypatch.setenv("HARNESS_CACHE_DIR", named)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert paths.cache_dir() == tmp_path / "model-zoo-harness"


def test_a_cache_that_cannot_be_made_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    for place in ("file", "file/below"):
        monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / place))
        with pytest.raises(UsageError, match="cannot be created .*; set HARNESS_CACHE_DIR"):
            paths.cache_dir()


def test_a_cache_that_cannot_be_written_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    # permissions do not bind whoever runs tests as root
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    with pytest.raises(UsageError, match="cannot be written; set HARNESS_CACHE_DIR"):
        paths.cache_dir()


def test_data_of_the_user_are_named_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)
    assert paths.data_dir() is None
    monkeypatch.setenv("HARNESS_DATA_DIR", "")
    assert paths.data_dir() is None
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "absent"))
    assert paths.data_dir() == tmp_path / "absent"
    assert not (tmp_path / "absent").exists()  # it is only ever read


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    paths.write_atomically(path, b"one")
    paths.write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["b.json"]


def test_a_write_that_fails_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(b"old")

    def refuse(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(TypeError):
        paths.write_atomically(path, "no bytes")  # type: ignore[arg-type]
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        paths.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["b.json"]


def test_the_whole_is_on_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.json"
    seen: list[bytes] = []
    replace = os.replace

    def looking(part: str, name: Path) -> None:
        assert not path.exists()
        seen.append(Path(part).read_bytes())
        replace(part, name)

    monkeypatch.setattr(os, "replace", looking)
    paths.write_atomically(path, b"all of it")
    assert seen == [b"all of it"]
    assert path.read_bytes() == b"all of it"
