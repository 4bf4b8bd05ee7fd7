"""Every download here comes from a real server on loopback that follows a script."""

import hashlib
import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from file_server import (
    BODY,
    HALF,
    HASTY,
    QUICK,
    Reply,
    Served,
    busy,
    half,
    left,
    redirect,
    rest,
    send,
    silent,
    whole,
)

from harness.download import download
from harness.errors import DataError
from harness.progress import report_to
from harness.specs import DataFile


def test_file_arrives_whole_and_reports_its_progress(served: Served, tmp_path: Path) -> None:
    served.replies = [rest]
    heard: list[tuple[str, int, int | None]] = []
    with report_to(lambda *values: heard.append(values)):
        download(served.file(), tmp_path / "new" / "body.bin", patience=QUICK)
    assert (tmp_path / "new" / "body.bin").read_bytes() == BODY
    assert left(tmp_path / "new") == ["body.bin"]
    assert heard[0] == ("downloading body.bin", 0, len(BODY))
    assert heard[-1] == ("downloading body.bin", len(BODY), len(BODY))
    assert len(heard) > 3


def test_md5_alone_and_no_published_size_serve_too(served: Served, tmp_path: Path) -> None:
    served.replies = [rest]
    file = served.file(size=None, sha256=None, md5=hashlib.md5(BODY).hexdigest())
    download(file, tmp_path / "body.bin", patience=QUICK)
    assert (tmp_path / "body.bin").read_bytes() == BODY


def test_file_that_is_there_is_not_asked_for(served: Served, tmp_path: Path) -> None:
    (tmp_path / "body.bin").write_bytes(b"there")
    download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert served.ranges == []


def test_lost_connection_goes_on_where_it_stopped(served: Served, tmp_path: Path) -> None:
    served.replies = [half, rest]
    download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert (tmp_path / "body.bin").read_bytes() == BODY
    first, second = served.ranges
    assert first is None
    assert second is not None
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= HALF


def test_part_of_an_earlier_process_is_continued(served: Served, tmp_path: Path) -> None:
    served.replies = [rest]
    (tmp_path / "body.bin.part").write_bytes(BODY[:1000])
    download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert (tmp_path / "body.bin").read_bytes() == BODY
    assert served.ranges == ["bytes=1000-"]
    assert left(tmp_path) == ["body.bin"]


def test_server_that_ignores_ranges_starts_from_the_front(
    served: Served, tmp_path: Path
) -> None:
    served.replies = [whole]
    (tmp_path / "body.bin.part").write_bytes(BODY[:1000])
    download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert (tmp_path / "body.bin").read_bytes() == BODY


@pytest.mark.parametrize("extra", [0, 7])
def test_part_that_is_too_long_to_be_a_part_is_thrown_away(
    served: Served, tmp_path: Path, extra: int
) -> None:
    served.replies = [rest]
    (tmp_path / "body.bin.part").write_bytes(b"x" * (len(BODY) + extra))
    download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert served.ranges == [None]
    assert (tmp_path / "body.bin").read_bytes() == BODY


def test_part_beyond_the_end_of_a_file_of_unknown_length(
    served: Served, tmp_path: Path
) -> None:
    served.replies = [lambda h: send(h, b"", status=416, Content_Length=0), rest]
    (tmp_path / "body.bin.part").write_bytes(b"x" * (len(BODY) + 1))
    download(served.file(size=None), tmp_path / "body.bin", patience=QUICK)
    assert (tmp_path / "body.bin").read_bytes() == BODY
    assert served.ranges[1] is None


def test_part_of_another_edition_is_downloaded_afresh(served: Served, tmp_path: Path) -> None:
    served.replies = [rest]
    (tmp_path / "body.bin.part").write_bytes(b"x" * 1000)
    download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert (tmp_path / "body.bin").read_bytes() == BODY
    assert served.ranges == ["bytes=1000-", None]


