"""From what the user asked for to the list of runs.

Expanding a suite multiplies out its data sets, models, grid and seeds, and checks every
name and value against the registry's entries, so that nothing is started before the whole
plan is known to make sense.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from harness import grammar
from harness.choices import Choice, choice_from_json, resolve
from harness.entries import Kind, Source
from harness.errors import UsageError, counted, did_you_mean
from harness.parameters import show
from harness.recipe import OPTIMIZERS, Recipe, make_recipe
from harness.registry import Registry
from harness.suites import Suite, grid_points


@dataclass(frozen=True, kw_only=True)
class Run:
    """One cell with one seed: what a worker is given and what a row is about.

    Attributes:
      optimizer: None where it is optax's own.
      tasks: all that are registered; the data set's spec says which one it is.
      observers: who hears of it; they are no part of its key.
      kind: a trial is compared on validation alone and never reads the test set.
      tune: what `harness.tuning` says of it; None is untuned.
      together: the seeds that its program trains, its own among them; none for a run alone.
      others: the runs of the other seeds, where it is handed to who performs them all.
    """

    run_id: str
    run_key: str
    key_parts: dict[str, Any] = field(repr=False)
    suite: str
    dataset: Choice
    model: Choice
    seed: int
    recipe: Recipe
    optimizer: Choice | None = None
    tasks: tuple[Choice, ...] = ()
    metrics: tuple[Choice, ...] = ()
    observers: tuple[Choice, ...] = ()
    kind: Literal["run", "trial"] = "run"
    tune: dict[str, Any] | None = None
    together: tuple[int, ...] = ()
    others: tuple[Run, ...] = field(default=(), repr=False)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """All that plugins bring to it, model and data set first."""
        own = (self.optimizer,) if self.optimizer is not None else ()
        return (self.dataset, self.model, *own, *self.tasks, *self.metrics, *self.observers)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The plugins to load for it, each once."""
        return tuple(dict.fromkeys(choice.source for choice in self.choices))

    @property
    def undecided(self) -> tuple[str, ...]:
        """The tuned keys of a run for which nothing was chosen."""
        tune = self.tune or {}
        return (
            () if self.kind == "trial" or tune.get("chosen") else tuple(tune.get("space", ()))
        )

    @property
    def label(self) -> str:
        name, tune = f"{self.dataset.label} x {self.model.label}", self.tune or {}
        chosen = "".join(f", {k}={show(v)}" for k, v in (tune.get("chosen") or {}).items())
        if self.kind == "trial":
            epochs = counted(self.recipe.epochs, "epoch")
            return f"{name}, trial {tune['trial']}, {epochs}{chosen}"
        if self.others:
            seeds = " ".join(map(str, self.together))
            return f"{name}, seeds {seeds} in one program{chosen}"
        beside = f" of {len(self.together)} in one program" if self.together else ""
        return f"{name}, seed {self.seed}{beside}{chosen}"

    @property
    def program_key(self) -> str:
        """The key of the first run that its program trains: its own, if it is alone."""
        return self.with_seed(self.together[0]).run_key if self.together else self.run_key

    def with_seed(self, seed: int) -> Run:
        """The same cell's run of another seed."""
        parts = {**self.key_parts, "seed": seed}
        return replace(
            self, run_id=_new_id(), run_key=_hash(parts), key_parts=parts, seed=seed, others=()
        )

    def other_plugins(self, *, task: str = "") -> str:
        """The plugins beside model and data set, by what was chosen of them, as JSON.

        Args:
          task: the data set's, which is known when it is loaded.
        """
        chosen = {
            "task": [choice for choice in self.tasks if choice.name == task],
            "optimizer": [self.optimizer] if self.optimizer is not None else [],
            "metric": self.metrics,
            "observer": self.observers,
        }
        found = {f"{k} {c.label}": c.source.label for k, some in chosen.items() for c in some}
        return json.dumps(found)

    def to_row(self) -> dict[str, Any]:
        """The columns that are known before the run starts.

        Where tuning chose nothing, what it would have set is missing.
        """
        undecided = self.undecided
        recipe = self.recipe.to_row()
        params = {k: v for k, v in self.model.params.items() if f"model.{k}" not in undecided}
        return {
            "run_id": self.run_id,
            "run_key": self.run_key,
            "key_parts": json.dumps(self.key_parts, sort_keys=True),
            "kind": self.kind,
            "suite": self.suite,
            "dataset": self.dataset.name,
            "dataset_variant": self.dataset.variant,
            "dataset_params": json.dumps(self.dataset.params, sort_keys=True),
            "model": self.model.name,
            "variant": self.model.variant,
            # a variant is declared as a change of its entry, so that is its parent
            "parent": self.model.name if self.model.variant else "",
            "model_params": json.dumps(params, sort_keys=True),
            "variant_params": json.dumps(self.model.changes, sort_keys=True),
            "seed": self.seed,
            "dataset_plugin": self.dataset.source.label,
            "model_plugin": self.model.source.label,
            "other_plugins": self.other_plugins(),
            **recipe | dict.fromkeys(set(recipe) & set(undecided)),
            "vmap_seeds": len(self.together) or 1,
            "tune": None if self.tune is None else json.dumps(self.tune),
            # a trial is not tuned itself
            "tune_trials": self.tune["budget"] if self.tune and self.kind == "run" else 0,
        }


