import hashlib
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import harness
from harness.errors import DataError, Unavailable, UsageError
from harness.files import import_files, may_download, without_downloads
from harness.progress import notes_to

WORDS = b'{"the": 1}'
ROWS = b"rows of numbers"
NOWHERE = "http://127.0.0.1:9/"  # the discard port: nobody listens


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def words(**changes: object) -> harness.DataFile:
    values = {"name": "words.json", "url": f"{NOWHERE}words.json", "sha256": sha256(WORDS)}
    return harness.DataFile(**{**values, **changes})  # type: ignore[arg-type]


def rows(check: Callable[[Path], None] | None = None) -> harness.DataFile:
    return harness.DataFile(name="rows.npz", url=f"{NOWHERE}rows.npz", check=check)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and no data folder."""
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    return tmp_path / "cache" / "data" / "toy"


@pytest.fixture
def notes() -> Iterator[list[str]]:
    heard: list[str] = []
    with notes_to(heard.append):
        yield heard


@pytest.fixture
def published(tmp_path: Path) -> Iterator[str]:
    """The address of a server that publishes `words.json`."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "words.json").write_bytes(WORDS)
    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/words.json"
        server.shutdown()
        thread.join()


def put(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def test_absent_file_is_downloaded_then_found_in_the_cache(
    published: str, cache: Path, notes: list[str]
) -> None:
    for origin in ("download", "cache"):
        found = harness.locate_files("toy", [words(url=published)])["words.json"]
        assert found == harness.LocatedFile(cache / "words.json", sha256(WORDS), origin)
    assert (cache / "words.json").read_bytes() == WORDS
    assert notes == []


def test_data_folder_comes_before_the_cache(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, notes: list[str]
) -> None:
    put(cache, "words.json", WORDS)
    own = put(tmp_path / "own" / "toy", "words.json", b"mine")
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "own"))
    found = harness.locate_files("toy", [words()])["words.json"]
    assert found == harness.LocatedFile(own, sha256(b"mine"), "data folder")
    assert notes == [
        f"toy: using HARNESS_DATA_DIR/toy/words.json (sha256 {sha256(b'mine')[:12]}, "
        f"the published file is {sha256(WORDS)[:12]})"
    ]
    assert [p.name for p in own.parent.iterdir()] == ["words.json"]


def test_data_folder_that_does_not_exist_is_told(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, notes: list[str]
) -> None:
    put(cache, "words.json", WORDS)
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "nowhere"))
    assert harness.locate_files("toy", [words()])["words.json"].origin == "cache"
    assert notes == [
        f"toy: HARNESS_DATA_DIR is {tmp_path / 'nowhere'}, and there is no such folder"
    ]


def test_published_file_in_the_data_folder_is_told_by_its_hash_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: list[str]
) -> None:
    put(tmp_path / "own" / "toy", "words.json", WORDS)
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "own"))
    harness.locate_files("toy", [words()])
    assert notes == [
        f"toy: using HARNESS_DATA_DIR/toy/words.json (sha256 {sha256(WORDS)[:12]})"
    ]


def test_data_folder_without_the_file_leaves_the_cache(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(cache, "words.json", WORDS)
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "own"))
    assert harness.locate_files("toy", [words()])["words.json"].origin == "cache"


def test_imported_file_that_differs_is_used_and_told(cache: Path, notes: list[str]) -> None:
    put(cache, "words.json", b"mine")
    assert harness.locate_files("toy", [words()])["words.json"].sha256 == sha256(b"mine")
    assert len(notes) == 1
    assert notes[0].startswith("toy: using the cache's words.json (sha256 ")


