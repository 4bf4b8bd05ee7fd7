"""The example of a data set in ArrayRecord files trains through the harness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import harness

array_record_module = pytest.importorskip("array_record.python.array_record_module")
PLUGIN = Path(__file__).parent.parent / "examples" / "array_records.py"


def write(path: Path, count: int) -> None:
    writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
    for values in np.random.RandomState(count).randn(count, 17).astype(np.float32):
        values[0] = values[1] > 0
        writer.write(values.tobytes())
    writer.close()


def test_a_data_set_of_array_records_trains_and_its_label_is_learned(tmp_path: Path):
    write(tmp_path / "train-0.array_record", 300)
    write(tmp_path / "train-1.array_record", 212)
    write(tmp_path / "test-0.array_record", 100)
    frame = harness.run(
        [f'array_records[folder="{tmp_path}"]'], ["mlp"], plugins=[str(PLUGIN)],
        epochs=10, learning_rate=0.01,
    )  # fmt: skip
    assert frame["status"].tolist() == ["ok"], frame["error_message"].tolist()
    assert frame["test_accuracy"].iloc[0] > 0.8
