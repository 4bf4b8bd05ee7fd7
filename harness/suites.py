"""What one command or one TOML file asks for, before it is held against the registry.

Selections are still text here; hyper-parameters, seeds and the grid are checked, because
their names and types are known without a plugin.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from os.path import expanduser
from pathlib import Path
from typing import Any

from harness import grammar
from harness.entries import Scalar
from harness.errors import UsageError, did_you_mean
from harness.recipe import Recipe, check_value
from harness.recipe import parameters as recipe_parameters
from harness.space import MODEL, OUTSIDE_BRACKETS, parse_tune, recipe_axis


@dataclass(frozen=True, kw_only=True)
class Suite:
    """What one command or TOML file asks for; selections are still text.

    Attributes:
      metrics, observers: selections of what is measured beside loss and accuracy, and of
        who hears of the runs.
      vmap_seeds: whether the seeds of a cell are trained in one program.
      recipe: hyper-parameters by name, one value each.
      grid: hyper-parameters by name, several values each.
      tune: what is tuned for each cell, by key: the text of its range.
      budget: trials for each cell; None is 8 or all points of a smaller space, where
        something is tuned.
      tune_limit: only so many of the first examples are there for trials; None is all.
    """

    name: str = ""
    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    observers: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    vmap_seeds: bool = False
    plugins: tuple[str, ...] = ()
    recipe: Mapping[str, Scalar] = field(default_factory=dict)
    grid: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)
    tune: Mapping[str, str] = field(default_factory=dict)
    budget: int | None = None
    tune_limit: int | None = None

    @property
    def together(self) -> tuple[int, ...]:
        """The seeds that one program trains; a single one is trained as ever."""
        return self.seeds if self.vmap_seeds and len(self.seeds) > 1 else ()


MAX_SEEDS = 10_000
DEFAULT_BUDGET, MAX_BUDGET = 8, 10_000


def make_seeds(*, seeds: Any = None, seed: Any = None) -> tuple[int, ...]:
    """`--seeds N` is 0 to N-1, `--seed K` is K alone, neither is seed 0.

    Raises:
      UsageError: both are given, or one is not a count or a seed.
    """
    if seeds is not None and seed is not None:
        raise UsageError("--seeds and --seed are both given; use one of them")
    bounds = (("seeds", seeds, 1, MAX_SEEDS), ("seed", seed, 0, 2**31 - 1))
    for name, value, low, high in bounds:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (whole and low <= value <= high):
            raise UsageError(f"{name}={value!r}: expected int >= {low} and <= {high}")
    return (seed,) if seed is not None else tuple(range(1 if seeds is None else seeds))


SUITE_KEYS = (
    "name", "datasets", "models", "metrics", "observers", "plugins", "seeds", "seed", "grid",
    "tune", "budget", "tune_limit", "vmap_seeds",
)  # fmt: skip


def load_suite(path: Path) -> Suite:
    """Reads a suite file; the flags' names are its keys.

    Raises:
      UsageError: the file is absent, no TOML, or a key is unknown or of another type.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"suite {str(path)!r} cannot be read: {error.strerror}") from None
    # no UTF-8 and overlong numbers are ValueErrors as well
    except (ValueError, RecursionError) as error:
        raise UsageError(f"suite {str(path)!r} is not TOML: {error}") from None
    try:
        return suite_from_mapping(content, name=path.stem, folder=path.parent)
    except (UsageError, ValueError) as error:
        raise UsageError(f"suite {str(path)!r}: {error}") from None


def suite_from_mapping(content: Mapping[str, Any], *, name: str, folder: Path) -> Suite:
    """A suite from a parsed TOML file; plugin paths are relative to its folder."""
    known = [*SUITE_KEYS, *recipe_parameters()]
    for key in content:
        if key not in known:
            raise UsageError(f"unknown key {key!r}; {did_you_mean(key, known, what='keys')}")
    recipe = {f.name: content[f.name] for f in fields(Recipe) if f.name in content}
    for key, value in recipe.items():
        # one by one: flags and the grid may complete what belongs together
        check_value(key, value)
    if not isinstance(content.get("name", name), str):
        raise UsageError(f"name is {content['name']!r}; expected a string")
    vmap_seeds = content.get("vmap_seeds", False)
    if not isinstance(vmap_seeds, bool):
        raise UsageError(f"vmap_seeds is {vmap_seeds!r}; expected true or false")
    grid = _suite_grid(content.get("grid", {}), recipe)
    tune = parse_tune(_texts("tune", content))
    return Suite(
        name=content.get("name", name),
        datasets=_texts("datasets", content),
        models=_texts("models", content),
        metrics=_texts("metrics", content),
        observers=_texts("observers", content),
        plugins=tuple(str(folder / expanduser(p)) for p in _texts("plugins", content)),
        seeds=make_seeds(seeds=content.get("seeds"), seed=content.get("seed")),
        vmap_seeds=vmap_seeds,
        recipe=recipe,
        grid=grid,
        tune=tune,
        budget=make_budget(content.get("budget"), tune, given=[*recipe, *grid]),
        tune_limit=make_tune_limit(content.get("tune_limit"), tune),
    )


