import hashlib
import os
from pathlib import Path

import pytest

from harness.digests import Digests, compare, digest_file, published, remembered_digests
from harness.errors import DataError
from harness.specs import DataFile


def of(content: bytes) -> Digests:
    return Digests(hashlib.sha256(content).hexdigest(), hashlib.md5(content).hexdigest())


def test_digest_file_gives_both_checksums(tmp_path: Path) -> None:
    content = b"words" * 300_000  # more than one block
    (tmp_path / "a").write_bytes(content)
    assert digest_file(tmp_path / "a") == of(content)


def test_unchanged_file_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"one")
    first = remembered_digests(tmp_path / "a", memo=tmp_path / "memo.json")

    def fail(path: Path) -> Digests:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr("harness.digests.digest_file", fail)
    assert (
        remembered_digests(tmp_path / "a", memo=tmp_path / "memo.json") == first == of(b"one")
    )


def test_changed_file_is_read_again(tmp_path: Path) -> None:
    path, memo = tmp_path / "a", tmp_path / "memo.json"
    path.write_bytes(b"one")
    remembered_digests(path, memo=memo)
    path.write_bytes(b"two")  # of the same length: only the time tells
    os.utime(path, ns=(1, 1))
    assert remembered_digests(path, memo=memo) == of(b"two")
    path.write_bytes(b"three")
    os.utime(path, ns=(1, 1))  # of the same time: only the length tells
    assert remembered_digests(path, memo=memo) == of(b"three")


def test_another_file_of_the_same_length_and_time_is_read(tmp_path: Path) -> None:
    path, memo = tmp_path / "data.bin", tmp_path / "memo.json"
    digests = []
    for content in (b"one", b"two"):
        (tmp_path / "copy").write_bytes(content)
        os.utime(tmp_path / "copy", ns=(1, 1))
        (tmp_path / "copy").replace(path)  # as `cp -p` and `mv` do
        digests.append(remembered_digests(path, memo=memo))
    assert digests[0] != digests[1] == digest_file(path)


@pytest.mark.parametrize("damage", [b"{", b"[]", b"\xff", b'{"PATH": {"size": 3}}'])
def test_damaged_memo_is_filled_again(tmp_path: Path, damage: bytes) -> None:
    path, memo = tmp_path / "a", tmp_path / "memo.json"
    path.write_bytes(b"one")
    memo.write_bytes(damage.replace(b"PATH", str(path).encode()))
    assert remembered_digests(path, memo=memo) == of(b"one")


def test_memo_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "file").write_bytes(b"in the way of a folder")
    memo = tmp_path / "file" / "memo.json"
    assert remembered_digests(tmp_path / "a", memo=memo) == of(b"one")


def test_unreadable_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        remembered_digests(tmp_path / "absent", memo=tmp_path / "memo.json")


def test_published_checksum_is_compared_in_its_own_kind() -> None:
    found = of(b"one")
    assert compare(DataFile(name="a", url="", sha256=found.sha256.upper()), found) is None
    assert compare(DataFile(name="a", url="", md5=found.md5), found) is None
    assert compare(DataFile(name="a", url=""), found) is None
    other = DataFile(name="a", url="", md5=of(b"two").md5)
    assert compare(other, found) == (
        f"md5 {found.md5[:12]}, the published file is {of(b'two').md5[:12]}"
    )
    assert published(other) == ("md5", of(b"two").md5)