@pytest.mark.parametrize(
    ("folder", "advice"),
    [
        ("", "set HARNESS_DATA_DIR to a folder that has toy/words.json"),
        ("own", "put the file at {0}/own/toy/words.json (in HARNESS_DATA_DIR)"),
        ("no", "HARNESS_DATA_DIR is {0}/no, and there is no such folder: set it to one that "
         "has toy/words.json"),
        ("file", "HARNESS_DATA_DIR is {0}/file, and that is no folder: set it to one that "
         "has toy/words.json"),
    ],
)  # fmt: skip
def test_file_that_is_nowhere_says_what_to_do(
    folder: str, advice: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "file").touch()
    if folder:
        monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / folder))
    with pytest.raises(DataError) as caught:
        harness.locate_files("toy", [words()])
    assert str(caught.value) == (
        f"words.json cannot be downloaded from {NOWHERE}words.json: no connection to "
        f"127.0.0.1:9; {advice.format(tmp_path)}, or run `harness data import toy PATH`"
    )
    assert [p.name for p in cache.iterdir() if p.suffix != ".lock"] == []


def test_import_recognises_files_by_name_and_else_by_suffix(
    tmp_path: Path, cache: Path
) -> None:
    given = [put(tmp_path, "words.json", WORDS), put(tmp_path, "my rows.npz", ROWS)]
    assert import_files("toy", [rows(), words()], given) == [
        cache / "words.json",
        cache / "rows.npz",
    ]
    assert (cache / "words.json").read_bytes() == WORDS
    assert (cache / "rows.npz").read_bytes() == ROWS
    assert harness.locate_files("toy", [rows()])["rows.npz"].origin == "cache"


def test_import_replaces_what_the_cache_has(tmp_path: Path, cache: Path) -> None:
    put(cache, "words.json", b"old")
    harness.locate_files("toy", [words()])
    import_files("toy", [words()], [str(put(tmp_path, "words.json", WORDS))])
    assert harness.locate_files("toy", [words()])["words.json"].sha256 == sha256(WORDS)


def test_import_of_a_foreign_file_copies_none_of_them(tmp_path: Path, cache: Path) -> None:
    def refuse(path: Path) -> None:
        raise DataError(f"{path} is foreign")

    given = [put(tmp_path, "words.json", WORDS), put(tmp_path, "rows.npz", ROWS)]
    with pytest.raises(DataError, match=r"rows\.npz is foreign"):
        import_files("toy", [words(), rows(check=refuse)], given)
    assert not cache.exists()


def test_import_wants_to_know_which_file_a_path_is(tmp_path: Path, cache: Path) -> None:
    other = put(tmp_path, "notes.txt", b"?")
    with pytest.raises(UsageError, match=r"notes\.txt.* toy, which needs words\.json, rows"):
        import_files("toy", [words(), rows()], [other])
    several = [words(), words(name="other.json")]
    with pytest.raises(UsageError, match="not clearly a file of toy"):
        import_files("toy", several, [put(tmp_path, "mine.json", WORDS)])
    twice = [put(tmp_path, "a.json", WORDS), put(tmp_path, "b.json", WORDS)]
    with pytest.raises(UsageError, match=r"2 paths are given for words\.json"):
        import_files("toy", [words()], twice)
    with pytest.raises(UsageError, match="no file .* to import"):
        import_files("toy", [words()], [tmp_path / "absent" / "words.json"])
    with pytest.raises(UsageError, match="needs no files at all"):
        import_files("digits", [], [other])
    assert not cache.exists()


def test_import_into_a_cache_that_cannot_be_written_is_one_line(
    tmp_path: Path, cache: Path
) -> None:
    put(cache.parent, "toy", b"a file in the way of the folder")
    with pytest.raises(DataError, match="cannot be copied"):
        import_files("toy", [words()], [put(tmp_path, "words.json", WORDS)])


def test_without_downloads_a_file_that_is_not_there_is_unavailable(cache: Path, published: str):
    file = words(url=published)
    assert may_download()
    with without_downloads():
        assert not may_download()
    with without_downloads(), pytest.raises(Unavailable) as caught:
        harness.locate_files("toy", [file])
    assert "words.json" in str(caught.value) and "harness data import toy" in str(caught.value)
    assert not cache.exists()
    assert harness.locate_files("toy", [file])["words.json"].origin == "download"
    with without_downloads():
        assert harness.locate_files("toy", [file])["words.json"].origin == "cache"
