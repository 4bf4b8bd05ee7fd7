"""One run from start to end, whichever process it is in.

Whatever happens is said as an event: the phase, what was measured, and at last how it
ended. Nothing is raised except what must end the process (Ctrl-C).
"""

from __future__ import annotations

import os
import time
import traceback
from pathlib import Path
from typing import Any

from harness import machine
from harness.allocator import allocator
from harness.assemble import Emit, build_model
from harness.contention import default_folder, watched
from harness.engine import fit
from harness.entries import Entry
from harness.errors import (
    ContractError,
    Diverged,
    HarnessError,
    Unavailable,
    Unsupported,
    first_line,
)
from harness.events import Ended, Measured, Note, Phase, Transfer
from harness.plan import Run
from harness.progress import notes_to, report_to
from harness.registry import Registry, missing_requirements
from harness.sources import file_source
from harness.specs import Dataset


def execute(run: Run, registry: Registry, emit: Emit) -> None:
    """Runs one planned run and emits all that it learns."""
    end = Ended("ok")
    with watched(default_folder()) as shared:
        try:
            _execute(run, registry, emit)
        except (Exception, SystemExit) as error:
            # the log keeps the whole story, the row one line of it
            traceback.print_exc()
            end = ended(error)
        met = shared()
        emit(Measured({"timing_comparable": None if met is None else not met}))
    emit(Measured({"peak_rss_bytes": machine.peak_rss_bytes()}))
    # the last word: whoever listens need not wait for the process to go
    emit(end)


def _execute(run: Run, registry: Registry, emit: Emit) -> None:
    emit(Measured({**machine.devices(), "allocator": allocator(os.environ)}))
    emit(Phase("load"))
    dataset_entry = _load_entry(registry, "dataset", run)
    model_entry = _load_entry(registry, "model", run)
    emit(Phase("data"))
    start = time.perf_counter()
    dataset = _load_data(dataset_entry, run, emit)
    load_s = time.perf_counter() - start
    emit(Measured({"data_s": load_s, "data_fingerprint": dataset.spec.fingerprint}))
    emit(Phase("construct"))
    model = build_model(model_entry.build(), dataset.spec, run.model.params, seed=run.seed)
    fit(model, dataset, run.recipe, seed=run.seed, emit=emit, load_s=load_s)


def _load_entry(registry: Registry, kind: Any, run: Run) -> Entry:
    choice = run.dataset if kind == "dataset" else run.model
    for failure in registry.failures:
        if failure.source.target == choice.source.target:
            raise HarnessError(
                f"plugin {failure.source.name} failed to load: "
                f"{failure.error_type}: {failure.message}"
            )
    source = choice.source
    if source.origin == "file" and file_source(Path(source.target)) != source:
        raise HarnessError(
            f"plugin file {source.target} changed since the plan was made; run again"
        )
    entry = registry.get(kind, choice.name)
    missing = missing_requirements(entry)
    if missing:
        raise Unavailable(
            f"{kind} {entry.name!r} needs {', '.join(missing)}; pip install {' '.join(missing)}"
        )
    return entry


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


def ended(error: BaseException) -> Ended:
    """The status that an exception gives its run."""
    message = first_line(error)
    if isinstance(error, Unsupported):
        status = "skipped"
    elif isinstance(error, Unavailable):
        status = "unavailable"
    elif isinstance(error, Diverged):
        status = "diverged"
    elif isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in message:
        status = "oom"
    else:
        status = "failed"
    return Ended(status, type(error).__name__, message)
