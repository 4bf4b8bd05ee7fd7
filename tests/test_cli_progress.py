from __future__ import annotations

import io

import pytest

from harness import plan
from harness.choices import Choice
from harness.cli.progress import Bars, Lines, make_listener
from harness.entries import Source
from harness.events import EpochEnd, Event, Note, Of, Progress, Transfer
from harness.recipe import Recipe
from harness.rows import complete

SOURCE = Source(name="a", origin="file", target="a.py", version="1", source_hash="0")
RUN = plan.Run(
    run_id="1", run_key="k", key_parts={}, suite="", seed=3, recipe=Recipe(epochs=2),
    dataset=Choice(name="digits", variant="", params={}, source=SOURCE),
    model=Choice(name="m", variant="deep", params={}, source=SOURCE, given={"width": 4}),
)  # fmt: skip
OK = complete({"status": "ok", "run_id": "3f2a", "test_accuracy": 0.75})
FAILED = complete({"status": "failed", "error_type": "ValueError", "error_message": "bad"})
EVENTS: tuple[Event, ...] = (
    Transfer("imdb.npz", 50, 100),
    Note("a note"),
    Progress(1, 2, 5, 10, 0.5, 1234.0),
    EpochEnd(
        {"epoch": 1, "test_loss": 0.25, "test_accuracy": 0.5, "train_s": 1.0, "eval_s": 1.0}
    ),
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def play(stream: io.StringIO) -> str:
    listener = make_listener(stream)
    listener.started(RUN, 1, 2)
    for event in EVENTS:
        listener.event(RUN, event)
    listener.ended(RUN, OK)
    listener.started(RUN, 2, 2)
    listener.ended(RUN, FAILED)
    return stream.getvalue()


def test_without_a_terminal_each_epoch_is_one_plain_line():
    assert play(io.StringIO()).splitlines() == [
        "[1/2] digits x m:deep[width=4], seed 3",
        "  a note",
        "  epoch 1/2  test loss 0.2500  test accuracy 0.5000  2.0 s",
        "  ok  run 3f2a  test accuracy 0.7500",
        "[2/2] digits x m:deep[width=4], seed 3",
        "  failed  ValueError: bad",
    ]


def test_at_a_terminal_a_bar_shows_epoch_loss_rate_and_time_left():
    text = play(Terminal())
    assert "epoch 1/2" in text and "5/20" in text
    assert "loss 0.5000, 1,234 examples/s" in text
    assert "imdb.npz" in text and "a note" in text
    assert "[2/2] digits x m:deep[width=4], seed 3  failed  ValueError: bad" in text


@pytest.mark.parametrize(("stream", "kind"), [(Terminal(), Bars), (io.StringIO(), Lines)])
def test_the_stream_decides(stream: io.StringIO, kind: type):
    assert isinstance(make_listener(stream), kind)


def test_validation_is_called_by_its_name():
    stream = io.StringIO()
    values = {"epoch": 1, "val_loss": 1.0, "val_accuracy": 0.5, "train_s": 0.0, "eval_s": 0.0}
    Lines(stream).event(RUN, EpochEnd(values))
    assert "validation loss 1.0000  validation accuracy 0.5000" in stream.getvalue()


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_reader_that_has_gone_costs_no_run():
    assert play(Closed()) == ""


def test_what_has_no_accuracy_is_told_by_its_loss():
    out = io.StringIO()
    listener = make_listener(out)
    values = {"epoch": 1, "val_loss": 0.25, "val_accuracy": None, "train_s": 1.0, "eval_s": 1.0}
    listener.event(RUN, EpochEnd(values))
    row = {"status": "ok", "run_id": "3f2a", "test_accuracy": None, "test_loss": 0.5}
    listener.ended(RUN, complete(row))
    assert out.getvalue().splitlines() == [
        "  epoch 1/2  validation loss 0.2500  2.0 s", "  ok  run 3f2a  test loss 0.5000",
    ]  # fmt: skip


def test_what_seeds_of_one_program_come_to_is_told_with_the_seed():
    stream = io.StringIO()
    for listener in (Lines(stream), Bars(stream)):
        listener.started(RUN, 3, 3)
        listener.event(RUN, Of(1, EVENTS[-1]))
        listener.ended(RUN, {**OK, "seed": 1, "vmap_seeds": 3})
    lines = stream.getvalue().splitlines()
    assert "  seed 1  epoch 1/2  test loss 0.2500  test accuracy 0.5000  2.0 s" in lines
    assert "  seed 1  ok  run 3f2a  test accuracy 0.7500" in lines
    assert "seed 3  seed 1  ok" in lines[-1]
