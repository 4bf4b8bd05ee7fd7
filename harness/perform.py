"""Performs a suite: plans it, runs what has to be run, stores each row.

What of a suite is known beforehand is a list of runs. Where it tunes, only its cells are: a
cell's runs are known when its trials have ended, and `harness.tuned` goes that way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from harness import cluster, machine, registry, runner
from harness.cluster import Cluster
from harness.deadlines import Limits, is_duration
from harness.errors import RowsKept, StoreError, UsageError, counted
from harness.plan import Run, expand
from harness.registry import Registry
from harness.rows import Result, Row
from harness.runner import Performer
from harness.suites import Suite
from harness.taken_up import TakenUp
from harness.tuned import Driver, walk
from harness.tuning import TunedCell, tuned_cells
from harness.workers import in_worker

if TYPE_CHECKING:
    from harness.choices import Choice
    from harness.fingerprints import Now
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
      exclusive: one run at a time on a machine, of all that ask for it.
      cluster: where runs are tasks of Dask's; None performs them here, one after the other.
    """

    in_process: bool = False
    timeout: float | None = None
    phase_timeouts: Mapping[str, float] = field(default_factory=dict)
    resume: bool = False
    rerun: Literal["", "failed", "all"] = ""
    checkpoint_s: float = 60.0
    save: bool = False
    exclusive: bool = False
    cluster: Cluster | None = None

    def __post_init__(self) -> None:
        if self.in_process and self.cluster is not None:
            raise UsageError("--in-process with --executor dask: use one of them")
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

    def check(self, runs: Iterable[Run]) -> None:
        """Refuses runs that cannot be performed so.

        Raises:
          UsageError: a run is several processes, and this one is to perform it.
        """
        if self.in_process and any(run.recipe.processes > 1 for run in runs):
            raise UsageError(
                "--processes with --in-process: one process is not several; drop one of them"
            )

    @property
    def reuses(self) -> bool:
        return self.resume or self.rerun == "failed"

    def key_parts(self) -> dict[str, str]:
        """What of the machine, or of any one of the cluster, a run's key holds."""
        return machine.key_parts(anywhere=self.cluster is not None)

    def settings(self) -> dict[str, Any]:
        """Fields of `harness.execute.Settings`."""
        return {
            "checkpoint_s": self.checkpoint_s, "resume": self.reuses, "save": self.save,
        }  # fmt: skip


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
        cells = tuned_cells(suite, known, key_parts=options.key_parts(), note=listener.note)
        # all plugins that may be needed: trials have the values, runs metrics and observers
        needed = [run for cell in cells for run in (*cell.first, *cell.runs(None))]
        work = partial(_perform_cells, cells)
    else:
        needed = expand(suite, known, key_parts=options.key_parts())
        work = partial(_perform_runs, needed)
    if options.cluster is not None:  # its threads tell it things as well
        listener = runner.OneAtATime(listener)
    with _place(needed, known, options, store, listener) as place:
        if store is None:
            return work(None, place, options, lambda result: None, listener)
        return _perform_stored(work, store, place, options, listener)


def _perform_stored(
    work: Callable[..., list[Row]],
    store: str,
    place: Place,
    options: Options,
    listener: runner.Listener,
) -> list[Row]:
    from harness.spool import Spool
    from harness.store import open_store

    with open_store(store) as opened:
        spool = Spool(opened, note=listener.note)
        try:
            rows = work(opened, place, options, spool.save, listener)
        except BaseException:
            spool.abandon()
            raise
        try:
            spool.finish()
        except StoreError as error:
            raise RowsKept(str(error), rows) from None
        return rows


Save = Callable[[Result], None]


@dataclass(frozen=True)
class Place:
    """Where a plan is performed.

    Attributes:
      now_of: says what data sets are there now; None where that is this machine.
    """

    performer: Performer
    now_of: Callable[[list[Choice]], list[Now | None]] | None = None


