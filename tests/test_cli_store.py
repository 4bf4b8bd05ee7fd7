from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from stored import make_result, make_row

import harness.rows
from harness.cli import cli
from harness.errors import StoreError, UsageError
from harness.store import Store, open_store

Call = Callable[..., Result]


@pytest.fixture
def call() -> Call:
    def call(*words: object) -> Result:
        return CliRunner().invoke(cli, ["store", *map(str, words)], catch_exceptions=False)

    return call


def make(url: str, *ids: str) -> str:
    with open_store(url) as store:
        for name in ids:
            store.add(make_result(make_row(run_id=name, host=f"host of {url[-4:]}")))
    return url


def ids(url: str) -> list[str]:
    with open_store(url, must_exist=True) as store:
        return [row["run_id"] for row in store.rows()]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_store_written_out_is_taken_in_elsewhere(
    call: Call, store_url: str, tmp_path: Path, suffix: str
):
    make(store_url, "b", "a")
    file, other = tmp_path / f"out.{suffix}", f"sqlite:///{tmp_path}/other.db"
    assert "2 results written" in call("export", file, "--store", store_url).stdout
    assert "2 results added" in call("import", file, "--store", other).stdout
    again = call("import", file, "--store", other).stdout
    assert "0 results added" in again and "2 there already" in again
    assert ids(other) == ["b", "a"]


def test_stores_merge_side_by_side(call: Call, store_url: str, tmp_path: Path):
    one = make(f"sqlite:///{tmp_path}/1.db", "a", "b")
    two = make(f"sqlite:///{tmp_path}/2.db", "b", "c")
    assert call("merge", one, two, "--store", store_url).exit_code == 0
    assert ids(store_url) == ["a", "b", "c"]
    with open_store(store_url) as store:
        assert store.find("b")["host"] == "host of 1.db"
        assert store.array("c", "train_loss") is not None


def test_a_folder_of_files_is_taken_in(call: Call, tmp_path: Path):
    one = make(f"sqlite:///{tmp_path}/1.db", "a")
    folder = tmp_path / "files"
    folder.mkdir()
    call("export", folder / "x.jsonl", "--store", one)
    other = f"sqlite:///{tmp_path}/2.db"
    assert "1 result added" in call("import", folder, "--store", other).stdout
    with pytest.raises(UsageError, match="no \\*.jsonl"):
        (folder / "x.jsonl").unlink()
        call("import", folder, "--store", other)


def test_a_result_that_is_refused_costs_no_other(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "x.jsonl"
    bad = [f"bad{i}" for i in range(9)]
    call("export", file, "--store", make(f"sqlite:///{tmp_path}/1.db", *bad, "a", "b"))
    add = Store.add

    def refuse(self: Store, result: harness.rows.Result) -> None:
        if result.row["run_id"] in bad:
            raise StoreError("too large")
        add(self, result)

    monkeypatch.setattr(Store, "add", refuse)
    other = f"sqlite:///{tmp_path}/2.db"
    with pytest.raises(StoreError, match="9 results refused, the first with: too large"):
        call("import", file, "--store", other)
    assert ids(other) == ["a", "b"]


def test_an_absent_store_is_not_made_by_reading_it(call: Call, tmp_path: Path):
    with pytest.raises(StoreError, match="does not exist"):
        call("export", tmp_path / "x.jsonl", "--store", f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(StoreError, match="does not exist"):
        call("merge", f"sqlite:///{tmp_path}/none.db", "--store", f"sqlite:///{tmp_path}/1.db")


def test_the_cache_is_listed_and_cleaned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "run.log").write_bytes(b"x" * 1000)
    runner = CliRunner()
    assert "logs               1 files" in runner.invoke(cli, ["data", "list"]).stdout
    assert (
        '"size_bytes": 1000' in runner.invoke(cli, ["data", "list", "--format", "json"]).stdout
    )
    assert "logs: 1 files" in runner.invoke(cli, ["data", "clean", "logs"]).stdout
    assert "name parts" in runner.invoke(cli, ["data", "clean"]).output
    assert "name parts" in runner.invoke(cli, ["data", "clean", "logs", "--all"]).output
    assert runner.invoke(cli, ["data", "clean", "--all"]).exit_code == 0
