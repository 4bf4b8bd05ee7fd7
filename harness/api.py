"""The Python functions: the same objects that the command uses, and nothing prints.

Heavy libraries are imported inside the functions, so that `import harness` stays light.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import index, plugins, registry, runner
from harness.choices import Choice, resolve
from harness.cluster import Cluster
from harness.entries import Entry, Kind, Scalar, Source
from harness.errors import Unavailable, UsageError, pip_line
from harness.perform import Options as Options
from harness.perform import perform as perform
from harness.registry import Registry
from harness.rows import storable_row
from harness.space import parse_tune
from harness.suites import Suite, make_budget, make_seeds, make_tune_limit

if TYPE_CHECKING:
    import pandas as pd
    from flax import nnx

    from harness.specs import Dataset, DataSpec, Task


def run(
    datasets: str | Sequence[str],
    models: str | type[nnx.Module] | Sequence[str | type[nnx.Module]],
    *,
    seeds: int = 1,
    seed: int | None = None,
    plugins: Sequence[str | Path] = (),
    store: str | None = None,
    in_process: bool = False,
    scheduler: str | None = None,
    workers: int | None = None,
    ship: Sequence[str | Path] = (),
    exclusive: bool = False,
    timeout: float | None = None,
    resume: bool = False,
    vmap_seeds: bool = False,
    metrics: Sequence[str] = (),
    observers: Sequence[str] = (),
    save: bool = False,
    tune: str | Sequence[str] | Mapping[str, str] = (),
    budget: int | None = None,
    tune_limit: int | None = None,
    **recipe: Scalar | Sequence[Scalar],
) -> pd.DataFrame:
    """Trains every model on every data set and returns one row for each run.

    Args:
      datasets: selections such as `"digits"` or `"imdb[max_length=400]"`.
      models: selections such as `"transformer:*"`, or `nnx.Module` classes; with a class,
        which no worker process could import, all runs happen in this process.
      seeds: how many seeds, 0 to seeds - 1.
      seed: one seed of your own instead.
      plugins: paths of plugin files.
      store: URL of the store to add the rows to; None stores nothing.
      in_process: run everything in this process, for a debugger.
      scheduler: address of a Dask scheduler whose workers perform the runs.
      workers: so many Dask workers are started here instead and perform the runs; a script
        that does this keeps its own work below `if __name__ == "__main__":`.
      ship: files and folders of data that Dask's workers get a copy of.
      exclusive: a run has its machine alone among all that ask for it.
      timeout: seconds after which a run is stopped.
      resume: stored `ok` rows stand for their runs, and killed ones go on where they were.
      vmap_seeds: train the seeds of a cell in one program, which accelerators are quicker at;
        results agree with those of single runs but for rounding.
      metrics: selections of what is measured beside loss and accuracy, as in "macro_f1".
      observers: selections of who hears of the runs, as in "tensorboard[folder=logs]".
      save: keep the trained parameters in the store, for `harness.load_model`; where a run
        cannot, its `saved_bytes` is missing.
      tune: hyper-parameters, as in "learning_rate" or "model.dropout=0.0:0.3", whose values are
        chosen for each cell on validation, by `budget` trials, before its runs; or the texts of
        their ranges by name, as in `{"learning_rate": "1e-4:1e-2:log"}`.
      budget: trials for each cell, 8 (fewer in a smaller space) where something is tuned.
      tune_limit: only so many of the first examples are there for trials; None is all.
      recipe: hyper-parameters by the names of the command's flags, as in `epochs=3`; a list
        of values makes a grid.

    Returns:
      A frame with the columns of a row, one line for each planned run in the order of the
      plan, and one more column for each metric, as in `test_macro_f1`. A run that is not ok is
      a line too: its `status` and `error_message` say why. Trials are lines before the runs of
      their cell; their `kind` is "trial".

    Raises:
      UsageError: a name or a value is unknown, or an option contradicts another.
      StoreError: the store cannot be opened, or did not take all rows; they are kept in the
        cache folder then.
    """
    if save and store is None:
        raise UsageError("save keeps the parameters in a store; name one with store=")
    classes = [m for m in _listed(models) if inspect.isclass(m)]
    known = with_classes(index.open_registry(plugins), classes)
    chosen = [m.__name__ if inspect.isclass(m) else _text(m) for m in _listed(models)]
    grid = {k: tuple(v) for k, v in recipe.items() if isinstance(v, list | tuple)}
    tuned = parse_tune(_tune_options(tune))
    suite = Suite(
        datasets=tuple(_listed(datasets)),
        models=tuple(chosen),
        metrics=tuple(_listed(metrics)),
        observers=tuple(_listed(observers)),
        seeds=make_seeds(seed=seed) if seed is not None else make_seeds(seeds=seeds),
        vmap_seeds=vmap_seeds,
        recipe={k: v for k, v in recipe.items() if k not in grid},  # type: ignore[misc]
        grid=grid,
        tune=tuned,
        budget=make_budget(budget, tuned, given=recipe),
        tune_limit=make_tune_limit(tune_limit, tuned),
    )
    cluster = None
    if scheduler is not None or workers is not None:
        paths = tuple(str(path) for path in ship)
        cluster = Cluster(scheduler=scheduler, workers=workers, ship=paths)
    here = in_process or (bool(classes) and cluster is None)
    options = Options(
        in_process=here, timeout=timeout, resume=resume, save=save, exclusive=exclusive,
        cluster=cluster,
    )  # fmt: skip
    rows = perform(suite, known, options=options, store=store, listener=runner.Silent())
    from harness.frames import frame_of

    return frame_of(map(storable_row, rows))


def _text(selection: Any) -> str:
    if not isinstance(selection, str):
        raise UsageError(
            f"model {type(selection).__name__} is neither a selection nor a class; give the "
            "class itself, which each run constructs"
        )
    return selection


def _tune_options(tune: Any) -> list[str]:
    """What is tuned, as the command's options have it."""
    options = _listed(tune)
    if isinstance(tune, Mapping):
        options = [f"{k}={v}" if isinstance(v, str) and v else v or k for k, v in tune.items()]
    for option in options:
        if not isinstance(option, str):
            raise UsageError(
                f"tune has {option!r}; expected texts, as in "
                'tune="learning_rate=1e-4:1e-2:log" or tune={"model.dropout": "0.0:0.3"}'
            )
    return options


