"""What a server may do instead of sending a file, each against a real one on loopback."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from file_server import (
    BODY,
    HALF,
    HASTY,
    QUICK,
    Reply,
    Served,
    chunked,
    dripping,
    endless,
    endless_continue,
    endless_head,
    endless_trailer,
    left,
    redirect,
    rest,
    send,
    whole,
)

from harness.download import download
from harness.errors import DataError


def test_server_that_drips_is_left_and_what_came_is_kept(
    served: Served, tmp_path: Path
) -> None:
    """A byte comes always before the time between two pieces is over."""
    served.replies = [dripping(served, every_s=0.1), rest]
    start = time.monotonic()
    download(served.file(), tmp_path / "body.bin", patience=HASTY)
    assert time.monotonic() - start < 20
    assert (tmp_path / "body.bin").read_bytes() == BODY
    again = served.ranges[1]
    assert again is not None and int(again.removeprefix("bytes=").removesuffix("-")) > 3


def test_server_that_only_drips_costs_bounded_time(served: Served, tmp_path: Path) -> None:
    served.replies = [dripping(served, every_s=0.1)]
    start = time.monotonic()
    with pytest.raises(DataError, match=r"sent only \d+ bytes in .* bytes are kept"):
        download(served.file(), tmp_path / "body.bin", patience=HASTY)
    assert time.monotonic() - start < 20
    assert left(tmp_path) == ["body.bin.part"]


def test_body_in_chunks_arrives_whole(served: Served, tmp_path: Path) -> None:
    served.replies = [chunked()]
    download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert (tmp_path / "body.bin").read_bytes() == BODY


def test_body_in_chunks_that_is_cut_off_goes_on(served: Served, tmp_path: Path) -> None:
    served.replies = [chunked(upto=HALF), rest]
    download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert (tmp_path / "body.bin").read_bytes() == BODY
    assert len(served.ranges) == 2 and served.ranges[1] is not None


def test_redirection_with_a_body_without_end_is_followed_unread(
    served: Served, tmp_path: Path
) -> None:
    served.replies = [lambda handler: endless(handler, status=302, Location="/new"), whole]
    start = time.monotonic()
    download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert (tmp_path / "body.bin").read_bytes() == BODY and time.monotonic() - start < 20


def test_redirections_in_a_circle_end(served: Served, tmp_path: Path) -> None:
    served.replies = [redirect]
    with pytest.raises(DataError, match="more than 10 redirections"):
        download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert len(served.ranges) == 11


@pytest.mark.parametrize("way", [endless_head, endless_trailer, endless_continue])
def test_answers_that_never_come_to_a_body_cost_bounded_time(
    served: Served, tmp_path: Path, way: Callable[[Served], Reply]
) -> None:
    served.replies = [way(served)]
    start = time.monotonic()
    with pytest.raises(DataError, match="cannot be downloaded"):
        download(served.file(size=None), tmp_path / "body.bin", patience=HASTY)
    assert time.monotonic() - start < 40


def test_length_that_nobody_published_is_not_believed_without_bound(
    served: Served, tmp_path: Path
) -> None:
    served.replies = [lambda handler: send(handler, b"x", Content_Length=10**15)]
    with pytest.raises(DataError, match="offers 1,000,000,000,000,000 bytes, more than"):
        download(served.file(size=None), tmp_path / "body.bin", patience=QUICK)
    assert left(tmp_path) == []


def test_body_without_end_or_length_is_cut_off(served: Served, tmp_path: Path) -> None:
    served.replies = [endless]
    patience = dataclasses.replace(QUICK, most=3 * len(BODY))
    with pytest.raises(DataError, match="more than the 921,600 bytes came"):
        download(served.file(size=None), tmp_path / "body.bin", patience=patience)
    assert left(tmp_path) == [] and len(served.ranges) == 1


MEMORY = """
import resource, sys
from pathlib import Path
from harness.arriving import Patience
from harness.download import download
from harness.specs import DataFile
import requests

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3

before = peak_mb()
file = DataFile(name="big.bin", url=sys.argv[1], sha256="0" * 64)
try:
    download(file, Path(sys.argv[2]), patience=Patience(most=300_000_000))
except Exception as error:
    print(error, file=sys.stderr)
print(peak_mb() - before)
"""


def test_downloading_takes_no_memory_to_speak_of(served: Served, tmp_path: Path) -> None:
    served.replies = [endless]
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, served.file().url, str(tmp_path / "big.bin")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "300,000,000 bytes came" in done.stderr
    assert float(done.stdout) < 30


@pytest.mark.parametrize(
    "target", ["http://[", f"http://{'a' * 64}.example/", "http:///x", "mailto:x"]
)
def test_redirection_to_no_address_is_refused(
    served: Served, tmp_path: Path, target: str
) -> None:
    served.replies = [
        lambda handler: send(handler, b"", status=302, Location=target, Content_Length=0)
    ]
    with pytest.raises(DataError, match="cannot be downloaded") as caught:
        download(served.file(), tmp_path / "body.bin", patience=QUICK)
    assert "\n" not in str(caught.value) and left(tmp_path) == []


def test_redirection_to_a_host_that_is_not_there_names_it(
    served: Served, tmp_path: Path
) -> None:
    target = "http://127.0.0.1:9/body.bin"
    served.replies = [
        lambda handler: send(handler, b"", status=302, Location=target, Content_Length=0)
    ]
    with pytest.raises(DataError, match="no connection to 127.0.0.1:9"):
        download(served.file(), tmp_path / "body.bin", patience=QUICK)
