"""One run from start to end, whichever process it is in.

Whatever happens is said as an event: the phase, what was measured, and at last how it
ended. Nothing is raised except what must end the process (Ctrl-C).
"""

from __future__ import annotations

import functools
import importlib.util
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from flax import nnx

from harness import machine, saved
from harness.allocator import allocator
from harness.assemble import Emit, Parts, build_model
from harness.checkpoints import Checkpoints
from harness.choices import Choice
from harness.contention import default_folder, watched
from harness.engine import fit
from harness.entries import Entry, Failure, Kind
from harness.errors import (
    ContractError,
    Diverged,
    HarnessError,
    PluginFailed,
    RefusedValue,
    Unavailable,
    Unsupported,
    UnsupportedHarness,
    UsageError,
    did_you_mean,
    first_line,
    pip_line,
)
from harness.events import Array, Collector, Ended, Event, Measured, Note, Phase, Transfer
from harness.mesh import mesh_of
from harness.observers import Observers
from harness.paths import checkpoint_folder
from harness.plan import Run
from harness.program import TrainState
from harness.progress import notes_to, report_to
from harness.registry import Registry, missing_requirements
from harness.sources import file_source
from harness.space import MODEL
from harness.specs import Dataset, DataSpec, Task

# seconds that a run which is taken up waits for its checkpoints
LOCK_S = 15.0


@dataclass(frozen=True)
class Settings:
    """How a run is performed; nothing here changes its result.

    Attributes:
      checkpoint_s: seconds between two checkpoints, 0 to write none.
      resume: whether a checkpoint that is there is taken up.
      save: whether the trained state is kept.
      speaks: whether this process is the one that is heard, and writes: of several that make
        up a run, the first.
    """

    checkpoint_s: float = 0.0
    resume: bool = False
    save: bool = False
    speaks: bool = True


def execute(
    run: Run, registry: Registry, emit: Emit, *, settings: Settings = Settings()
) -> None:
    """Runs one planned run and emits all that it learns."""
    end = Ended("ok")
    known = Collector(run.to_row())

    def tell(event: Event) -> None:
        if not isinstance(event, Array):  # no observer is shown one
            known.add(event)
        emit(event)

    observers = None
    # the run's other processes are no other run
    others = watched(default_folder()) if settings.speaks else nullcontext(lambda: None)
    with others as shared:
        try:
            observers = make_observers(run, registry, emit)
            observers.run_start(run=known.planned)
            _execute(run, registry, tell, settings, observers)
        except (Exception, SystemExit) as error:
            # the log keeps the whole story, the row one line of it
            traceback.print_exc()
            end = advised(run, ended(error))
        met = shared()
        tell(Measured({"timing_comparable": None if met is None else not met}))
    tell(Measured(machine.memory()))
    if observers is not None:
        known.ended = end
        observers.run_end(row=known.result().row)
        emit(Measured({"observer_s": observers.seconds}))
    # the last word: whoever listens need not wait for the process to go
    emit(end)


def advised(run: Run, end: Ended) -> Ended:
    """How a run ended, and if it diverged what to do about that."""
    if end.status != "diverged":
        return end
    return replace(end, error_message=f"{end.error_message}{_advice(run)}")


def _advice(run: Run) -> str:
    """What to do about a run that diverged: a rate that is tuned cannot be given as well."""
    if run.kind == "trial":
        return ""
    if run.tune is not None and "learning_rate" in run.tune["space"]:
        return "; tune smaller values of learning_rate"
    return "; try a smaller --learning-rate"


def make_observers(run: Run, registry: Registry, emit: Emit) -> Observers:
    """Whoever hears of the run."""
    found: dict[str, object] = {}
    for choice in run.observers:
        make = _load_entry(registry, "observer", choice).build()
        try:
            found[choice.label] = make(**choice.params)
        except (Exception, SystemExit) as error:  # as what one of its hooks raises
            traceback.print_exc()
            told = f"{type(error).__name__}: {first_line(error)}"
            emit(Note(f"observer {choice.label} cannot be made and hears nothing: {told}"))
    return Observers(found, note=lambda text: emit(Note(text)))


