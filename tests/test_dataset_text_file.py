"""The data set of a user's own table, from its parameters to a prediction."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import parquet
from tables import no_call, pairs_of, reviews, same_splits, write_csv, write_json_lines

import harness
from harness import testing
from harness.cli import cli
from harness.errors import Unavailable
from harness.progress import notes_to
from harness.worker import compilation_cache
from harness_datasets import _hashes, _splits, _texts
from harness_datasets.text_file import text_file


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder and an empty cache."""
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    (folder := tmp_path / "work").mkdir()
    monkeypatch.chdir(folder)
    return folder


def labels(split: Any) -> np.ndarray:
    assert isinstance(split, Mapping)
    return split["y"]


def test_a_csv_file_becomes_two_splits(folder: Path):
    write_csv(folder / "reviews.csv", reviews(50))
    dataset = text_file(path="reviews.csv", max_length=6)
    assert dataset.spec.class_names == ("neg", "pos")
    assert np.bincount(labels(dataset.train)).tolist() == [20, 20]
    assert np.bincount(labels(dataset.test)).tolist() == [5, 5]
    assert {text.rpartition(" ")[0] for text, _ in pairs_of(dataset, dataset.test)} == {
        "a good film no", "a bad film no",
    }  # fmt: skip


def test_every_kind_of_file_gives_the_same_data(folder: Path):
    rows = [(f"{text} “é” 🙂", y) for text, y in reviews(30)]
    write_csv(folder / "a.csv", rows)
    tabs = [f"{text}\t{y}" for text, y in [("text", "label"), *rows]]
    (folder / "a.tsv").write_text("\n".join(tabs), encoding="utf-8")
    write_json_lines(folder / "a.jsonl", [{"text": text, "label": y} for text, y in rows])
    table = pa.table({"text": [text for text, _ in rows], "label": [y for _, y in rows]})
    parquet.write_table(table, folder / "a.parquet", row_group_size=7)
    first, *others = (
        text_file(path=f"a.{kind}", max_length=8) for kind in ("csv", "tsv", "jsonl", "parquet")
    )
    assert all(same_splits(first, other) for other in others)


def test_several_files_are_one_table_and_a_test_file_is_its_own(folder: Path):
    rows = reviews(40)
    write_csv(folder / "train-1.csv", rows[:20])
    write_csv(folder / "train-2.csv", rows[20:])
    write_csv(folder / "test.csv", rows[:6])
    dataset = text_file(path="train-*.csv", test_path="test.csv", max_length=6)
    assert (len(labels(dataset.train)), len(labels(dataset.test))) == (40, 6)
    assert sorted(pairs_of(dataset, dataset.test)) == sorted(
        (text.replace(",", ""), y) for text, y in rows[:6]
    )


def test_columns_are_named_and_numbers_sorted_by_value(folder: Path):
    rows = [(f"film {i}", str(i % 11)) for i in range(44)]
    write_csv(folder / "a.csv", rows, header="review,stars")
    dataset = text_file(path="a.csv", text="review", label="stars")
    assert dataset.spec.class_names == tuple(str(i) for i in range(11))


def test_a_file_with_rows_that_cannot_be_used_says_which(folder: Path):
    path = write_csv(folder / "reviews.csv", reviews(20))
    with path.open("ab") as file:
        file.write(b'no label,\n\n"  ",pos\ntoo,many,fields\ncaf\xe9,pos\n')
    heard: list[str] = []
    with notes_to(heard.append):
        text_file(path="reviews.csv")
    assert heard == [
        "text_file: 5 rows of reviews.csv left out: line 22 has no label, line 23 is empty, "
        "line 24 has no text, and 2 more"
    ]


def test_without_a_path_it_is_unavailable_and_says_what_to_give():
    with pytest.raises(Unavailable) as caught:
        text_file()
    assert str(caught.value) == (
        'text_file needs a file of yours; name it as in text_file[path="reviews.csv"], a table '
        "with the columns 'text' and 'label'"
    )