def _perform_runs(
    runs: Sequence[Run],
    store: Store | None,
    place: Place,
    options: Options,
    save: Save,
    listener: runner.Listener,
) -> list[Row]:
    stored: dict[str, Row] = {}
    if store is not None:
        # before: a run that ends meanwhile is either stored or taken up
        taken_up = _taken_up(store, options)
        runs, stored = choose_runs(runs, store, options, listener.note, now_of=place.now_of)
        runs = taken_up(runs)
        left = [run for run in runs if run.run_key not in stored]
        _write_plan(store, listener.note, taken_up.new(left))
    return runner.run_plan(
        runner.Plan(tuple(runs), stored), performer=place.performer, save=save,
        listener=listener,
    )  # fmt: skip


def _perform_cells(
    cells: Sequence[TunedCell],
    store: Store | None,
    place: Place,
    options: Options,
    save: Save,
    listener: runner.Listener,
) -> list[Row]:
    ways: dict[str, Any] = {"stored": _nothing_stored, "announce": _tell_nobody}
    if store is not None:
        from harness.resume import Lookup

        lookup = Lookup(store, save=options.save, now_of=place.now_of)
        if options.rerun == "failed":
            cells = choose_cells(cells, lookup, listener.note)
        taken_up = _taken_up(store, options)
        ways = {
            "stored": partial(_stored, lookup, listener.note) if options.reuses
            else _nothing_stored,
            "announce": lambda runs: _write_plan(store, listener.note, taken_up.new(runs)),
            "taken_up": taken_up,
        }  # fmt: skip
    performance = runner.Performance(
        performer=place.performer, save=save, listener=listener,
        total=sum(cell.count for cell in cells),
    )  # fmt: skip
    driver = Driver(performance=performance, **ways)
    rows = [row for some in performance.each(driver.perform, cells) for row in some]
    performance.close()
    return rows


def _taken_up(store: Store, options: Options) -> TakenUp:
    """On a cluster, a run that goes on there for a command that has gone is not begun anew."""
    if options.cluster is None or not options.reuses:
        return TakenUp()
    return TakenUp({line["run_key"]: line["run_id"] for line in store.lost()})


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
    runs: Sequence[Run],
    store: Store,
    options: Options,
    note: Callable[[str], None],
    *,
    now_of: Callable[[list[Choice]], list[Now | None]] | None = None,
) -> tuple[list[Run], dict[str, Row]]:
    """The runs that the options ask for, and the stored rows that stand for some of them."""
    if not options.reuses:
        return list(runs), {}
    from harness.resume import Lookup

    lookup = Lookup(store, save=options.save, now_of=now_of)
    found = list(zip(runs, lookup.states(runs), strict=True))
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


@contextmanager
def _place(
    runs: Sequence[Run],
    known: Registry,
    options: Options,
    store: str | None,
    listener: runner.Listener,
) -> Iterator[Place]:
    """Where runs are performed as the options say; `runs` name all plugins needed."""
    options.check(runs)
    if options.cluster is not None:
        with cluster.connected(
            options.cluster, runs, settings=options.settings(), limits=_limits(options),
            exclusive=options.exclusive, store=store, note=listener.note,
        ) as (performer, there):  # fmt: skip
            yield Place(performer, there)
        return
    if options.in_process:
        execute, name = (
            runner.in_process(load_chosen(runs, known), settings=options.settings()),
            "in-process",
        )
    else:
        execute = in_worker(limits=_limits(options), settings=options.settings())
        name = "process"
    if options.exclusive:
        from harness.exclusive import exclusively

        execute = exclusively(execute)
    yield Place(Performer(name=name, execute=execute))


def _limits(options: Options) -> Limits:
    return Limits(options.timeout, options.phase_timeouts)


def load_chosen(runs: Iterable[Run], known: Registry) -> Registry:
    """Imports, in this process, the plugins that the runs name."""
    sources = [source for run in runs for source in run.sources]
    loaded = registry.load(dict.fromkeys(s for s in sources if s.origin != "session"))
    here = {key: entry for key, entry in known.entries.items() if entry.factory is not None}
    return replace(loaded, entries={**loaded.entries, **here})
