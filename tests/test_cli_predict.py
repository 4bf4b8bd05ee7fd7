"""`harness predict` as a user meets it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.errors import HarnessError
from harness.store import open_store
from harness.worker import compilation_cache

ZERO = " ".join(["0"] * 64)
ONE = ",".join(["1"] * 64)
Call = Callable[..., Result]


@pytest.fixture(scope="module")
def url(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with one run that kept its parameters, and one that did not."""
    url = f"sqlite:///{tmp_path_factory.mktemp('predict')}/rows.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE_DIR", str(shared_cache))
        patch.setenv("HARNESS_PLUGINS", "")
        words = ("run", "-d", "digits", "-m", "majority", "--epochs", "1", "--limit", "200",
                 "--batch-size", "64", "--in-process", "--store", url)  # fmt: skip
        for more in (("--save",), ()):
            done = CliRunner().invoke(cli, [*words, *more], catch_exceptions=False)
            assert done.exit_code == 0
    return url


def run_ids(url: str) -> list[str]:
    with open_store(url) as store:
        return [row["run_id"] for row in store.rows()]


@pytest.fixture
def call(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Predicts with the run that kept its parameters, in an empty folder."""
    for name, value in compilation_cache().items():  # what the command sets stays in the test
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    run_id = run_ids(url)[0]

    def call(*words: str, run: str = run_id[:6], text: bytes | None = None) -> Result:
        return CliRunner().invoke(
            cli, ["predict", run, *words, "--store", url], input=text, catch_exceptions=False
        )

    return call


def error(call: Call, *words: str, **more: str | bytes) -> str:
    with pytest.raises(HarnessError) as caught:
        call(*words, **more)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2
    return str(caught.value)


def test_texts_become_a_table(call: Call):
    said = call(ZERO, ONE)
    assert said.exit_code == 0 and said.stderr == ""
    head, _, first, second = said.stdout.splitlines()
    assert head.split() == ["text", "predicted", "probability"]
    assert first.startswith("0 0 0") and "..." in first and len(first) < 90
    assert first.split()[-2:] == second.split()[-2:]
    assert 0.1 <= float(first.split()[-1]) < 0.2


def test_csv_and_json_have_every_probability(call: Call, tmp_path: Path):
    [record] = json.loads(call(ZERO, "--format", "json").stdout)
    assert list(record) == ["text", "predicted", "probability", "probabilities"]
    assert record["text"] == ZERO
    assert record["probabilities"][record["predicted"]] == record["probability"]
    assert sum(record["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert call(ONE, ZERO, "--format", "csv", "-o", "out.csv").stdout == ""
    lines = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert [line["text"] for line in lines] == [ONE, ZERO]
    names = [f"probability of {i}" for i in range(10)]
    assert list(lines[0]) == ["text", "predicted", "probability", *names]
    assert float(lines[0]["probability of 3"]) == record["probabilities"]["3"]


def test_a_file_has_one_text_a_line_and_blank_ones_are_told(call: Call, tmp_path: Path):
    (tmp_path / "in.txt").write_bytes(b"\xef\xbb\xbf" + f"{ZERO}\r\n\r\n{ONE}\n \n".encode())
    said = call(ONE, "--file", "in.txt", "--format", "json")
    assert [r["text"] for r in json.loads(said.stdout)] == [ONE, ZERO, ONE]
    assert said.stderr == "note: 2 blank lines of in.txt left out\n"
    piped = call("--file", "-", "--format", "json", text=f"{ONE}\n{ZERO}".encode())
    assert [r["text"] for r in json.loads(piped.stdout)] == [ONE, ZERO]


def test_what_is_no_text_is_one_line(call: Call, tmp_path: Path):
    (tmp_path / "empty.txt").write_text("\n\n")
    (tmp_path / "short.txt").write_text(f"{ZERO}\n\n1 2 3\n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    assert "give a text, or --file PATH" in error(call)
    assert error(call, "1 2") == "text 1: expected 64 numbers, got 2"
    assert error(call, "--file", "absent.txt") == (
        "--file absent.txt: cannot be read (No such file or directory)"
    )
    assert "cannot be read (Is a directory)" in error(call, "--file", ".")
    assert "there is no text in it" in error(call, "--file", "empty.txt")
    assert "there is no text in it" in error(call, "--file", "-", text=b"")
    assert error(call, "--file", "short.txt").startswith("short.txt, line 3: expected 64")
    assert "byte 3 is no UTF-8" in error(call, "--file", "latin.txt")


def test_runs_that_cannot_predict_are_one_line(call: Call, url: str):
    without = run_ids(url)[1]
    assert error(call, ZERO, run=without) == (
        f"run {without} kept no parameters; `harness run --save` keeps them"
    )
    assert error(call, ZERO, run="none").startswith("no run starts with 'none'")


def test_inspect_says_whether_parameters_are_kept(url: str):
    words = ["--examples", "0", "--store", url]
    said = [CliRunner().invoke(cli, ["inspect", run, *words]).stdout for run in run_ids(url)]
    assert [text.splitlines()[0].endswith(", parameters kept") for text in said] == [
        True,
        False,
    ]
