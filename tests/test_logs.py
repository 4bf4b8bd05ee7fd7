from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness import logs


def write(path: Path, *pieces: bytes) -> bytes:
    with logs.kept(path) as end:
        for piece in pieces:
            os.write(end, piece)
    return path.read_bytes()


def test_a_short_log_is_kept_as_it_is(tmp_path: Path):
    assert write(tmp_path / "new" / "run.log", b"one\n", b"two\n") == b"one\ntwo\n"


def test_of_a_long_log_the_beginning_and_the_end_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(logs, "HEAD_BYTES", 1000)
    monkeypatch.setattr(logs, "TAIL_BYTES", 500)
    lines = [f"line {i:05d}\n".encode() for i in range(10_000)]
    text = write(tmp_path / "run.log", *lines)
    assert text.startswith(b"".join(lines)[:1000])
    assert text.endswith(b"".join(lines)[-500:])
    assert b"bytes are left out here]" in text


def test_a_log_is_there_while_it_is_written(tmp_path: Path):
    with logs.kept(tmp_path / "run.log") as end:
        os.write(end, b"first words\n")
        deadline = time.monotonic() + 10
        while not (tmp_path / "run.log").read_bytes() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (tmp_path / "run.log").read_bytes() == b"first words\n"


def test_a_child_that_keeps_the_pipe_does_not_hold_the_log_up(tmp_path: Path):
    with logs.kept(tmp_path / "run.log") as end:
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=end
        )
    # here the block has ended though the child lives
    assert child.poll() is None
    child.communicate()


def test_the_last_line_is_the_last_that_is_not_empty(tmp_path: Path):
    path = tmp_path / "run.log"
    path.write_bytes(b"x" * 100_000 + b"\none\n  two \n\n")
    assert logs.last_line(path) == "two"
    path.write_bytes(b"")
    assert logs.last_line(path) == "it said nothing"
    assert "cannot be read" in logs.last_line(tmp_path / "absent")


def test_the_last_lines_are_as_many_as_there_are(tmp_path: Path):
    path = tmp_path / "log"
    path.write_text("one\n two\n\nthree\n\n")
    assert logs.last_lines(path, 3) == " two\n\nthree"
    assert logs.last_lines(path, 9) == "one\n two\n\nthree"
