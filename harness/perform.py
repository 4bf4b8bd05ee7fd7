"""Performs a suite: plans it, runs what has to be run, stores each row.

What of a suite is known beforehand is a list of runs. Where it tunes, only its cells are: a
cell's runs are known when its trials have ended, and `harness.tuned` goes that way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from harness import machine, registry, runner
from harness.deadlines import Limits, is_duration
from harness.errors import RowsKept, StoreError, UsageError, counted
from harness.plan import Run, expand
from harness.registry import Registry
from harness.rows import Result, Row
from harness.suites import Suite
from harness.tuned import Driver, walk
from harness.tuning import TunedCell, tuned_cells
from harness.workers import Executor, in_worker

if TYPE_CHECKING:
    from harness.resume import Lookup
    from harness.store import Store


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a plan is performed; nothing here changes a result.

    Attributes:
      timeout, phase_timeouts: seconds after which a run, or a phase of it, is stopped.
      resume: stored `ok` rows stand for their runs, and killed ones go on where they were.
      rerun: "failed" performs only runs whose stored row is not ok, "all" every run.
      checkpoint_s: seconds between two checkpoints of a run, 0 for none.
      save: keep the trained parameters; a stored row without them then stands for no run.
    """

    in_process: bool = False
    timeout: float | None = None
    phase_timeouts: Mapping[str, float] = field(default_factory=dict)
    resume: bool = False
    rerun: Literal["", "failed", "all"] = ""
    checkpoint_s: float = 60.0
    save: bool = False

    def __post_init__(self) -> None:
        if self.in_process and (self.timeout is not None or self.phase_timeouts):
            raise UsageError(
                "--timeout with --in-process: a run cannot stop its own process; "
                "drop one of them"
            )
        if self.timeout is not None and not is_duration(self.timeout):
            raise UsageError(f"--timeout {self.timeout:g}: expected seconds above 0")
        if self.resume and self.rerun == "all":
            raise UsageError(
                "--resume reuses what is stored and --rerun all nothing; use one of them"
            )

    @property
    def reuses(self) -> bool:
        return self.resume or self.rerun == "failed"


def perform(
    suite: Suite,
    known: Registry,
    *,
    options: Options,
    store: str | None,
    listener: runner.Listener,
) -> list[Row]:
    """Plans a suite, runs what has to be run, stores each row; returns all rows.

    Raises:
      RowsKept: the store has gone; the rows are in files, and in the exception.
    """
    if suite.tune:
        cells = tuned_cells(suite, known, key_parts=machine.key_parts(), note=listener.note)
        work = partial(_perform_cells, cells)
    else:
        work = partial(_perform_runs, expand(suite, known, key_parts=machine.key_parts()))
    if store is None:
        return work(None, known, options, lambda result: None, listener)
    from harness.spool import Spool
    from harness.store import open_store

    with open_store(store) as opened:
        spool = Spool(opened, note=listener.note)
        try:
            rows = work(opened, known, options, spool.save, listener)
        except BaseException:
            spool.abandon()
            raise
        try:
            spool.finish()
        except StoreError as error:
            raise RowsKept(str(error), rows) from None
        return rows


Save = Callable[[Result], None]


def _perform_runs(
    runs: Sequence[Run],
    store: Store | None,
    known: Registry,
    options: Options,
    save: Save,
    listener: runner.Listener,
) -> list[Row]:
    stored: dict[str, Row] = {}
    if store is not None:
        runs, stored = choose_runs(runs, store, options, listener.note)
        _write_plan(store, listener.note, [r for r in runs if r.run_key not in stored])
    execute, name = _executor(runs, known, options)
    return runner.run_plan(
        runner.Plan(tuple(runs), stored), execute=execute, executor_name=name, save=save,
        listener=listener,
    )  # fmt: skip