def _parts(run: Run, registry: Registry, task: str) -> Parts:
    """What plugins bring to the run beside its model and its data."""
    found: dict[str, Any] = {}
    if task != "classification":
        found["task"] = _task(run, registry, task)
    if run.optimizer is not None:
        make = _load_entry(registry, "optimizer", run.optimizer).build()
        found["optimizer"] = functools.partial(_keywords_last, make, run.optimizer.params)
    found["metrics"] = {
        choice.label: functools.partial(
            _keywords_last, _load_entry(registry, "metric", choice).build(), choice.params
        )
        for choice in run.metrics
    }
    return Parts(**found)


def _keywords_last(function: Callable[..., Any], params: dict[str, Any], given: Any) -> Any:
    return function(given, **params)


def _task(run: Run, registry: Registry, name: str) -> Task:
    choices = {choice.name: choice for choice in run.tasks}
    if name not in choices:
        near = did_you_mean(name, ["classification", *choices], what="tasks")
        raise ContractError(f"data set {run.dataset.name!r} has the task {name!r}; {near}")
    task = _load_entry(registry, "task", choices[name]).build()(**choices[name].params)
    if not isinstance(task, Task):
        raise ContractError(
            f"task {name!r} returned {type(task).__name__}; expected a harness.Task"
        )
    return task


def _execute(
    run: Run, registry: Registry, emit: Emit, settings: Settings, observers: Observers
) -> None:
    model_entry, dataset, parts, load_s = load_all(run, registry, emit)
    spec = dataset.spec
    emit(Phase("construct"))
    model = make_model(model_entry, spec, run)
    is_run = run.kind == "run"  # of a trial nothing is kept, and it leaves the test set alone
    keep = (
        functools.partial(save_state, spec=spec, emit=emit)
        if settings.save and is_run
        else None
    )
    with keep_checkpoints(run, settings, emit) as checkpoints:
        fit(
            model, dataset, run.recipe, seed=run.seed, emit=emit, load_s=load_s,
            checkpoints=checkpoints, parts=parts, watched=observers, trained=keep,
            test=is_run,
        )  # fmt: skip


def load_all(run: Run, registry: Registry, emit: Emit) -> tuple[Entry, Dataset, Parts, float]:
    """A run's model, its data set, what else plugins bring, and the seconds the data took."""
    devices = machine.devices(run.recipe.devices)
    emit(Measured({**devices, "allocator": allocator(os.environ)}))
    # where there are too few, before any data is read
    mesh_of(run.recipe.devices, processes=run.recipe.processes)
    emit(Phase("load"))
    dataset_entry = _load_entry(registry, "dataset", run.dataset)
    model_entry = _load_entry(registry, "model", run.model)
    emit(Phase("data"))
    start = time.perf_counter()
    dataset = _load_data(dataset_entry, run, emit)
    load_s = time.perf_counter() - start
    spec = dataset.spec
    emit(Measured({"data_s": load_s, "data_fingerprint": spec.fingerprint, "task": spec.task}))
    emit(Measured({"other_plugins": run.other_plugins(task=spec.task)}))
    return model_entry, dataset, _parts(run, registry, spec.task), load_s


def make_model(entry: Entry, spec: DataSpec, run: Run) -> nnx.Module:
    """The run's model; a value that was tried and that it refuses costs that trial alone."""
    make = entry.build()
    try:
        return build_model(make, spec, run.model.params, seed=run.seed)
    except UsageError as error:
        if (
            run.kind == "trial"
            and run.tune
            and any(k.startswith(MODEL) for k in run.tune["space"])
        ):
            raise RefusedValue(first_line(error)) from error
        raise


def save_state(state: TrainState, *, spec: DataSpec, emit: Emit) -> None:
    """Hands the trained state on; one that cannot be kept costs a line and no run."""
    try:
        arrays, size = saved.pack((state.params, state.rest), spec)
        for array in arrays:
            emit(array)
    except Exception as error:
        emit(Note(f"the parameters are not kept: {first_line(error)}"))
        return
    emit(Measured({"saved_bytes": size}))


