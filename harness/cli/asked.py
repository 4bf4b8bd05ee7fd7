"""What the options of `harness run` ask for, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.recipe import Recipe
from harness.space import parse_tune
from harness.suites import (
    Suite,
    load_suite,
    make_budget,
    make_seeds,
    make_tune_limit,
    parse_grid,
)

if TYPE_CHECKING:
    from harness.cluster import Cluster

RECIPE = tuple(vars(Recipe()))


def make_suite(path: str | None, options: Mapping[str, Any]) -> Suite:
    """The suite file, or the embedded one, with what the flags say in its place."""
    if path is None and not options["datasets"] and not options["models"]:
        with as_file(files("harness") / "default_suite.toml") as default:
            base = load_suite(default)
    else:
        base = Suite() if path is None else load_suite(Path(path))
    recipe = {k: options[k] for k in RECIPE if options[k] is not None}
    grid = parse_grid(options["grid"])
    both = sorted(set(recipe) & set(grid))
    if both:
        raise UsageError(f"{both[0]} is given as a flag and in --grid; use one of them")
    given = {**recipe, **grid}
    tune = parse_tune(options["tune"]) or {k: v for k, v in base.tune.items() if k not in given}
    budget = base.budget if tune and options["budget"] is None else options["budget"]
    limit = options["tune_limit"]
    limit = base.tune_limit if tune and limit is None else limit
    seeds = base.seeds
    if options["seeds"] is not None or options["seed"] is not None:
        seeds = make_seeds(seeds=options["seeds"], seed=options["seed"])
    return replace(
        base,
        datasets=options["datasets"] or base.datasets,
        models=options["models"] or base.models,
        metrics=options["metrics"] or base.metrics,
        observers=options["observers"] or base.observers,
        plugins=(*base.plugins, *options["plugins"]),
        seeds=seeds,
        vmap_seeds=options["vmap_seeds"] or base.vmap_seeds,
        # in its hyper-parameter a flag, --grid or --tune takes the place of all the suite has
        recipe=_without({**base.recipe, **recipe}, grid, tune),
        grid=_without({**base.grid, **grid}, recipe, tune),
        tune=tune,
        budget=make_budget(budget, tune, given=given),
        tune_limit=make_tune_limit(limit, tune),
    )


def _without(values: Mapping[str, Any], *others: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if not any(k in other for other in others)}


def make_cluster(options: Mapping[str, Any]) -> Cluster | None:
    """Where runs go on, if it is not this machine.

    Raises:
      UsageError: an option that only a cluster has is given without one, or is malformed.
    """
    if options["executor"] == "dask":
        from harness.cluster import Cluster, parse_resources

        return Cluster(
            scheduler=options["scheduler"],
            workers=options["workers"],
            resources=parse_resources(options["resources"]),
            ship=options["ship"],
        )
    names = {"scheduler": "scheduler", "workers": "workers", "resources": "resource"}
    for name, flag in (*names.items(), ("ship", "ship")):
        if options[name]:
            raise UsageError(f"--{flag} is of a cluster; give --executor dask as well")
    return None
