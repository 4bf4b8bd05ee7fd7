"""Performs cells that are tuned: the trials of a cell, what they choose, then its runs.

What comes next depends on the rows before it, so a cell is a walk: `harness.halving` says which
trials are needed, and each is performed, or read from the store where a stored row stands for
it. `walk` goes the same way as far as the store knows, and performs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import RefusedValue
from harness.events import Ended
from harness.halving import Chosen, Hopeless, Trials, is_pointless, next_step
from harness.parameters import show
from harness.plan import Run
from harness.rows import Row
from harness.runner import Performance
from harness.tuning import TunedCell

if TYPE_CHECKING:
    from harness.resume import State

Rows = dict[tuple[int, int], Row]
States = Callable[[Sequence[Run]], Sequence["State"]]


@dataclass(frozen=True, kw_only=True)
class Driver:
    """Performs cells, one after the other.

    Attributes:
      stored: gives the stored rows that stand for some of the runs, by run key.
      announce: writes down what is going to be performed next.
      taken_up: gives runs the identity of those that go on already.
    """

    performance: Performance
    stored: Callable[[Sequence[Run]], Mapping[str, Row]]
    announce: Callable[[Sequence[Run]], None]
    taken_up: Callable[[Sequence[Run]], list[Run]] = list

    def perform(self, cell: TunedCell) -> list[Row]:
        """The rows of a cell: its trials, then its runs.

        After Ctrl-C stored rows still stand for theirs; the runs behind a trial that is missing
        have no values of what is tuned and say that they were stopped.
        """
        rows = Rows()
        step = next_step(cell.rungs, rows, keys=cell.axes)
        while isinstance(step, Trials) and self._take(cell, step, rows):
            step = next_step(cell.rungs, rows, keys=cell.axes)
        if not isinstance(step, Trials):
            trials = cell.count - len(cell.seeds)
            self.performance.leave_out(trials - len(rows))
        return [*rows.values(), *self._runs(cell, step, rows)]

    def _take(self, cell: TunedCell, step: Trials, rows: Rows) -> bool:
        """Adds the rows of trials; whether the way goes on behind them."""
        places = [(step.rung, number) for number in step.numbers]
        trials = dict(zip(places, self.taken_up([cell.trial(*p) for p in places]), strict=True))
        stored = self._stored(list(trials.values()))
        if self.performance.stopped and any(t.run_key not in stored for t in trials.values()):
            return False
        # the end of the first trial may be that of all
        cut = 1 if (0, 0) in trials else len(places)
        for part in (places[:cut], places[cut:]):
            if rows.get((0, 0)) is None or not is_pointless(rows[0, 0], cell.axes):
                done = self._each([trials[place] for place in part], stored)
                rows |= dict(zip(part, done, strict=True))
        return all(rows[place]["status"] != "interrupted" for place in places if place in rows)

    def _runs(self, cell: TunedCell, step: Trials | Chosen | Hopeless, rows: Rows) -> list[Row]:
        if isinstance(step, Chosen):
            runs = self.taken_up(cell.runs(step.number, rows))
            self._note_ends(cell, step.number)
            return self._each(runs, self._stored(runs))
        runs = cell.runs(None, rows)
        if isinstance(step, Trials):  # stopped: the rows say so
            return self.performance.rows_of(runs, {})
        row = step.row
        # of a trial it is no fault; that no value at all is taken is one of the command
        status = "failed" if row["error_type"] == RefusedValue.__name__ else row["status"]
        ended = Ended(status, row["error_type"], step.message)
        return [self.performance.refuse(run, ended, log_path=row["log_path"]) for run in runs]

    def _note_ends(self, cell: TunedCell, number: int | None) -> None:
        if number is None:
            return
        name = f"{cell.base.dataset.label} x {cell.base.model.label}"
        values = cell.configurations[number].values
        for key in cell.at_end(number):
            self.performance.listener.note(
                f"{name}: {key}={show(values[key])} is at the end of its range; widen it"
            )

    def _each(self, runs: Sequence[Run], stored: Mapping[str, Row]) -> list[Row]:
        if not self.performance.stopped:
            self.announce([run for run in runs if run.run_key not in stored])
        return self.performance.rows_of(runs, stored)

    def _stored(self, runs: Sequence[Run]) -> Mapping[str, Row]:
        try:
            return self.stored(runs)
        except KeyboardInterrupt as stop:
            self.performance.stop(stop)
            return {}


@dataclass(frozen=True)
class Walk:
    """How far the store knows a cell.

    Attributes:
      known: the trials and runs that are known, each with what stands for it.
      later: what depends on rows that are not there: how many, and one of them with the
        values of another trial.
    """

    known: tuple[tuple[Run, State], ...]
    later: tuple[tuple[int, Run], ...]

    @property
    def whole(self) -> bool:
        """Whether all of it is stored."""
        return not self.later and all(state.word == "stored" for _, state in self.known)

    @property
    def failed(self) -> bool:
        """Whether something that is not stored was not ok."""
        rows = (state.row for _, state in self.known if state.word != "stored")
        return any(row is not None and row["status"] != "ok" for row in rows)


def walk(cell: TunedCell, states: States) -> Walk:
    """Goes through a cell as far as stored rows decide what is next."""
    rows = Rows()
    known: list[tuple[Run, State]] = []
    step = next_step(cell.rungs, rows, keys=cell.axes)
    while isinstance(step, Trials):
        asked, trials = step, [cell.trial(step.rung, number) for number in step.numbers]
        found = list(zip(trials, states(trials), strict=True))
        for number, (_, state) in zip(asked.numbers, found, strict=True):
            if state.word == "stored" and state.row is not None:
                rows[asked.rung, number] = state.row
        step = next_step(cell.rungs, rows, keys=cell.axes)
        hopeless = isinstance(step, Hopeless)  # then nobody needs the trials that are missing
        known += [pair for pair in found if pair[1].word == "stored" or not hopeless]
        if isinstance(step, Trials) and step.rung == asked.rung:
            return Walk(tuple(known), _later(cell, step.rung + 1))
    runs = cell.runs(step.number if isinstance(step, Chosen) else None, rows)
    return Walk((*known, *zip(runs, states(runs), strict=True)), ())


def _later(cell: TunedCell, rung: int) -> tuple[tuple[int, Run], ...]:
    rungs = enumerate(cell.rungs[rung:], start=rung)
    trials = ((one.trials, cell.trial(number, 0)) for number, one in rungs)
    return (*trials, (len(cell.seeds), cell.runs(0)[0]))