def _suite_grid(grid: Any, recipe: Mapping[str, Any]) -> dict[str, tuple[Scalar, ...]]:
    if not isinstance(grid, Mapping):
        raise UsageError(f"grid is {grid!r}; expected a table such as [grid]")
    both = sorted(set(recipe) & set(grid))
    if both:
        raise UsageError(f"{both[0]} is given as a key and in [grid]; use one of them")
    points = {k: tuple(v) if isinstance(v, list) else (v,) for k, v in grid.items()}
    for key, values in points.items():
        for value in values:
            check_value(key, value)
    grid_points(points)
    return points


def _texts(key: str, content: Mapping[str, Any]) -> tuple[str, ...]:
    value = content.get(key, [])
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise UsageError(f"{key} is {value!r}; expected a list of strings")
    return tuple(value)


def parse_grid(options: Iterable[str]) -> dict[str, tuple[Scalar, ...]]:
    """`--grid key=v1,v2` as given, several times.

    Raises:
      UsageError: an option has no `=` or no values.
    """
    grid: dict[str, tuple[Scalar, ...]] = {}
    for option in options:
        key, equals, values = option.partition("=")
        listed = OUTSIDE_BRACKETS.split(values)
        if not equals or not key or not all(listed):
            raise UsageError(f"--grid {option!r}: expected key=value,value")
        name = key.strip().replace("-", "_")
        if name in grid:
            raise UsageError(f"--grid {option!r}: {name} is given twice; list all its values")
        grid[name] = tuple(grammar.parse_value(v.strip()) for v in listed)
    return grid


def make_budget(budget: Any, tune: Mapping[str, str], *, given: Iterable[str]) -> int | None:
    """The trials for each cell: what was given, else None, which `harness.tuning` decides.

    Args:
      given: hyper-parameters that have a value or a grid, and so cannot be tuned.

    Raises:
      UsageError: it is no number of trials, nothing is tuned with it, or what is tuned is given
        as well or no hyper-parameter with such values.
    """
    for key in tune:
        if key in given:
            raise UsageError(f"{key} is tuned and has a value or a grid; use one of them")
        if not key.startswith(MODEL):
            recipe_axis(key, tune[key])
    if budget is None:
        return None
    if not tune:
        raise UsageError("a budget without a key to tune; add --tune learning_rate")
    if not isinstance(budget, int) or not 2 <= budget <= MAX_BUDGET or budget is True:
        raise UsageError(
            f"budget={budget!r}: expected int >= 2 and <= {MAX_BUDGET}, the trials of each cell"
        )
    return budget


def grid_points(grid: Mapping[str, Sequence[Scalar]]) -> list[dict[str, Scalar]]:
    for name, values in grid.items():
        if not values:
            raise UsageError(f"the grid of {name!r} is empty; give at least one value")
    return [
        dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
    ]


def make_tune_limit(limit: Any, tune: Mapping[str, str]) -> int | None:
    """How many of the first examples trials see: what was given, else None, which is all.

    Raises:
      UsageError: it is no number of examples, or nothing is tuned with it.
    """
    if limit is None:
        return None
    if not tune:
        raise UsageError("a tune_limit without a key to tune; add --tune learning_rate")
    if not isinstance(limit, int) or limit is True or limit < 1:
        raise UsageError(f"tune_limit={limit!r}: expected int >= 1, the examples for trials")
    return limit


def on_the_first(*limits: int) -> str:
    """Behind the trials of a tuning, on which examples they were made; "" for all.

    A limit is what was asked for: a data set may have fewer examples.

    >>> on_the_first(5000)
    ' on the first 5,000 examples at most'
    """
    told = " or ".join(f"{limit:,}" for limit in limits)
    return f" on the first {told} examples at most" if limits else ""