@contextmanager
def keep_checkpoints(run: Run, settings: Settings, emit: Emit) -> Iterator[Checkpoints | None]:
    """The run's checkpoints; thrown away when it ends, kept when it is made to end."""
    if settings.checkpoint_s == 0 and not settings.resume:
        yield None
        return
    folder = checkpoint_folder(run.program_key)
    if not settings.speaks:  # its first process has the lock, and alone writes
        yield Checkpoints(folder, every_s=math.inf, resume=settings.resume, writes=False)
        return
    lock = FileLock(folder.with_suffix(".lock"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # a worker whose driver was killed may still be about to leave
        lock.acquire(timeout=LOCK_S if settings.resume else 0)
    except Timeout:
        emit(Note("the same run goes on elsewhere: this one writes no checkpoints"))
        yield None
        return
    except OSError as error:
        emit(Note(f"no checkpoints: {folder.parent} cannot be written ({error.strerror})"))
        yield None
        return
    checkpoints = Checkpoints(
        folder, every_s=settings.checkpoint_s or math.inf, resume=settings.resume,
        note=lambda text: emit(Note(text)),
    )  # fmt: skip
    try:
        if not settings.resume:
            checkpoints.clear()
        yield checkpoints
        checkpoints.clear()
    except Exception as error:
        # a failure would only come again, but for what the machine could not give this time,
        # or for what is told of another process that has died
        once = isinstance(error, OSError) or run.recipe.processes > 1
        if ended(error).status != "oom" and not once:
            checkpoints.clear()
        raise
    finally:
        checkpoints.close()
        lock.release()


def _load_entry(registry: Registry, kind: Kind, choice: Choice) -> Entry:
    for failure in registry.failures:
        if failure.source.target == choice.source.target:
            print(failure.traceback, file=sys.stderr)
            raise _failed_plugin(failure)
    source = choice.source
    if source.origin == "file" and file_source(Path(source.target)) != source:
        raise HarnessError(
            f"plugin file {source.target} changed since the plan was made; run again"
        )
    entry = registry.get(kind, choice.name)
    missing = missing_requirements(entry)
    if missing:
        raise Unavailable(
            f"{kind} {entry.name!r} needs {', '.join(missing)}; {pip_line(missing)}"
        )
    return entry


def _failed_plugin(failure: Failure) -> HarnessError:
    name = failure.source.name
    if failure.missing:
        return Unavailable(
            f"plugin {name} needs {failure.missing}; {pip_line([failure.missing])}"
        )
    if failure.status == "unavailable":
        return UnsupportedHarness(f"plugin {name}: {failure.message}")
    return PluginFailed(
        f"plugin {name} failed to load: {failure.error_type}: {failure.message}",
        error_type=failure.error_type,
    )


def _load_data(entry: Entry, run: Run, emit: Emit) -> Dataset:
    with (
        report_to(lambda what, done, total: emit(Transfer(what, done, total))),
        notes_to(lambda text: emit(Note(text))),
    ):
        dataset = entry.build()(**run.dataset.params)
    if not isinstance(dataset, Dataset):
        raise ContractError(
            f"data set {entry.name!r} returned {type(dataset).__name__}; "
            "expected a harness.Dataset"
        )
    return dataset


def _is_missing(name: str | None) -> bool:
    """Whether a module is absent because nothing of its package is installed."""
    top = (name or "").partition(".")[0]
    return bool(top) and importlib.util.find_spec(top) is None


def ended(error: BaseException) -> Ended:
    """The status that an exception gives its run."""
    # the engine's notes are of one line; JAX's, on its tracebacks, are not
    notes = [note for note in getattr(error, "__notes__", ()) if "\n" not in note]
    message = " ".join([first_line(error), *notes])
    if isinstance(error, Unsupported):
        status = "skipped"
    elif isinstance(error, Unavailable):
        status = "unavailable"
    elif isinstance(error, Diverged):
        status = "diverged"
    elif isinstance(error, ModuleNotFoundError) and _is_missing(error.name):
        status, message = "unavailable", f"{message}; {pip_line([str(error.name)])}"
    elif isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in message:
        status = "oom"
    else:
        status = "failed"
    name = error.error_type if isinstance(error, PluginFailed) else type(error).__name__
    return Ended(status, name, message)