def test_busy_server_is_asked_again(served: Served, tmp_path: Path) -> None:
    served.replies = [busy, busy, rest]
    download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert (tmp_path / "body.bin").read_bytes() == BODY
    assert len(served.ranges) == 3


def test_server_that_stays_busy_is_given_up(served: Served, tmp_path: Path) -> None:
    served.replies = [busy]
    with pytest.raises(DataError, match=r"HTTP 503 .*3 attempts\)"):
        download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert len(served.ranges) == 3
    assert left(tmp_path) == []


def test_connection_that_is_lost_each_time_keeps_its_part(
    served: Served, tmp_path: Path
) -> None:
    served.replies = [half]
    with pytest.raises(DataError, match=r"lost.*bytes are kept.*run it again to go on"):
        download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert left(tmp_path) == ["body.bin.part"]
    part = (tmp_path / "body.bin.part").read_bytes()
    assert part
    assert BODY.startswith(part)


def test_server_that_sends_nothing_is_left_after_one_wait(
    served: Served, tmp_path: Path
) -> None:
    served.replies = [silent(served, after=0)]
    with pytest.raises(DataError, match=r"127\.0\.0\.1:\d+ sent nothing for 1 s"):
        download(served.file(), tmp_path / "body.bin", patience=HASTY)
    assert len(served.ranges) == 1


def test_server_that_stalls_half_way_is_asked_for_the_rest(
    served: Served, tmp_path: Path
) -> None:
    served.replies = [silent(served, after=HALF), rest]
    download(served.file(), tmp_path / "body.bin", patience=HASTY)
    assert (tmp_path / "body.bin").read_bytes() == BODY
    assert served.ranges[1] is not None