# what of `tune` says how the trials ended
CAME_TO = ("epochs", "ok", "at_end", "val_accuracy", "val_loss")
_TUPLES = ("tasks", "metrics", "observers")


def _new_id() -> str:
    return uuid.uuid4().hex[:12]


def _hash(parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def run_to_json(run: Run) -> dict[str, Any]:
    """A run as JSON values."""
    return asdict(run)


def run_from_json(values: Mapping[str, Any]) -> Run:
    """The inverse of `run_to_json`."""
    rest = dict(values)
    for key in ("dataset", "model", "optimizer"):
        rest[key] = None if rest[key] is None else choice_from_json(rest[key])
    for key in _TUPLES:
        rest[key] = tuple(choice_from_json(value) for value in rest[key])
    rest["together"] = tuple(rest["together"])
    rest["others"] = tuple(run_from_json(other) for other in rest["others"])
    return Run(**{**rest, "recipe": Recipe(**rest["recipe"])})


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What the runs of all seeds have in common.

    Attributes:
      machine: what of the machine decides a result; it enters each run's key.
    """

    suite: str
    dataset: Choice
    model: Choice
    recipe: Recipe
    machine: Mapping[str, str]
    optimizer: Choice | None = None
    tasks: tuple[Choice, ...] = ()
    metrics: tuple[Choice, ...] = ()
    observers: tuple[Choice, ...] = ()

    def run(
        self,
        seed: int,
        *,
        kind: Literal["run", "trial"] = "run",
        tune: dict[str, Any] | None = None,
        together: tuple[int, ...] = (),
    ) -> Run:
        """The cell's run of one seed; `together` are the seeds that its program trains."""
        parts = self._key_parts(seed, kind, tune)
        if together:  # which is another program, and other rounding
            parts["together"] = list(together)
        own = {k: v for k, v in vars(self).items() if k != "machine"}
        return Run(
            run_id=_new_id(), run_key=_hash(parts), key_parts=parts, seed=seed, kind=kind,
            tune=tune, together=together, **own,
        )  # fmt: skip

    def _key_parts(self, seed: int, kind: str, tune: dict[str, Any] | None) -> dict[str, Any]:
        parts: dict[str, Any] = {
            "dataset": self.dataset.identity, "model": self.model.identity,
            "recipe": asdict(self.recipe), "seed": seed, "machine": dict(self.machine),
        }  # fmt: skip
        if kind == "trial":  # a run's key is what it was before there were trials
            parts["kind"] = kind
        if self.optimizer is not None:
            parts["optimizer"] = self.optimizer.identity
        if tune is not None:  # what its trials came to is no cause of a run
            parts["tune"] = {k: v for k, v in tune.items() if k not in CAME_TO}
        parts["tasks"] = {
            task.name: task.source.source_hash
            for task in self.tasks
            # a built-in data set names a built-in task, whatever plugins are about
            if task.source.origin == "built-in" or self.dataset.source.origin != "built-in"
        }
        parts["metrics"] = {metric.label: metric.identity for metric in self.metrics}
        return parts


def expand(suite: Suite, registry: Registry, *, key_parts: Mapping[str, str]) -> list[Run]:
    """The runs of a suite: data sets x models x grid x seeds, seeds innermost.

    Args:
      key_parts: what of the machine decides a result; it enters each run's key.

    Raises:
      UsageError: nothing is selected, or a name or value is off.
    """
    found = cells(suite, registry, key_parts=key_parts)
    return [cell.run(k, together=suite.together) for cell in found for k in suite.seeds]


def cells(suite: Suite, registry: Registry, *, key_parts: Mapping[str, str]) -> list[Cell]:
    """The cells of a suite: data sets x models x grid; arguments and errors as in `expand`."""
    for kind, chosen in (("dataset", suite.datasets), ("model", suite.models)):
        if not chosen:
            raise UsageError(f"no {kind} selected; name one with --{kind}, or run a suite file")
    if not suite.seeds:
        raise UsageError("no seed selected; give --seeds 1 or more")
    datasets = _resolve_all("dataset", suite.datasets, registry)
    models = _resolve_all("model", suite.models, registry)
    more = {
        "metrics": tuple(_resolve_all("metric", suite.metrics, registry)),
        "observers": tuple(_resolve_all("observer", suite.observers, registry)),
        "tasks": tuple(
            choice
            for name in registry.names("task")
            for choice in resolve("task", f'"{name}"', registry)
        ),
    }
    points = grid_points(suite.grid)
    # each once: a run measured twice is no second seed
    recipes = dict.fromkeys(make_recipe({**suite.recipe, **point}) for point in points)
    if suite.together and any(recipe.devices > 1 for recipe in recipes):
        raise UsageError(
            "--vmap-seeds with --devices above 1: seeds of one program are on one device; use "
            "one of them"
        )
    optimized = [pair for recipe in recipes for pair in optimizers(recipe, registry)]
    return [
        Cell(
            suite=suite.name, dataset=dataset, model=model, recipe=recipe, optimizer=optimizer,
            machine=key_parts, **more,
        )
        for dataset, model, (recipe, optimizer) in itertools.product(
            datasets, models, optimized
        )
    ]  # fmt: skip


def optimizers(recipe: Recipe, registry: Registry) -> list[tuple[Recipe, Choice | None]]:
    """The recipe with each optimizer that its selection stands for.

    Raises:
      UsageError: no plugin registers it, and it is not optax's.
    """
    asked = grammar.parse(recipe.optimizer)
    registered = registry.names("optimizer")
    if asked.name not in (*registered, "*") and not registry.broken("optimizer", asked.name):
        if asked.name in OPTIMIZERS and not asked.variant and not asked.params:
            return [(recipe, None)]
        _refuse(asked, registered)
    choices = resolve("optimizer", recipe.optimizer, registry)
    return [(replace(recipe, optimizer=choice.label), choice) for choice in choices]


def _refuse(asked: grammar.Selection, registered: list[str]) -> None:
    if asked.name in OPTIMIZERS:
        raise UsageError(
            f"optimizer {asked.name!r} is optax's with its defaults and takes no parameters "
            f"here; those that do: {', '.join(registered)}"
        )
    near = did_you_mean(asked.name, {*registered, *OPTIMIZERS}, what="optimizers")
    raise UsageError(f"no optimizer {asked.name!r}; {near}")


def _resolve_all(kind: Kind, texts: Iterable[str], registry: Registry) -> list[Choice]:
    """All choices, each once: `transformer` and `transformer:*` overlap."""
    found: dict[str, Choice] = {}
    for text in texts:
        for choice in resolve(kind, text, registry):
            found.setdefault(json.dumps(choice.identity, sort_keys=True), choice)
    return list(found.values())