@pytest.mark.parametrize(
    ("parameters", "kind", "why"),
    [
        ({"path": "absent.csv"}, harness.DataError, "'absent.csv' is not there"),
        ({"path": "a.csv", "test_path": "absent.csv"}, harness.DataError, "is not there"),
        ({"path": "a.csv", "text": "review"}, harness.UsageError, "has no column 'review' but"),
        ({"path": "a.csv", "label": "stars"}, harness.UsageError, "has no column 'stars' but"),
        ({"path": "a.csv", "tokens": "bpe", "vocab_size": 99}, harness.UsageError, "257"),
        ({"path": "one.csv"}, harness.DataError, "has one class only, 'pos' in all 2 rows"),
        ({"path": "bad.csv"}, harness.DataError, "no usable row: line 2 has no label"),
        ({"path": "header.csv"}, harness.DataError, "no usable row: it has none"),
        ({"path": "same.csv"}, harness.DataError, "no class has two different texts"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    folder: Path, parameters: dict[str, Any], kind: type[Exception], why: str
):
    write_csv(folder / "a.csv", reviews(10))
    write_csv(folder / "one.csv", [("a", "pos"), ("b", "pos")])
    write_csv(folder / "bad.csv", [("a", ""), ("b", "")])
    write_csv(folder / "header.csv", [])
    write_csv(folder / "same.csv", [("a", "pos"), ("b", "neg"), ("b", "neg")])
    with pytest.raises(kind, match=re.escape(why)) as caught:
        text_file(**parameters)
    assert "\n" not in str(caught.value)


def test_a_fault_leaves_nothing_that_counts_as_prepared(folder: Path):
    write_csv(folder / "a.csv", [("a", "pos"), ("b", "pos")])
    for _ in range(2):
        with pytest.raises(harness.DataError, match="one class only"):
            text_file(path="a.csv")


def test_the_second_load_reads_neither_the_file_nor_its_rows(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    write_csv(folder / "a.csv", reviews(20))
    first = text_file(path="a.csv")
    monkeypatch.setattr(_texts, "_prepare", no_call)
    monkeypatch.setattr(_hashes.hashlib, "sha256", counting := Counting(_hashes.hashlib.sha256))
    second = text_file(path="a.csv")
    assert same_splits(first, second)
    # of the path and of the parameters, and none of the content
    assert counting.calls == 2


class Counting:
    """A function that counts its calls."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self.calls = 0

    def __call__(self, *words: Any) -> Any:
        self.calls += 1
        return self._function(*words)


def test_the_fingerprint_follows_the_content_and_not_the_name(folder: Path):
    write_csv(folder / "a.csv", reviews(20))
    first = text_file(path="a.csv").spec.fingerprint
    (folder / "a.csv").rename(folder / "b.csv")
    assert text_file(path="b.csv").spec.fingerprint == first
    write_csv(folder / "b.csv", reviews(21))
    changed = text_file(path="b.csv").spec.fingerprint
    assert changed != first
    write_csv(folder / "test.csv", reviews(22))
    assert text_file(path="b.csv", test_path="test.csv").spec.fingerprint != changed


@pytest.mark.parametrize("test_path", ["rev/test.csv", "copy.csv"])
def test_test_rows_that_are_training_rows_too_are_refused(folder: Path, test_path: str):
    (folder / "rev").mkdir()
    for name, count in (("rev/train.csv", 20), ("rev/test.csv", 21), ("copy.csv", 21)):
        write_csv(folder / name, reviews(count))
    with pytest.raises(harness.UsageError, match="is in test_path and, as it is or as a copy"):
        text_file(path="rev/*.csv", test_path=test_path)


def test_a_change_that_keeps_the_length_is_seen(folder: Path):
    path = write_csv(folder / "a.csv", reviews(20))
    first = text_file(path="a.csv").spec.fingerprint
    state = path.stat()
    path.write_text(path.read_text().replace("film, no 7", "book, no 7"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert path.stat().st_size == state.st_size
    assert text_file(path="a.csv").spec.fingerprint != first


def test_a_change_that_keeps_length_and_time_is_seen(folder: Path):
    path = write_csv(folder / "a.csv", reviews(20))
    first = text_file(path="a.csv").spec.fingerprint
    state = path.stat()
    path.write_text(path.read_text().replace("film, no 7", "book, no 7"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert path.stat().st_mtime_ns == state.st_mtime_ns
    assert text_file(path="a.csv").spec.fingerprint != first


def test_a_file_that_changes_before_it_is_read_is_not_kept_under_the_old_content(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    path = write_csv(folder / "a.csv", reviews(20))
    write_csv(folder / "copy.csv", reviews(20))

    def meanwhile(*words: Any, prepare: Any = _texts._prepare, **more: Any) -> None:
        write_csv(path, [(text, y.upper()) for text, y in reviews(20)])
        prepare(*words, **more)

    with monkeypatch.context() as patched, pytest.raises(harness.DataError) as caught:
        patched.setattr(_texts, "_prepare", meanwhile)
        text_file(path="a.csv")
    assert str(caught.value) == (
        "a.csv changed while it was read; start again once nothing writes to it"
    )
    assert text_file(path="copy.csv").spec.class_names == ("neg", "pos")
    assert text_file(path="a.csv").spec.class_names == ("NEG", "POS")


TWICE = """
import sys
from harness_datasets import _texts
from harness_datasets.text_file import text_file

prepare = _texts._prepare

def counted(*words, **more):
    print("prepared", flush=True)
    prepare(*words, **more)

_texts._prepare = counted
text_file(path=sys.argv[1])
"""


def test_two_processes_prepare_once(folder: Path):
    write_csv(folder / "a.csv", reviews(2000))
    command = [sys.executable, "-c", TWICE, "a.csv"]
    pair = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate()[0] for one in pair]
    assert [one.returncode for one in pair] == [0, 0]
    assert "".join(said) == "prepared\n"


@pytest.mark.usefixtures("described_here")
def test_the_checks_of_data_sets_pass(
    folder: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(shared_cache))
    write_csv(folder / "a.csv", reviews(60))
    performed = 0
    for check in testing.checks(f'text_file[path="{folder / "a.csv"}",max_length=12]'):
        check()
        performed += 1
    assert performed == 9


@pytest.mark.usefixtures("described_here")
def test_the_checks_without_a_file_say_what_to_give():
    done = CliRunner().invoke(cli, ["check", "text_file", "--format", "json"])
    (first, *rest) = json.loads(done.stdout)
    assert done.exit_code == 0
    assert first["check"] == "loads" and first["status"] == "unavailable"
    assert "text_file needs a file of yours" in first["words"]
    assert {one["status"] for one in rest} == {"unavailable"}


@pytest.mark.usefixtures("described_here")
def test_a_table_too_large_for_arrays_trains_to_the_same_result(
    folder: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(shared_cache))
    write_csv(folder / "reviews.csv", reviews(300))
    losses: list[float] = []
    for limit in (_splits.PADDED_BYTES, 0):
        monkeypatch.setattr(_splits, "PADDED_BYTES", limit)
        frame = harness.run(
            "text_file[path=reviews.csv,max_length=8]", "mean_pool[width=8]", epochs=2,
            batch_size=32, validation=0.2, select="best", in_process=True,
        )  # fmt: skip
        assert list(frame["status"]) == ["ok"]
        losses.append(frame["test_loss"].iloc[0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@pytest.mark.usefixtures("described_here")
def test_own_texts_are_learnt_and_new_ones_classified(
    folder: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(shared_cache))
    for name, value in compilation_cache().items():  # what the command sets stays in the test
        monkeypatch.setenv(name, value)
    write_csv(folder / "reviews.csv", reviews(400))
    run = (
        "run", "-d", "text_file[path=reviews.csv,max_length=8]", "-m", "mean_pool[width=8]",
        "--epochs", "3", "--batch-size", "16", "--learning-rate", "0.03", "--save",
        "--in-process", "--store", "sqlite:///rows.db", "--format", "json",
    )  # fmt: skip
    done = CliRunner().invoke(cli, run, catch_exceptions=False)
    (row,) = json.loads(done.stdout)
    assert (row["status"], row["dataset"]) == ("ok", "text_file")
    assert row["test_accuracy"] > 0.95
    texts = ("A GOOD film!", "bad…")
    words = ("predict", row["run_id"], *texts, "--store", "sqlite:///rows.db")
    done = CliRunner().invoke(cli, [*words, "--format", "json"], catch_exceptions=False)
    assert [one["predicted"] for one in json.loads(done.stdout)] == ["pos", "neg"]
