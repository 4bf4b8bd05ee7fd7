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
from typing import Any

from harness import grammar
from harness.choices import Choice, choice_from_json, resolve
from harness.entries import Kind, Source
from harness.errors import UsageError, did_you_mean
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
    def label(self) -> str:
        return f"{self.dataset.label} x {self.model.label}, seed {self.seed}"

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
        """The columns that are known before the run starts."""
        return {
            "run_id": self.run_id,
            "run_key": self.run_key,
            "key_parts": json.dumps(self.key_parts, sort_keys=True),
            "kind": "run",
            "suite": self.suite,
            "dataset": self.dataset.name,
            "dataset_variant": self.dataset.variant,
            "dataset_params": json.dumps(self.dataset.params, sort_keys=True),
            "model": self.model.name,
            "variant": self.model.variant,
            # a variant is declared as a change of its entry, so that is its parent
            "parent": self.model.name if self.model.variant else "",
            "model_params": json.dumps(self.model.params, sort_keys=True),
            "variant_params": json.dumps(self.model.changes, sort_keys=True),
            "seed": self.seed,
            "dataset_plugin": self.dataset.source.label,
            "model_plugin": self.model.source.label,
            "other_plugins": self.other_plugins(),
            **self.recipe.to_row(),
        }


_TUPLES = ("tasks", "metrics", "observers")


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
    return Run(**{**rest, "recipe": Recipe(**rest["recipe"])})


def expand(suite: Suite, registry: Registry, *, key_parts: Mapping[str, str]) -> list[Run]:
    """The runs of a suite: data sets x models x grid x seeds, seeds innermost.

    Args:
      key_parts: what of the machine decides a result; it enters each run's key.

    Raises:
      UsageError: nothing is selected, or a name or value is off.
    """
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
    optimized = [pair for recipe in recipes for pair in _optimizers(recipe, registry)]
    return [
        _make_run(suite, dataset, model, *pair, seed, key_parts, more)
        for dataset, model, pair, seed in itertools.product(
            datasets, models, optimized, suite.seeds
        )
    ]


def _optimizers(recipe: Recipe, registry: Registry) -> list[tuple[Recipe, Choice | None]]:
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


def _make_run(
    suite: Suite,
    dataset: Choice,
    model: Choice,
    recipe: Recipe,
    optimizer: Choice | None,
    seed: int,
    key_parts: Mapping[str, str],
    more: Mapping[str, tuple[Choice, ...]],
) -> Run:
    parts: dict[str, Any] = {
        "dataset": dataset.identity, "model": model.identity, "recipe": asdict(recipe),
        "seed": seed, "machine": dict(key_parts),
    }  # fmt: skip
    if optimizer is not None:
        parts["optimizer"] = optimizer.identity
    parts["tasks"] = {
        task.name: task.source.source_hash
        for task in more["tasks"]
        # a built-in data set names a built-in task, whatever plugins are about
        if task.source.origin == "built-in" or dataset.source.origin != "built-in"
    }
    parts["metrics"] = {metric.label: metric.identity for metric in more["metrics"]}
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return Run(
        run_id=uuid.uuid4().hex[:12], run_key=key, key_parts=parts, suite=suite.name,
        dataset=dataset, model=model, seed=seed, recipe=recipe, optimizer=optimizer, **more,
    )  # fmt: skip
