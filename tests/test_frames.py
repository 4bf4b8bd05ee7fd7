from __future__ import annotations

from stored import failed_row, make_result, make_row

from harness.frames import frame_of
from harness.rows import COLUMNS, NAMES
from harness.store import open_store


def test_the_frame_has_every_column_with_its_type(store_url: str):
    with open_store(store_url) as store:
        store.add(make_result(make_row(run_id="a", seed=2**53 + 1, dirty=True, limit=None)))
        store.add(make_result(failed_row(run_id="b", limit=7)))
        frame = store.frame()
    assert list(frame.columns) == list(NAMES)
    kinds = {"text": "string", "json": "string", "int": "Int64", "float": "float64"}
    for column in COLUMNS:
        assert str(frame[column.name].dtype) == kinds.get(column.type, "boolean"), column
    assert frame["seed"].tolist() == [2**53 + 1, 0]
    assert frame["limit"].isna().tolist() == [True, False]
    assert frame["test_accuracy"].isna().tolist() == [False, True]
    assert bool(frame["dirty"].iloc[0]) is True


def test_a_frame_without_rows_has_the_same_columns_and_types():
    empty, full = frame_of([]), frame_of([make_row()])
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
