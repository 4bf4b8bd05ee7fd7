from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored import failed_row, make_result, make_row

from harness.errors import DataError, HarnessError, UsageError
from harness.rows import NAMES, Result
from harness.store import open_store
from harness.transfer import from_record, read_file, to_record, write_file

RESULTS = [
    make_result(make_row(run_id="a", host="one", test_loss=0.1 + 0.2, seed=2**53 + 1)),
    make_result(failed_row(run_id="b", host="two", error_message="näh “x”", dirty=True)),
    Result(row=make_row(run_id="c", limit=None)),
]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_results_survive_the_way_through_a_file(tmp_path: Path, suffix: str):
    path = tmp_path / f"rows{suffix}"
    assert write_file(path, RESULTS) == 3
    for before, after in zip(RESULTS, read_file(path), strict=True):
        assert after.row == before.row and after.arrays == before.arrays
        assert list(after.epochs) == list(before.epochs)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_stores_of_two_machines_live_side_by_side(tmp_path: Path, store_url: str, suffix: str):
    path = tmp_path / f"rows{suffix}"
    write_file(path, RESULTS)
    with open_store(store_url) as store:
        for result in read_file(path):
            store.add(result)
        assert [(r["run_id"], r["host"]) for r in store.rows()] == [
            ("a", "one"), ("b", "two"), ("c", None),
        ]  # fmt: skip
        assert store.array("a", "train_loss") is not None


def test_large_results_are_in_a_parquet_file_by_the_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from pyarrow import parquet

    sizes = [10, 3000, 10, 10, 10, 5000, 6000, 10]
    results = [
        Result(row=make_row(run_id=f"r{i}"), arrays={"saved/a": bytes(size)})
        for i, size in enumerate(sizes)
    ]
    monkeypatch.setattr("harness.transfer.GROUP_BYTES", 4000)
    monkeypatch.setattr("harness.transfer.GROUP", 3)
    path = tmp_path / "rows.parquet"
    assert write_file(path, results) == len(sizes)
    with parquet.ParquetFile(path) as file:
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert groups == [2, 3, 1, 1, 1]
    assert [r.arrays for r in read_file(path)] == [r.arrays for r in results]


def test_a_column_of_a_later_harness_is_left_out():
    record = to_record(RESULTS[0])
    record["row"]["new_column"] = 3
    assert from_record(record).row == RESULTS[0].row


def changed(**values: object) -> str:
    record = to_record(RESULTS[0])
    return json.dumps({**record, "row": {**record["row"], **values}})


def test_another_name_is_refused(tmp_path: Path):
    for use in (lambda p: write_file(p, []), lambda p: list(read_file(p))):
        with pytest.raises(UsageError, match=r"\*\.jsonl or \*\.parquet"):
            use(tmp_path / "rows.csv")
    with pytest.raises(UsageError, match="no file"):
        list(read_file(tmp_path / "absent.jsonl"))


@pytest.mark.parametrize(
    "line",
    ["", "[]", "{}", '{"row": {}, "epochs": [], "arrays": {}}', "{", "\xff", "nan",
     json.dumps({**to_record(RESULTS[0]), "arrays": {"x": "no base64!"}}),
     json.dumps({**to_record(RESULTS[0]), "epochs": [3]}), "[" * 100_000,
     changed(seed="abc"), changed(seed=10**30), changed(test_loss=[]), changed(dirty=1),
     changed(key_parts="{"), changed(key_parts="3"), changed(error_message="\ud800"),
     changed(run_id=3), changed(train_s=True)],
)  # fmt: skip
def test_a_damaged_record_is_named(tmp_path: Path, line: str):
    path = tmp_path / "rows.jsonl"
    good = json.dumps(to_record(RESULTS[0]))
    path.write_bytes(f"{good}\n".encode() + line.encode("latin-1") + b"\n")
    with pytest.raises(DataError, match="record") as caught:
        list(read_file(path))
    assert "\n" not in str(caught.value)


def test_what_is_no_parquet_is_named(tmp_path: Path):
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 and so on")
    with pytest.raises(DataError, match="store export"):
        list(read_file(tmp_path / "rows.parquet"))


def read_or_one_line(path: Path) -> None:
    try:
        list(read_file(path))
    except HarnessError as error:
        assert "\n" not in str(error)


@given(st.binary())
def test_any_bytes_are_results_or_an_error_of_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
):
    path = tmp_path_factory.mktemp("any") / "rows.jsonl"
    path.write_bytes(content)
    read_or_one_line(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file of Parquet that can be read."""
    path = tmp_path_factory.mktemp("whole") / "rows.parquet"
    write_file(path, RESULTS)
    return path.read_bytes()


@given(data=st.data())
def test_a_parquet_file_damaged_anywhere_is_results_or_an_error_of_one_line(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject
):
    damaged = bytearray(whole[: data.draw(st.integers(len(whole) - 2000, len(whole)))])
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("any") / "rows.parquet"
    path.write_bytes(damaged)
    read_or_one_line(path)


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.none())
)


@given(name=st.sampled_from(NAMES), value=VALUES, array=st.text())
def test_any_value_in_a_record_is_stored_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: object, array: str
):
    folder = tmp_path_factory.mktemp("any")
    record = to_record(RESULTS[0])
    record["row"][name] = value
    record["arrays"] = {array: "AAAA"}
    (folder / "rows.jsonl").write_text(json.dumps(record))
    with open_store(f"sqlite:///{folder}/rows.db") as store:
        try:
            for result in read_file(folder / "rows.jsonl"):
                store.add(result)
        except HarnessError as error:
            assert "\n" not in str(error)


MEMORY = """
import sys
from pathlib import Path
from harness.rows import Result
from harness.transfer import read_file, write_file
from stored import make_row

def peak_mb():
    # of this program alone; the resource usage begins with that of the one that started it
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e3

def results(count):
    for i in range(count):
        yield Result(row=make_row(run_id=str(i)), arrays={"a": bytes([i % 256]) * 200_000})

path = Path(sys.argv[1])
write_file(path, results(1)), list(read_file(path))  # whatever is imported by then
before = peak_mb()
assert write_file(path, results(1000)) == 1000
assert sum(len(result.arrays["a"]) for result in read_file(path)) == 200_000_000
print(peak_mb() - before)
"""


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_store_larger_than_memory_goes_through_a_file(tmp_path: Path, suffix: str):
    """200 MB of arrays, 270 as text; a few of them are in memory at a time."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / f"rows{suffix}")],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    assert 0 < float(done.stdout) < 200


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_no_folder_is_made_for_an_export(tmp_path: Path, kind: str):
    with pytest.raises(UsageError, match="there is no folder"):
        write_file(tmp_path / "absent" / f"x.{kind}", [make_result()])
    assert not (tmp_path / "absent").exists()
