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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from harness import grammar
from harness.entries import Entry, Kind, Scalar, Source
from harness.errors import UsageError, did_you_mean
from harness.parameters import check, check_names, show
from harness.recipe import Recipe, make_recipe
from harness.registry import Registry
from harness.suites import Suite, grid_points


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One resolved selection: an entry with a value for each of its parameters.

    Attributes:
      params: all parameters, resolved.
      given: those that stood in brackets; they name the choice and change nothing.
      changes: those that the variant changes, with the values it declares.
      source: the plugin that registered the entry.
    """

    name: str
    variant: str
    params: dict[str, Scalar]
    source: Source
    given: dict[str, Scalar] = field(default_factory=dict, compare=False)
    changes: dict[str, Scalar] = field(default_factory=dict, compare=False)

    @property
    def label(self) -> str:
        """The choice as a selection."""
        name = f"{self.name}:{self.variant}" if self.variant else self.name
        given = ",".join(f"{key}={show(value)}" for key, value in self.given.items())
        return f"{name}[{given}]" if given else name

    @property
    def identity(self) -> dict[str, Any]:
        """What decides a result; where the plugin's file lies does not."""
        source = {k: v for k, v in vars(self.source).items() if k != "target"}
        return {
            "name": self.name, "variant": self.variant, "params": self.params, "source": source,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Run:
    """One cell with one seed: what a worker is given and what a row is about."""

    run_id: str
    run_key: str
    key_parts: dict[str, Any] = field(repr=False)
    suite: str
    dataset: Choice
    model: Choice
    seed: int
    recipe: Recipe

    @property
    def label(self) -> str:
        return f"{self.dataset.label} x {self.model.label}, seed {self.seed}"

    def to_row(self) -> dict[str, Any]:
        """The columns that are known before the run starts."""
        return {
            "run_id": self.run_id,
            "run_key": self.run_key,
            "key_parts": json.dumps(self.key_parts, sort_keys=True),
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
            **self.recipe.to_row(),
        }


def run_to_json(run: Run) -> dict[str, Any]:
    return asdict(run)


def run_from_json(values: Mapping[str, Any]) -> Run:
    rest = dict(values)
    choices = {
        key: Choice(**{**rest.pop(key), "source": Source(**values[key]["source"])})
        for key in ("dataset", "model")
    }
    return Run(**choices, recipe=Recipe(**rest.pop("recipe")), **rest)


def resolve(kind: Kind, text: str, registry: Registry) -> list[Choice]:
    """All choices that a selection stands for, in the order of its values.

    Raises:
      UsageError: a name, variant, parameter or value is unknown.
    """
    selection = grammar.parse(text)
    broken = registry.broken(kind, selection.name)
    if broken is not None:
        return _unchecked(selection, broken.source)
    if selection.name == "*":
        entries = registry.of_kind(kind)
        if not entries:
            raise UsageError(f"{text!r} stands for nothing: no {kind} is registered")
    else:
        entries = [registry.get(kind, selection.name)]
    return [
        choice
        for entry in entries
        for variant in _variants(entry, selection.variant)
        for choice in _grid(entry, variant, selection)
    ]


def _unchecked(selection: grammar.Selection, source: Source) -> list[Choice]:
    """Choices of a plugin that does not load: the run will say so, and cost itself alone."""
    keys = [key for key, _ in selection.params]
    found = []
    for values in itertools.product(*(values for _, values in selection.params)):
        given = dict(zip(keys, values, strict=True))
        found.append(
            Choice(
                name=selection.name, variant=selection.variant, params=given, source=source,
                given=given,
            )
        )  # fmt: skip
    return found


def _variants(entry: Entry, asked: str) -> list[str]:
    if asked == "*":
        return ["", *entry.variants]
    if asked and asked not in entry.variants:
        raise UsageError(
            f"{entry.kind} {entry.name!r} has no variant {asked!r}; "
            f"{did_you_mean(asked, entry.variants, what='variants')}"
        )
    return [asked]


def _grid(entry: Entry, variant: str, selection: grammar.Selection) -> Iterator[Choice]:
    keys = [key for key, _ in selection.params]
    known = check_names(entry, keys)
    changes = dict(entry.variants.get(variant, {}))
    base = entry.defaults | changes
    for values in itertools.product(*(values for _, values in selection.params)):
        given = {k: check(known[k], v) for k, v in zip(keys, values, strict=True)}
        yield Choice(
            name=entry.name, variant=variant, params=base | given, source=entry.source,
            given=given, changes=changes,
        )  # fmt: skip


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
    points = grid_points(suite.grid)
    # each once: a run measured twice is no second seed
    recipes = dict.fromkeys(make_recipe({**suite.recipe, **point}) for point in points)
    return [
        _make_run(suite, dataset, model, recipe, seed, key_parts)
        for dataset, model, recipe, seed in itertools.product(
            datasets, models, recipes, suite.seeds
        )
    ]


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
    seed: int,
    key_parts: Mapping[str, str],
) -> Run:
    parts = {
        "dataset": dataset.identity, "model": model.identity, "recipe": asdict(recipe),
        "seed": seed, "machine": dict(key_parts),
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return Run(
        run_id=uuid.uuid4().hex[:12], run_key=key, key_parts=parts, suite=suite.name,
        dataset=dataset, model=model, seed=seed, recipe=recipe,
    )  # fmt: skip
