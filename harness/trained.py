"""A run's trained module, built again from what the store has kept.

`harness run --save` keeps the state of the epoch that counts; the row says which model it
was, with which parameters, and from which plugin. The data set is not needed. Another version
of the plugin may have changed what the state means: that is told, and refused where the
state does not fit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.api import load_entry
from harness.choices import Choice
from harness.entries import Entry, Kind, Source
from harness.errors import StoreError, UnknownName, UsageError, first_line
from harness.index import open_registry
from harness.paths import store_url
from harness.rows import Row

if TYPE_CHECKING:
    from flax import nnx

    from harness.program import SplitModel
    from harness.saved import Saved
    from harness.specs import DataSpec
    from harness.store import Store

Note = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A trained module, whole and as the engine takes it.

    Attributes:
      module: in evaluation mode.
      split, params, rest: the same in parts, for `program.SplitModel.judge`.
      spec: the data it was built for.
    """

    module: nnx.Module
    split: SplitModel
    params: Any
    rest: Any
    spec: DataSpec


def load_model(
    run_id: str,
    *,
    store: str | None = None,
    plugins: Sequence[str | Path] = (),
    model: type[nnx.Module] | None = None,
) -> nnx.Module:
    """The module that a run with `--save` has trained, in evaluation mode.

    Its state is that of the epoch that counts, to the bit: parameters, statistics, counters
    and keys of random streams. With `precision` bfloat16 its layers compute in that, and
    its parameters are float32 as in training.

    Args:
      run_id: of the run, or its first characters.
      store: URL of the store; without it `$HARNESS_STORE` or `sqlite:///harness.db`.
      plugins: paths of plugin files; the model's, if it came from a file.
      model: the class, for a run of a class that no plugin registers.

    Warns:
      UserWarning: the plugin is of another version than the run's, and the state fits.

    Raises:
      UsageError: no such run, it has no parameters, or its model is not to be had.
      StoreError: there is no such store, or what it has kept is damaged.
    """
    import warnings

    from harness.store import open_store

    def warn(text: str) -> None:
        warnings.warn(text, stacklevel=4)

    with open_store(store_url(store), must_exist=True) as opened:
        row = opened.find(run_id)
        return restore(opened, row, plugins=plugins, model=model, note=warn).module


def restore(
    store: Store,
    row: Row,
    *,
    plugins: Sequence[str | Path] = (),
    model: type[nnx.Module] | None = None,
    note: Note,
) -> Trained:
    """Builds a run's model and gives it the kept state.

    Args:
      note: is told in one line that the plugin is of another version.

    Raises:
      UsageError: as `load_model`.
      StoreError: what was kept is damaged.
    """
    from harness.program import params_hash

    check_saved(row)
    if model is None:
        entry = entry_of("model", row, plugins)
        factory, now = entry.build(), entry.source
    else:
        factory, now = model, None
    kept = _unpack(store, row)
    before = source_of("model", row)
    moved = "" if now is None else _moved(before, now)
    try:
        trained = _built(factory, row, kept)
    except Exception as error:  # whatever a constructor of another version raises
        versions = moved or f"trained with {before.label} and flax {row['flax_version']}"
        raise UsageError(
            f"the state of run {row['run_id']} does not fit its model: {first_line(error)} "
            f"({versions})"
        ) from error
    if params_hash(trained.params) != row["params_hash"]:
        raise _damaged(store, row, "their hash is not the row's")
    if moved:
        note(f"run {row['run_id']}: {moved}; its state fits")
    return trained


def check_saved(row: Row) -> None:
    """Refuses a run without parameters.

    Raises:
      UsageError: says why there are none.
    """
    if row["saved_bytes"] is not None:
        return
    if row["status"] != "ok":
        raise UsageError(
            f"run {row['run_id']} is {row['status']} and has no trained parameters; choose an "
            "ok run"
        )
    raise UsageError(f"run {row['run_id']} kept no parameters; `harness run --save` keeps them")


def source_of(kind: Kind, row: Row) -> Source:
    """The plugin of a run's model or data set, as it was then."""
    parts = json.loads(row["key_parts"])[kind]["source"]
    return Source(**{"target": "", **parts})


def entry_of(kind: Kind, row: Row, plugins: Sequence[str | Path]) -> Entry:
    """The entry of a run's model or data set, with its plugin loaded in this process.

    Raises:
      UsageError: no plugin that is here has it.
    """
    known, name, before = open_registry(plugins), row[kind], source_of(kind, row)
    broken = known.broken(kind, name)
    try:
        source = broken.source if broken else known.get(kind, name).source
    except UnknownName:
        raise UsageError(
            f"run {row['run_id']}: no plugin has its {kind} {name!r}; it came from "
            f"{before.label}, {_advice(before)}"
        ) from None
    return load_entry(kind, Choice(name=name, variant="", params={}, source=source))


def _advice(before: Source) -> str:
    if before.origin == "session":
        return "a class of its own process: give it as model=, or register it in a plugin"
    if before.origin == "file":
        return f"a file: name it with --plugin {before.name}.py, or plugins="
    return "which is not installed, or left out by HARNESS_PLUGINS"


def _moved(before: Source, now: Source) -> str:
    """How the plugin differs from the run's; empty where it does not."""
    if before.source_hash == now.source_hash:
        return ""
    return f"trained with plugin {_version(before)}, and here is {_version(now)}"


def _version(source: Source) -> str:
    return f"{source.label} (source {source.source_hash[:8]})"


def _unpack(store: Store, row: Row) -> Saved:
    from harness import saved

    run_id = row["run_id"]
    try:
        return saved.unpack(lambda name: store.array(run_id, name))
    except ValueError as error:
        raise _damaged(store, row, error) from None


def _damaged(store: Store, row: Row, why: object) -> StoreError:
    return StoreError(
        f"store {store.name}: the parameters of run {row['run_id']} are damaged ({why}); "
        "train it again with --save"
    )


def _built(factory: Callable[..., nnx.Module], row: Row, kept: Saved) -> Trained:
    import jax.numpy as jnp
    from flax import nnx

    from harness import saved
    from harness.assemble import build_model
    from harness.program import split_model

    module = build_model(factory, kept.spec, json.loads(row["model_params"]), seed=row["seed"])
    split, *own = split_model(module, dtype=jnp.dtype(row["precision"]), spec=kept.spec)
    params, rest = saved.fill(own, kept.leaves)
    nnx.update(module, params, rest)
    module.eval()
    return Trained(module, split, params, rest, kept.spec)