def _listed(values: Any) -> list[Any]:
    return list(values) if isinstance(values, list | tuple) else [values]


def with_classes(known: Registry, classes: Iterable[type]) -> Registry:
    """The registry with `nnx.Module` classes of this process beside the plugins' models."""
    entries = dict(known.entries)
    for cls in classes:
        entry = _class_entry(cls)
        if ("model", entry.name) in entries:
            raise UsageError(
                f"class {entry.name} has the name of model {entry.name!r} registered by "
                f"{entries['model', entry.name].source.place}; rename the class"
            )
        entries["model", entry.name] = entry
    return replace(known, entries=entries)


def _class_entry(cls: type) -> Entry:
    try:
        text = inspect.getsource(cls)
    except (OSError, TypeError):  # typed into a shell that keeps no source
        text = f"{cls.__qualname__} {id(cls)}"
    digest = hashlib.sha256(text.encode()).hexdigest()
    source = Source(
        name=cls.__name__, origin="session", target=f"{cls.__module__}.{cls.__qualname__}",
        version=digest[:8], source_hash=digest,
    )  # fmt: skip
    return plugins.make_entry("model", cls.__name__, cls, source=source)


def load(store: str) -> pd.DataFrame:
    """All rows of a store, as `harness.run` returns them.

    Args:
      store: its URL, such as `"sqlite:///harness.db"`.

    Returns:
      A frame with the columns of a row, in the order in which the runs were stored.

    Raises:
      StoreError: there is no such store, or it cannot be read.
    """
    from harness.store import open_store

    with open_store(store, must_exist=True) as opened:
        return opened.frame()


def load_dataset(selection: str, *, plugins: Sequence[str | Path] = ()) -> Dataset:
    """Loads a data set by its selection, as a run does.

    >>> load_dataset("digits").spec.num_classes  # doctest: +SKIP
    10

    Args:
      selection: of one data set with one value a parameter, as in `"imdb[max_length=400]"`.
      plugins: paths of plugin files.

    Returns:
      Both splits and the spec. The `x` of a split is int32 (tokens) or float32 of shape
      `[n, *spec.shape]`, its `y` int32 `[n]`; or a split is a random-access source.

    Raises:
      UsageError: the selection is unknown or stands for several data sets.
      DataError: its files are absent or unusable.
    """
    from harness.progress import notes_to

    choice = choose("dataset", selection, index.open_registry(plugins))
    entry = load_entry("dataset", choice)
    with notes_to(lambda text: None):
        return entry.build()(**choice.params)


def build_model(
    selection: str, *, data: DataSpec, seed: int, plugins: Sequence[str | Path] = ()
) -> nnx.Module:
    """Constructs a model by its selection; the same seed gives the parameters of a run.

    Args:
      selection: of one model with one value a parameter, as in `"transformer:no_position"`.
      data: what the model is told of the data, as in `load_dataset("digits").spec`.
      seed: of its initial parameters.
      plugins: paths of plugin files.

    Returns:
      The model, not trained and in training mode; called with `x` of shape
      `[b, *data.shape]` it gives logits float32 `[b, c]`. Its `prepare`, if it has one, was
      not called.

    Raises:
      UsageError: the selection is unknown or stands for several models.
      Unsupported: the model cannot serve such data.
    """
    from harness.assemble import build_model as build

    choice = choose("model", selection, index.open_registry(plugins))
    return build(load_entry("model", choice).build(), data, choice.params, seed=seed)


def load_task(name: str, *, plugins: Sequence[str | Path] = ()) -> Task:
    """The task that a data set's spec names.

    Raises:
      UsageError: no plugin registers it.
    """
    from harness.tasks import CLASSIFICATION

    if name == "classification":
        return CLASSIFICATION
    choice = choose("task", f'"{name}"', index.open_registry(plugins))
    return load_entry("task", choice).build()(**choice.params)


def choose(kind: Kind, selection: str, known: Registry) -> Choice:
    """The one choice that a selection stands for; no plugin is loaded."""
    choices = resolve(kind, selection, known)
    if len(choices) != 1:
        raise UsageError(
            f"{selection!r} stands for {len(choices)} {kind}s; name one, with one value each"
        )
    return choices[0]


def load_entry(kind: Kind, choice: Choice) -> Entry:
    """A choice's entry, with its plugin loaded in this process."""
    loaded = registry.load([choice.source])
    for failure in loaded.failures:
        raise UsageError(f"plugin {failure.source.name} failed to load: {failure.message}")
    entry = loaded.get(kind, choice.name)
    missing = registry.missing_requirements(entry)
    if missing:
        raise Unavailable(f"{kind} {entry.name!r} needs: {pip_line(missing)}")
    return entry
