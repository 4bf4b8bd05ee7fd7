"""Equal tuning: the trials that the cells of a suite are given, and the runs behind them.

Every cell tries the same points of the space, `budget` of them, by the rungs of
`harness.halving`, and the best one gives the values for the runs of all seeds. Each trial is a
training of its own from the start, so that its schedule ends with its last step. It never
reads the test set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

from harness.entries import Scalar
from harness.errors import UsageError, counted, did_you_mean
from harness.halving import Rung, schedule
from harness.parameters import check_names
from harness.plan import Cell, Run, cells, optimizers
from harness.recipe import check_held_out, make_recipe
from harness.registry import Registry
from harness.rows import Row
from harness.space import MODEL, Axis, check_size, make_axis, recipe_axis, sample, space_size
from harness.suites import DEFAULT_BUDGET, MAX_SEEDS, Suite

# above what --seeds can give, so that no reported run repeats a training that was chosen
TRIAL_SEED = MAX_SEEDS
# what a tuned suite has where it says nothing else: trials are compared on held-out data
DEFAULTS: Mapping[str, Scalar] = {"validation": 0.1, "select": "best"}

Rows = Mapping[tuple[int, int], Row]


@dataclass(frozen=True)
class Configuration:
    """One point of the space: the cell with its values in place.

    Attributes:
      values: by the keys that the cell has.
      seed: of its trials; points with the same values are trained with different ones.
    """

    values: dict[str, Scalar]
    cell: Cell
    seed: int


@dataclass(frozen=True, kw_only=True)
class TunedCell:
    """A cell, the trials that it is given, and the runs that come after them.

    Attributes:
      axes: of each key that the cell has; empty where nothing is tuned.
      configurations: one a trial of the first rung.
      limit: of the examples that trials see; None where they see what runs do.
      together: the seeds whose runs one program trains; trials have each its own.
    """

    base: Cell
    seeds: tuple[int, ...]
    axes: Mapping[str, Axis]
    configurations: tuple[Configuration, ...]
    rungs: tuple[Rung, ...]
    limit: int | None = None
    together: tuple[int, ...] = ()

    @property
    def _asked(self) -> dict[str, Any]:
        """What of `tune` says how the cell is tuned."""
        told = {"space": self.space, "budget": len(self.configurations)}
        return told if self.limit is None else {**told, "limit": self.limit}

    @property
    def space(self) -> dict[str, str]:
        """The range of each key, as text."""
        return {key: axis.text for key, axis in self.axes.items()}

    @property
    def trial_limit(self) -> int | None:
        """Of how many examples trials see the first, no more than runs do; None is all."""
        of_runs = self.base.recipe.limit
        return of_runs if self.limit is None else min(self.limit, of_runs or self.limit)

    @property
    def count(self) -> int:
        """How many trials and runs it comes to, if each trial is ok."""
        return sum(rung.trials for rung in self.rungs) + len(self.seeds)

    @property
    def first(self) -> list[Run]:
        """What can be performed first: the trials of the first rung, or the runs."""
        if not self.rungs:
            return self.runs(None)
        return [self.trial(0, number) for number in range(len(self.configurations))]

    def trial(self, rung: int, number: int) -> Run:
        """A trial of a rung; it measures and tells nothing beyond what it is compared on."""
        chosen = self.configurations[number]
        recipe = replace(
            chosen.cell.recipe, epochs=self.rungs[rung].epochs, limit=self.trial_limit
        )
        cell = replace(chosen.cell, recipe=recipe, metrics=(), observers=())
        tune = {**self._asked, "rung": rung, "trial": number, "chosen": chosen.values}
        if self.limit is not None:
            tune["runs_limit"] = self.base.recipe.limit
        return cell.run(chosen.seed, kind="trial", tune=tune)

    def runs(self, number: int | None, rows: Rows = MappingProxyType({})) -> list[Run]:
        """The runs of all seeds.

        Args:
          number: the trial whose values they have; None if there is none.
          rows: of the trials, by the numbers of rung and trial.
        """
        if not self.rungs:
            return [self.base.run(k, together=self.together) for k in self.seeds]
        chosen = None if number is None else self.configurations[number]
        tune = {
            **self._asked,
            "rungs": [[rung.trials, rung.epochs] for rung in self.rungs],
            "chosen": {} if chosen is None else chosen.values, **_came_to(rows, number),
            "at_end": [] if number is None else self.at_end(number),
        }  # fmt: skip
        cell = self.base if chosen is None else chosen.cell
        return [cell.run(k, tune=tune, together=self.together) for k in self.seeds]

    def at_end(self, number: int) -> list[str]:
        """The keys whose value in a trial is the smallest or the largest that was tried.

        A list of values and a range with two of them have nothing else, and beyond the
        parameter's own bound there is nothing to try.
        """
        return [
            key
            for key, axis in self.axes.items()
            if axis.is_at_end(
                self.configurations[number].values[key],
                [one.values[key] for one in self.configurations],
            )
        ]


def _came_to(rows: Rows, number: int | None) -> dict[str, Any]:
    """How many trials were ok on every rung, the epochs of ok ones, how good the best was."""
    lost = {n for (_, n), row in rows.items() if row["status"] != "ok"}
    ok = {place: row for place, row in rows.items() if row["status"] == "ok"}
    best = ok.get(max((place for place in ok if place[1] == number), default=(0, -1)), {})
    return {
        "ok": len({n for _, n in rows} - lost),
        "epochs": sum(row["epochs"] for row in ok.values()),
        "val_accuracy": best.get("val_accuracy"), "val_loss": best.get("val_loss"),
    }  # fmt: skip


def tuned_cells(
    suite: Suite,
    registry: Registry,
    *,
    key_parts: Mapping[str, str],
    note: Callable[[str], None] = lambda text: None,
) -> list[TunedCell]:
    """The cells of a suite that tunes, each with the same points of the space.

    A key that a model lacks, or that its variant fixes, is left out for that model; the values
    of the other keys stay. A model that is left with no key is not tuned.

    Args:
      key_parts: what of the machine decides a result.
      note: told in one line which models a key is left out for.

    Raises:
      UsageError: a name or a value is off, a key has a value otherwise, no model has it, or
        trials see too few examples to hold some out.
    """
    _check_held_out(suite)
    usual = {k: v for k, v in DEFAULTS.items() if k not in suite.grid}
    found = cells(
        replace(suite, recipe={**usual, **suite.recipe}), registry, key_parts=key_parts
    )
    for cell in found:
        check_held_out(cell.recipe.validation, limit=suite.tune_limit, name="tune_limit")
    axes = [_axes(cell, suite.tune, registry) for cell in found]
    for key in suite.tune:
        _check_key(key, found, axes, note)
    # the whole space, each key as the first model has it
    whole = [next(a[k] for a in axes if k in a) for k in suite.tune]
    budget = suite.budget or int(min(DEFAULT_BUDGET, space_size(whole)))
    check_size(whole, budget)
    _check_seeds(suite.seeds, budget)
    points = sample(len(suite.tune), budget)
    return [
        _tuned(cell, own, points, suite, registry)
        for cell, own in zip(found, axes, strict=True)
    ]


def _check_held_out(suite: Suite) -> None:
    if 0 in (suite.recipe.get("validation"), *suite.grid.get("validation", ())):
        raise UsageError(
            "tuning with validation=0 would choose on the test set; hold out training data, as "
            "in --validation 0.1"
        )


def _check_seeds(seeds: Iterable[int], budget: int) -> None:
    last = TRIAL_SEED + budget - 1
    for seed in seeds:
        if TRIAL_SEED <= seed <= last:
            raise UsageError(
                f"seed {seed}: trials are trained with seeds {TRIAL_SEED} to {last}, and no "
                "run repeats what was chosen on; take another seed"
            )


def _axes(cell: Cell, tune: Mapping[str, str], registry: Registry) -> dict[str, Axis]:
    """The axes that a cell has, by key."""
    found: dict[str, Axis] = {}
    for key, text in tune.items():
        if not key.startswith(MODEL):
            found[key] = recipe_axis(key, text)
            continue
        name = key.removeprefix(MODEL)
        if name in cell.model.given:
            raise UsageError(f"{key} is tuned and given in {cell.model.label}; use one of them")
        if name in cell.model.params and name not in cell.model.changes:
            entry = registry.get("model", cell.model.name)
            found[key] = make_axis(key, text, check_names(entry, [name])[name])
    return found


def _check_key(
    key: str,
    found: Sequence[Cell],
    axes: Sequence[Mapping[str, Axis]],
    note: Callable[[str], None],
) -> None:
    without = [cell.model for cell, own in zip(found, axes, strict=True) if key not in own]
    if len(without) == len(found):
        open_ = (set(model.params) - set(model.changes) for model in without)
        name, names = key.removeprefix(MODEL), set[str]().union(*open_)
        raise UsageError(
            f"no selected model has a parameter {name!r} that its variant leaves open; "
            + did_you_mean(name, names, what="parameters")
        )
    lacking = dict.fromkeys(m.label for m in without if key.removeprefix(MODEL) not in m.params)
    fixed = dict.fromkeys(m.label for m in without if m.label not in lacking)
    if lacking:
        note(f"{key} is left out for what has no such parameter: {', '.join(lacking)}")
    if fixed:
        note(f"{key} is left out for variants that fix it: {', '.join(fixed)}")


def _tuned(
    cell: Cell,
    axes: Mapping[str, Axis],
    points: Iterable[Sequence[float]],
    suite: Suite,
    registry: Registry,
) -> TunedCell:
    seen: list[dict[str, Scalar]] = []
    tried: list[Configuration] = []
    for point in points if axes else ():
        places = dict(zip(suite.tune, point, strict=True))
        values = {key: axis.at(places[key]) for key, axis in axes.items()}
        seed = TRIAL_SEED + seen.count(values)
        seen.append(values)
        tried.append(Configuration(values, _with_values(cell, values, registry), seed))
    return TunedCell(
        base=cell, seeds=suite.seeds, axes=axes, limit=suite.tune_limit,
        configurations=tuple(tried), together=suite.together,
        rungs=schedule(len(tried), cell.recipe.epochs) if tried else (),
    )  # fmt: skip


def _with_values(cell: Cell, values: Mapping[str, Scalar], registry: Registry) -> Cell:
    """A cell with some values in place of its own."""
    of_model = {k.removeprefix(MODEL): v for k, v in values.items() if k.startswith(MODEL)}
    of_recipe = {key: value for key, value in values.items() if not key.startswith(MODEL)}
    model = replace(cell.model, params=cell.model.params | of_model)
    recipe, optimizer = make_recipe(asdict(cell.recipe) | of_recipe), cell.optimizer
    if "optimizer" in of_recipe:
        found = optimizers(recipe, registry)
        if len(found) != 1:
            raise UsageError(
                f"tune: {recipe.optimizer!r} stands for {counted(len(found), 'optimizer')}; "
                "list each by itself"
            )
        recipe, optimizer = found[0]
    return replace(cell, model=model, recipe=recipe, optimizer=optimizer)