REFUSED: dict[str, tuple[Reply, str]] = {
    "absent": (
        lambda h: send(h, b"no", status=404, Content_Length=2),
        "HTTP 404 Not Found",
    ),
    "page": (
        lambda h: send(h, b"<html>log in</html>", Content_Type="text/html; charset=utf-8"),
        "a page of HTML came in place of the file",
    ),
    "page that claims to be a file": (
        lambda h: send(
            h, b"<!DOCTYPE html>".ljust(len(BODY)), Content_Type="application/octet-stream"
        ),
        r"a page of HTML \(sha256 \w+, the published file is \w+\)",
    ),
    "wrong bytes": (
        lambda h: send(h, BODY[::-1], Content_Length=len(BODY)),
        r"not the published ones \(sha256 \w+, the published file is \w+\)",
    ),
    "shorter file": (
        lambda h: send(h, BODY[:100], Content_Length=100),
        "offers 100 bytes, the published file has 307,200",
    ),
    "longer file": (
        lambda h: send(h, BODY + b"x", Content_Length=len(BODY) + 1),
        "offers 307,201 bytes, the published file has 307,200",
    ),
    "no end": (lambda h: send(h, BODY + b"x"), "more than the published 307,200 bytes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_the_file_is_refused_and_leaves_nothing(
    served: Served, tmp_path: Path, case: str
) -> None:
    reply, message = REFUSED[case]
    served.replies = [reply]
    with pytest.raises(DataError, match=message) as caught:
        download(served.file(), tmp_path / "body.bin", what_else="bring it", patience=QUICK)
    assert str(caught.value).startswith(
        f"body.bin cannot be downloaded from {served.file().url}"
    )
    assert str(caught.value).endswith("; bring it")
    assert "\n" not in str(caught.value)
    assert len(served.ranges) == 1
    assert left(tmp_path) == []


def test_redirect_to_the_file_is_followed(served: Served, tmp_path: Path) -> None:
    served.replies = [redirect, whole]
    download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert (tmp_path / "body.bin").read_bytes() == BODY


@pytest.mark.parametrize("page", [True, False], ids=["to a page", "without end"])
def test_redirect_to_something_else_is_refused_and_leaves_nothing(
    served: Served, tmp_path: Path, page: bool
) -> None:
    served.replies = [redirect, REFUSED["page"][0]] if page else [redirect]
    with pytest.raises(DataError, match="page of HTML" if page else "redirect") as caught:
        download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert "\n" not in str(caught.value)
    assert left(tmp_path) == []


def test_file_that_ends_early_without_a_stated_length_is_not_taken(
    served: Served, tmp_path: Path
) -> None:
    served.replies = [lambda h: send(h, BODY[:HALF])]
    with pytest.raises(DataError, match="only 153,600 of 307,200 bytes came"):
        download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert left(tmp_path) == ["body.bin.part"]


def test_rest_from_another_place_is_refused(served: Served, tmp_path: Path) -> None:
    served.replies = [
        lambda h: send(h, BODY[:10], status=206, Content_Range=f"bytes 0-9/{len(BODY)}")
    ]
    (tmp_path / "body.bin.part").write_bytes(BODY[:1000])
    with pytest.raises(DataError, match="bytes from 1000 were asked for"):
        download(served.file(), tmp_path / "body.bin", patience=QUICK)


def test_wrong_bytes_after_a_resumed_part_leave_nothing(served: Served, tmp_path: Path) -> None:
    served.replies = [rest]
    (tmp_path / "body.bin.part").write_bytes(BODY[:1000])
    with pytest.raises(DataError, match="not the published ones"):
        download(served.file(sha256="0" * 64), tmp_path / "body.bin", patience=QUICK)
    assert served.ranges == ["bytes=1000-", None]
    assert left(tmp_path) == []


def test_nobody_at_the_address_is_told_at_once(served: Served, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]  # bound, but nobody listens
        file = served.file(url=f"http://127.0.0.1:{port}/body.bin")
        with pytest.raises(DataError, match=f"no connection to 127.0.0.1:{port}; bring it"):
            download(file, tmp_path / "body.bin", what_else="bring it", patience=QUICK)
    assert left(tmp_path) == []


def test_proxy_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    file = DataFile(name="body.bin", url="http://example.invalid/body.bin")
    with pytest.raises(DataError, match=r"proxy on the way to example\.invalid"):
        download(file, tmp_path / "body.bin", patience=QUICK)


def test_address_that_is_none_is_one_line(served: Served, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be downloaded from nowhere: Invalid URL"):
        download(served.file(url="nowhere"), tmp_path / "body.bin", patience=QUICK)


def test_folder_that_cannot_be_made_is_one_line(served: Served, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way of a folder")
    with pytest.raises(DataError, match="cannot be written .*HARNESS_CACHE_DIR"):
        download(served.file(), tmp_path / "file" / "body.bin", patience=QUICK)


CHILD = """
import sys
from pathlib import Path
from harness.download import download
from harness.progress import notes_to
from harness.specs import DataFile

url, sha256, target = sys.argv[1:]
with notes_to(lambda text: print(text, flush=True)):
    download(DataFile(name="body.bin", url=url, sha256=sha256), Path(target))
"""


def test_two_processes_download_once(served: Served, tmp_path: Path) -> None:
    def slow(handler: BaseHTTPRequestHandler) -> None:
        served.stop.wait(60)
        rest(handler)

    served.replies = [slow]
    file = served.file()
    command = [sys.executable, "-c", CHILD, file.url, str(file.sha256)]
    command.append(str(tmp_path / "body.bin"))
    with subprocess.Popen(command) as first:
        while not served.ranges and first.poll() is None:
            time.sleep(0.01)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as second:
            assert second.stdout is not None
            told = second.stdout.readline()
            served.stop.set()
            second.stdout.read()
    assert "waiting for another process that downloads body.bin" in told
    assert (first.returncode, second.returncode) == (0, 0)
    assert len(served.ranges) == 1
    assert (tmp_path / "body.bin").read_bytes() == BODY


def test_complete_part_is_checked_and_not_asked_for_again(
    served: Served, tmp_path: Path
) -> None:
    """As a process leaves it that dies between the last byte and the checksum."""
    (tmp_path / "body.bin.part").write_bytes(BODY)
    download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert (tmp_path / "body.bin").read_bytes() == BODY and served.ranges == []