def _perform_cells(
    cells: Sequence[TunedCell],
    store: Store | None,
    known: Registry,
    options: Options,
    save: Save,
    listener: runner.Listener,
) -> list[Row]:
    stored, announce = _nothing_stored, _tell_nobody
    if store is not None:
        from harness.resume import Lookup

        lookup = Lookup(store, save=options.save)
        if options.rerun == "failed":
            cells = choose_cells(cells, lookup, listener.note)
        if options.reuses:
            stored = partial(_stored, lookup, listener.note)
        announce = partial(_write_plan, store, listener.note)
    # all plugins that may be needed: trials have the values, runs the metrics and observers
    some = [run for cell in cells for run in (*cell.first, *cell.runs(None))]
    execute, name = _executor(some, known, options)
    performance = runner.Performance(
        execute=execute, executor_name=name, save=save, listener=listener,
        total=sum(cell.count for cell in cells),
    )  # fmt: skip
    driver = Driver(performance=performance, stored=stored, announce=announce)
    rows = [row for cell in cells for row in driver.perform(cell)]
    performance.close()
    return rows


def _nothing_stored(runs: Sequence[Run]) -> dict[str, Row]:
    return {}


def _tell_nobody(runs: Iterable[Run]) -> None:
    pass


def _stored(lookup: Lookup, note: Callable[[str], None], runs: Sequence[Run]) -> dict[str, Row]:
    """The stored rows that stand for runs; a store that fails meanwhile has none."""
    try:
        found = zip(runs, lookup.states(runs), strict=True)
    except StoreError as error:
        note(f"{error}; what it has stored is measured again")
        return {}
    return {r.run_key: s.row for r, s in found if s.word == "stored" and s.row is not None}


def _write_plan(store: Store, note: Callable[[str], None], runs: Iterable[Run]) -> None:
    """Writes down what is going to run; a store that refuses costs no run."""
    try:
        store.plan(runner.planned(run) for run in runs)
    except StoreError as error:
        note(f"{error}; the plan is not written down, its rows will be")


def choose_runs(
    runs: Sequence[Run], store: Store, options: Options, note: Callable[[str], None]
) -> tuple[list[Run], dict[str, Row]]:
    """The runs that the options ask for, and the stored rows that stand for some of them."""
    if not options.reuses:
        return list(runs), {}
    from harness.resume import states

    found = list(zip(runs, states(runs, store, save=options.save), strict=True))
    stored = {r.run_key: s.row for r, s in found if s.word == "stored" and s.row is not None}
    if options.rerun != "failed":
        return list(runs), stored
    chosen = [r for r, s in found if s.word == "stored" or (s.row and s.row["status"] != "ok")]
    if len(chosen) < len(runs):
        note(
            f"{counted(len(runs) - len(chosen), 'run')} of the plan left out: not failed, but "
            "missing or stale; --resume performs what is"
        )
    return chosen, stored


def choose_cells(
    cells: Sequence[TunedCell], lookup: Lookup, note: Callable[[str], None]
) -> list[TunedCell]:
    """The cells of which something failed, and those that are stored as a whole.

    A trial that is tried again may change what is chosen, so a cell is done over as one.
    """
    walks = [walk(cell, lookup.states) for cell in cells]
    chosen = [c for c, w in zip(cells, walks, strict=True) if w.failed or w.whole]
    if len(chosen) < len(cells):
        note(
            f"{counted(len(cells) - len(chosen), 'cell')} of the plan left out: not failed, "
            "but missing or stale; --resume performs what is"
        )
    return chosen


def _executor(runs: Iterable[Run], known: Registry, options: Options) -> tuple[Executor, str]:
    """What performs runs as the options say, and its name; `runs` name all plugins needed."""
    runs = list(runs)
    settings = {
        "checkpoint_s": options.checkpoint_s, "resume": options.reuses, "save": options.save,
    }  # fmt: skip
    if options.in_process:
        if any(run.recipe.processes > 1 for run in runs):
            raise UsageError(
                "--processes with --in-process: one process is not several; drop one of them"
            )
        return runner.in_process(load_chosen(runs, known), settings=settings), "in-process"
    limits = Limits(options.timeout, options.phase_timeouts)
    return in_worker(limits=limits, settings=settings), "process"


def load_chosen(runs: Iterable[Run], known: Registry) -> Registry:
    """Imports, in this process, the plugins that the runs name."""
    sources = [source for run in runs for source in run.sources]
    loaded = registry.load(dict.fromkeys(s for s in sources if s.origin != "session"))
    here = {key: entry for key, entry in known.entries.items() if entry.factory is not None}
    return replace(loaded, entries={**loaded.entries, **here})
