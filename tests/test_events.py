"""What a run says, line by line, and the result that it folds into."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import events
from harness.events import (
    Array,
    Collector,
    Ended,
    EpochEnd,
    Event,
    Measured,
    Note,
    Phase,
    Progress,
    Transfer,
    from_line,
    to_line,
)
from harness.rows import EPOCH_TYPES, NAMES, TYPES, Type

COUNTS, FLOATS = st.integers(0, 10**6), st.floats(allow_nan=False)
BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(), "json": st.just("{}"), "int": COUNTS, "float": FLOATS,
    "bool": st.booleans(),
}  # fmt: skip


def columns(types: Mapping[str, Type]) -> st.SearchStrategy[dict[str, Any]]:
    """Some columns, each with a value of its type or none."""
    return st.fixed_dictionaries(
        {}, optional={name: st.none() | BY_TYPE[kind] for name, kind in types.items()}
    )


EVENTS: dict[type[Any], st.SearchStrategy[Event]] = {
    Phase: st.builds(Phase, st.text()),
    Measured: st.builds(Measured, columns(TYPES)),
    Progress: st.builds(Progress, COUNTS, COUNTS, COUNTS, COUNTS, FLOATS, FLOATS),
    EpochEnd: st.builds(EpochEnd, columns(EPOCH_TYPES)),
    Array: st.builds(Array, st.text(), st.binary()),
    Transfer: st.builds(Transfer, st.text(), COUNTS, st.none() | COUNTS),
    Note: st.builds(Note, st.text()),
    events.Again: st.builds(events.Again, st.text()),
    Ended: st.builds(Ended, st.text(), st.text(), st.text()),
}


def test_every_type_of_event_travels() -> None:
    # what is said of one seed wraps another event: tests/test_together.py
    known = set(events.KINDS.values())
    assert set(EVENTS) == set(get_args(Event)) - {events.Of} == known


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_an_event_survives_the_way_through_a_line(kind: type[Any], data: st.DataObject) -> None:
    event = data.draw(EVENTS[kind])
    line = to_line(event)
    assert line.isascii() and len(line.splitlines()) == 1
    assert from_line(line) == event
    assert from_line(line + "\n") == event


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_travels_too(value: float) -> None:
    back = from_line(to_line(EpochEnd({"train_loss": value})))
    assert isinstance(back, EpochEnd)
    assert repr(back.values["train_loss"]) == repr(value)


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "Measured", "values": {"nope": 1}}',
        '{"event": "Measured", "values": {"train_s": "long"}}',
        '{"event": "Measured", "values": {"param_count": 1.5}}',
        '{"event": "EpochEnd", "values": {"epoch": "first"}}',
        '{"event": "Progress", "epoch": 1, "epochs": 1, "step": 1, "steps": 1, "loss": "x", '
        '"examples_per_s": 1}',
        '{"event": "Ended", "status": ["ok"]}',
        '{"event": "Note", "text": null}',
    ],
)
def test_what_no_run_says_is_no_event(line: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        from_line(line)


def test_text_that_no_store_takes_as_it_is_loses_nothing_that_comes_with_it() -> None:
    event = Measured({"data_fingerprint": "bad \udcff", "data_s": 1.0})
    assert from_line(to_line(event)) == event


PLANNED = {"run_id": "ab", "model": "net", "seed": 0}


def folded(*said: Event) -> Any:
    collector = Collector(PLANNED)
    for event in said:
        collector.add(event)
    return collector.result()


def test_a_whole_run() -> None:
    result = folded(
        Phase("data"), Measured({"data_s": 0.5}), Phase("train"),
        Progress(1, 2, 3, 4, 0.5, 9.0), Note("hello"), Transfer("imdb.npz", 1, None),
        EpochEnd({"epoch": 1, "test_accuracy": 0.5}),
        EpochEnd({"epoch": 2, "test_accuracy": 0.75}),
        Measured({"test_accuracy": 0.75, "data_s": 0.25}), Array("train_loss", b"npy"),
        Ended("ok"), Measured({"peak_rss_bytes": 7}),
    )  # fmt: skip
    assert tuple(result.row) == NAMES
    said = {k: v for k, v in result.row.items() if v is not None}
    assert said == {
        **PLANNED, "status": "ok", "phase": "", "error_type": "", "error_message": "",
        "test_accuracy": 0.75, "data_s": 0.25, "peak_rss_bytes": 7,
    }  # fmt: skip
    assert [epoch["test_accuracy"] for epoch in result.epochs] == [0.5, 0.75]
    assert result.arrays == {"train_loss": b"npy"}


def test_a_failure_names_the_phase_that_it_happened_in() -> None:
    row = folded(Phase("data"), Phase("compile"), Ended("failed", "ValueError", "shapes")).row
    assert (row["status"], row["phase"]) == ("failed", "compile")
    assert (row["error_type"], row["error_message"]) == ("ValueError", "shapes")


@pytest.mark.parametrize("status", ["timeout", "oom", "diverged", "skipped", "interrupted"])
def test_every_status_is_kept(status: str) -> None:
    assert folded(Phase("train"), Ended(status)).row["status"] == status


def test_a_run_that_never_ended_has_failed_and_keeps_what_it_said() -> None:
    result = folded(Phase("train"), Measured({"data_s": 0.5}), EpochEnd({"epoch": 1}))
    assert (result.row["status"], result.row["phase"]) == ("failed", "train")
    assert result.row["error_type"] and result.row["error_message"]
    assert result.row["data_s"] == 0.5
    assert result.epochs == ({"epoch": 1},)


def test_a_run_that_said_nothing_has_failed_at_the_start() -> None:
    row = folded().row
    assert (row["status"], row["phase"], row["run_id"]) == ("failed", "start", "ab")


def test_the_last_word_counts() -> None:
    """The driver says why it stopped a run, whatever the run said while it was stopped."""
    row = folded(
        Ended("failed", "SystemExit", "told to stop"), Ended("timeout", "T", "late")
    ).row
    assert (row["status"], row["error_message"]) == ("timeout", "late")


def test_a_result_is_no_window_on_the_collector() -> None:
    collector = Collector(PLANNED)
    collector.add(EpochEnd({"epoch": 1}))
    result = collector.result()
    collector.add(EpochEnd({"epoch": 2}))
    collector.add(Array("late", b""))
    collector.add(Measured({"data_s": 1.0}))
    assert len(result.epochs) == 1
    assert result.arrays == {}
    assert result.row["data_s"] is None


def test_two_collectors_share_nothing() -> None:
    first, second = Collector(PLANNED), Collector(PLANNED)
    first.add(Measured({"data_s": 1.0}))
    first.add(EpochEnd({"epoch": 1}))
    assert second.result().row["data_s"] is None
    assert second.result().epochs == ()


def test_a_column_that_does_not_exist_is_our_own_fault() -> None:
    with pytest.raises(KeyError, match="accuracy"):
        folded(Measured({"accuracy": 0.5}))
