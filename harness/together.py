"""Runs of several seeds in one program, from start to end, as `harness.execute` does one.

What is of all of them is said as it is, what is of one seed as an event `Of` that seed. A
seed that is over while the others go on says at once how it ended.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from flax import nnx

from harness import machine, vmapped
from harness.assemble import Emit
from harness.contention import default_folder, watched
from harness.events import Array, Collector, Ended, Event, Measured, Of, Phase
from harness.execute import (
    Settings,
    advised,
    ended,
    execute,
    keep_checkpoints,
    load_all,
    make_model,
    make_observers,
    save_state,
)
from harness.observers import Observers
from harness.plan import Run
from harness.registry import Registry


def execute_all(run: Run, registry: Registry, emit: Emit, *, settings: Settings) -> None:
    """Runs one planned run, or with it the others that its program trains."""
    if not run.others:
        execute(run, registry, emit, settings=settings)
        return
    runs = (replace(run, others=()), *run.others)
    told = [_Told(one, emit) for one in runs]
    end = Ended("ok")

    def tell(event: Event) -> None:
        for one in told:
            one.know(event)
        emit(event)

    with watched(default_folder()) as shared:
        try:
            for one in told:
                one.start(registry)
            _train(runs, told, registry, tell, settings)
        except (Exception, SystemExit) as error:
            # the log keeps the whole story, the rows one line of it
            traceback.print_exc()
            end = advised(run, ended(error))
        met = shared()
        tell(Measured({"timing_comparable": None if met is None else not met}))
    tell(Measured(machine.memory()))
    for one in told:
        one.stop(end)
    tell(Measured({"observer_s": sum(one.observer_s for one in told)}))
    # the last word: whoever listens need not wait for the process to go
    emit(end)


@dataclass
class _Told:
    """What one of the runs says, and who hears of it.

    Attributes:
      end: how it ended by itself; None while it goes on with the others.
    """

    run: Run
    emit: Emit
    known: Collector = field(init=False)
    observers: Observers | None = None
    end: Ended | None = None

    def __post_init__(self) -> None:
        self.known = Collector(self.run.to_row())

    @property
    def observer_s(self) -> float:
        return self.observers.seconds if self.observers is not None else 0.0

    def say(self, event: Event) -> None:
        """Says what is of this run alone."""
        self.know(event)
        self.emit(Of(self.run.seed, event))

    def know(self, event: Event) -> None:
        if not isinstance(event, Array):  # no observer is shown one
            self.known.add(event)

    def start(self, registry: Registry) -> None:
        self.observers = make_observers(self.run, registry, self.say)
        self.observers.run_start(run=self.known.planned)

    def fail(self, error: BaseException) -> None:
        """The run is over, and the others go on."""
        traceback.print_exception(error)
        self.end = advised(self.run, ended(error))
        self.say(self.end)

    def stop(self, end: Ended) -> None:
        self.known.ended = self.end or end
        if self.observers is not None:
            self.observers.run_end(row=self.known.result().row)


def _train(
    runs: Sequence[Run],
    told: Sequence[_Told],
    registry: Registry,
    emit: Emit,
    settings: Settings,
) -> None:
    first = runs[0]
    entry, dataset, parts, load_s = load_all(first, registry, emit)
    emit(Phase("construct"))
    seeds = [_seed(one, make_model(entry, dataset.spec, one.run)) for one in told]
    if settings.save:
        for one, seed in zip(told, seeds, strict=True):
            seed.trained = partial(save_state, spec=dataset.spec, emit=one.say)
    with keep_checkpoints(first, settings, emit) as checkpoints:
        vmapped.fit_seeds(
            seeds, dataset, first.recipe, emit=emit, load_s=load_s, checkpoints=checkpoints,
            parts=parts,
        )  # fmt: skip


def _seed(told: _Told, model: nnx.Module) -> vmapped.Seed:
    assert told.observers is not None  # they were made before anything was loaded
    return vmapped.Seed(
        seed=told.run.seed, model=model, emit=told.say, failed=told.fail,
        watched=told.observers,
    )  # fmt: skip
