"""Files that travel to workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cluster.shipping import missing, places, receive, root_of
from harness.errors import DataError, UsageError


def test_a_folder_arrives_whole_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"a")
    (folder / "deep" / "b.bin").write_bytes(b"\0\1")
    root = root_of(folder)
    contents = {name: root.content(name) for name in root.files}
    assert set(contents) == {"data/a.txt", "data/deep/b.bin"}
    assert missing(root.place, root.files)
    receive(root.place, root.files, contents)
    assert not missing(root.place, root.files)
    there = tmp_path / "cache" / root.place / "data" / "deep" / "b.bin"
    assert there.read_bytes() == b"\0\1"
    found = places([root], ["other.txt", str(folder / "deep" / "b.bin"), str(folder)])
    assert found == {
        str(folder / "deep" / "b.bin"): f"{root.place}/data/deep/b.bin",
        str(folder): f"{root.place}/data",
    }


def test_a_copy_that_was_changed_is_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "a.txt").write_bytes(b"a")
    root = root_of(tmp_path / "a.txt")
    receive(root.place, root.files, {"a.txt": b"a"})
    copy = tmp_path / "cache" / root.place / "a.txt"
    copy.write_bytes(b"changed")
    assert missing(root.place, root.files)
    receive(root.place, root.files, {"a.txt": b"a"})
    assert copy.read_bytes() == b"a"
    assert len(list((tmp_path / "cache" / "shipped").iterdir())) == 1


def test_bytes_that_changed_on_their_way_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "a.txt").write_bytes(b"a")
    root = root_of(tmp_path / "a.txt")
    with pytest.raises(DataError, match="did not arrive"):
        receive(root.place, root.files, {"a.txt": b"b"})
    (tmp_path / "a.txt").write_bytes(b"c")
    with pytest.raises(UsageError, match="changed while"):
        root.content("a.txt")
