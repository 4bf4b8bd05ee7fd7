"""How a plan goes on, on standard error.

At a terminal there is one bar a run: epoch, step, loss, rate, time left. Elsewhere each
epoch is one plain line, so that a log stays readable.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TextIO

from harness.events import Again, EpochEnd, Event, Measured, Note, Of, Progress, Transfer
from harness.plan import Run
from harness.rows import Row
from harness.runner import Listener


def make_listener(stream: TextIO, *, several: bool = False) -> Listener:
    """Bars for a terminal, lines for everything else.

    Args:
      several: whether several runs go on at once.
    """
    if several:
        return Crowd(stream, bar=stream.isatty())
    return Bars(stream) if stream.isatty() else Lines(stream)


def epoch_line(values: dict[str, Any], epochs: int) -> str:
    """One epoch in one line.

    >>> epoch_line({"epoch": 2, "test_loss": 0.5, "test_accuracy": 0.75, "train_s": 1.0,
    ...             "eval_s": 0.5}, 10)
    'epoch 2/10  test loss 0.5000  test accuracy 0.7500  1.5 s'
    """
    prefix, word = ("test", "test") if "test_loss" in values else ("val", "validation")
    seconds = values["train_s"] + values["eval_s"]
    accuracy = values[f"{prefix}_accuracy"]
    # regression has none
    told = "" if accuracy is None else f"{word} accuracy {accuracy:.4f}  "
    return (
        f"epoch {values['epoch']}/{epochs}  {word} loss {values[prefix + '_loss']:.4f}  "
        f"{told}{seconds:.1f} s"
    )


def end_line(row: Row) -> str:
    """How a run ended, in one line, with its seed where its program trained others."""
    if (row["vmap_seeds"] or 1) > 1:
        return f"seed {row['seed']}  {_end(row)}"
    return _end(row)


def _end(row: Row) -> str:
    if row["status"] == "ok":
        trial = row["kind"] == "trial"
        kind, split, word = ("trial", "val", "validation") if trial else ("run", "test", "test")
        name = "loss" if row[f"{split}_accuracy"] is None else "accuracy"
        return f"ok  {kind} {row['run_id']}  {word} {name} {row[f'{split}_{name}']:.4f}"
    return f"{row['status']}  {row['error_type']}: {row['error_message']}"


@dataclass
class Lines:
    """Plain lines."""

    stream: TextIO

    def _print(self, text: str) -> None:
        # a reader that has gone, as `head` does, must not cost the runs
        with suppress(OSError):
            print(text, file=self.stream, flush=True)

    def started(self, run: Run, number: int, total: int) -> None:
        self._print(f"[{number}/{total}] {run.label}")

    def event(self, run: Run, event: Event) -> None:
        if isinstance(event, Of):
            self._event(run, event.said, f"  seed {event.seed}")
        else:
            self._event(run, event, "")

    def _event(self, run: Run, event: Event, whose: str) -> None:
        if isinstance(event, EpochEnd):
            self._print(f"{whose}  {epoch_line(dict(event.values), run.recipe.epochs)}")
        elif isinstance(event, Note):
            self._print(f"{whose}  {event.text}")

    def ended(self, run: Run, row: Row) -> None:
        self._print(f"  {end_line(row)}")

    def note(self, text: str) -> None:
        self._print(f"note: {text}")


@dataclass
class Bars:
    """One bar a run; tqdm does the drawing and the arithmetic of the time left."""

    stream: TextIO
    bar: Any = None
    started_at: float = 0.0
    title: str = ""
    last: str = field(default="")

    def started(self, run: Run, number: int, total: int) -> None:
        self.title = f"[{number}/{total}] {run.label}"
        self.started_at = time.perf_counter()
        self._open(self.title, unit="step", total=None)

    def _open(self, description: str, *, unit: str, total: int | None) -> None:
        from tqdm import tqdm  # here, because most commands show no bar

        self._close()
        scale = unit == "B"
        self.bar = tqdm(
            desc=description, unit=unit, total=total, file=self.stream, leave=False,
            dynamic_ncols=True, unit_scale=scale,
        )  # fmt: skip

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def event(self, run: Run, event: Event) -> None:
        if isinstance(event, Of):  # of what one seed came to the end of its run tells
            event = event.said
        if isinstance(event, Progress):
            self._advance(event)
        elif isinstance(event, EpochEnd):
            self.last = epoch_line(dict(event.values), run.recipe.epochs)
            self.bar.set_postfix_str(self.last.partition("  ")[2])
        elif isinstance(event, Transfer):
            self._transfer(event)
        elif isinstance(event, Note):
            self.bar.write(event.text, file=self.stream)

    def _advance(self, event: Progress) -> None:
        total = event.epochs * event.steps
        done = (event.epoch - 1) * event.steps + event.step
        if self.bar.total != total:
            self._open(self.title, unit="step", total=total)
        self.bar.set_description_str(
            f"{self.title} epoch {event.epoch}/{event.epochs}", refresh=False
        )
        self.bar.n = done
        # drawn at once: events come a few times a second, tqdm need not hold them back
        self.bar.set_postfix_str(
            f"loss {event.loss:.4f}, {event.examples_per_s:,.0f} examples/s"
        )

    def _transfer(self, event: Transfer) -> None:
        if self.bar.desc != f"{event.description}: ":
            self._open(event.description, unit="B", total=event.total)
        self.bar.total = event.total
        self.bar.update(event.done - self.bar.n)

    def ended(self, run: Run, row: Row) -> None:
        self._close()
        seconds = time.perf_counter() - self.started_at
        print(f"{self.title}  {end_line(row)}  {seconds:.0f} s", file=self.stream, flush=True)

    def note(self, text: str) -> None:
        with suppress(OSError):
            if self.bar is not None:
                self.bar.write(f"note: {text}", file=self.stream)
            else:
                print(f"note: {text}", file=self.stream, flush=True)


@dataclass
class Crowd:
    """Several runs at once: lines that say which run they are of, one bar for all of them.

    Attributes:
      bar: whether there is a terminal to draw one at.
      titles: of the runs that go on, by run_id.
    """

    stream: TextIO
    bar: bool = False
    titles: dict[str, str] = field(default_factory=dict)
    _all: Any = field(default=None, repr=False)

    def _print(self, text: str) -> None:
        with suppress(OSError):
            if self._all is not None:
                self._all.write(text, file=self.stream)
            else:
                print(text, file=self.stream, flush=True)

    def _say(self, run: Run, text: str) -> None:
        self._print(f"{self.titles.get(run.run_id, run.label)}  {text}")

    def started(self, run: Run, number: int, total: int) -> None:
        if self.bar and self._all is None:
            from tqdm import tqdm

            self._all = tqdm(total=total, unit="run", file=self.stream, leave=False)
        self.titles[run.run_id] = f"[{number}/{total}] {run.label}"
        self._count(number - len(self.titles))

    def _count(self, done: int) -> None:
        if self._all is not None:
            self._all.n = max(self._all.n, done)
            self._all.set_postfix_str(f"{len(self.titles)} go on")

    def event(self, run: Run, event: Event) -> None:
        if isinstance(event, EpochEnd):
            self._say(run, epoch_line(dict(event.values), run.recipe.epochs))
        elif isinstance(event, Note | Again):
            self._say(run, event.text)
        elif isinstance(event, Measured) and "host" in event.values:
            self._say(run, f"on {event.values['host']}")

    def ended(self, run: Run, row: Row) -> None:
        self._say(run, end_line(row))
        self.titles.pop(run.run_id, None)
        if self._all is not None:
            self._count(self._all.n + 1)
            if self._all.n >= self._all.total:
                self._all.close()
                self._all = None

    def note(self, text: str) -> None:
        self._print(f"note: {text}")
