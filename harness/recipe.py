"""The hyper-parameters of a run: what is not the model's nor the data's own.

The names of schedules, and of optimizers that no plugin registers, are optax's. They are
listed here, and a test holds the list against optax, so that a misspelt one is refused before
anything is imported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from harness.entries import Parameter, Scalar
from harness.errors import UsageError, did_you_mean
from harness.parameters import check

OPTIMIZERS = (
    "adabelief", "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamaxw",
    "adamw", "adan", "amsgrad", "fromage", "lamb", "lars", "lion", "nadam", "nadamw",
    "novograd", "optimistic_gradient_descent", "radam", "rmsprop", "rprop",
    "sgd", "sign_sgd", "sm3", "yogi",
)  # fmt: skip
SCHEDULES = (
    "constant", "cosine_decay", "cosine_onecycle", "exponential_decay", "linear",
    "linear_onecycle", "warmup_constant", "warmup_cosine_decay",
)  # fmt: skip
# what of a recipe is stored under another name
COLUMN_OF = {"select": "selection", "devices": "device_count", "processes": "process_count"}
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained and judged.

    Attributes:
      epochs: passes over the training split.
      batch_size: examples a step; the remainder of an epoch is dropped.
      eval_batch_size: examples an evaluation batch; nothing is dropped.
      optimizer: a selection of a registered optimizer, or the name of one of optax's; the
        plan holds it against the registry.
      learning_rate: its (peak) learning rate.
      schedule: the name of an optax schedule; it ends with the last step.
      validation: fraction of the training split held out; 0 evaluates the test set
        every epoch instead.
      select: the epoch that counts, "last", or "best" on validation.
      limit: only the first examples of both splits; None means all.
      precision: what a model computes in; parameters, the optimizer and losses are
        float32 whatever it is.
      accumulate: a step's batch goes through the model in so many parts, whose mean
        gradient makes one update.
      devices: over which each batch is split; every one of them has the whole state.
      processes: which share the devices evenly, on one machine.
    """

    epochs: int = 10
    batch_size: int = 128
    eval_batch_size: int = 256
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    validation: float = 0.0
    select: Literal["last", "best"] = "last"
    limit: int | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    accumulate: int = 1
    devices: int = 1
    processes: int = 1

    @property
    def changes(self) -> str:
        """What is not at its default, such as `epochs=3 precision=bfloat16`."""
        defaults = vars(Recipe())
        return " ".join(f"{k}={v}" for k, v in vars(self).items() if v != defaults[k])

    def to_row(self) -> dict[str, Any]:
        """The columns of the group "recipe", `device_count` and `process_count`."""
        values = asdict(self)
        own = {column: values.pop(name) for name, column in COLUMN_OF.items()}
        return {**values, **own, "vmap_seeds": 1, "tune_trials": 0}


BOUNDS: dict[str, tuple[float | None, float | None]] = {
    "epochs": (1, None),
    "batch_size": (1, None),
    "eval_batch_size": (1, None),
    "learning_rate": (0, None),
    "validation": (0, 0.9),
    "limit": (1, None),
    "accumulate": (1, None),
    "devices": (1, None),
    "processes": (1, None),
}


def parameters() -> dict[str, Parameter]:
    """The recipe's fields as parameters, in order; also what `--grid` may vary."""
    choices = {
        "schedule": SCHEDULES,
        "select": ("last", "best"),
        "precision": PRECISIONS,
    }
    types = {"epochs": "int", "batch_size": "int", "eval_batch_size": "int", "limit": "int",
             "accumulate": "int", "devices": "int", "processes": "int",
             "learning_rate": "float", "validation": "float"}  # fmt: skip
    return {
        f.name: Parameter(
            name=f.name, type=types.get(f.name, "str"), default=f.default,  # type: ignore[arg-type]
            optional=f.default is None, choices=choices.get(f.name, ()),
            minimum=BOUNDS.get(f.name, (None, None))[0],
            maximum=BOUNDS.get(f.name, (None, None))[1],
        )
        for f in fields(Recipe)
    }  # fmt: skip


def make_recipe(values: Mapping[str, Scalar]) -> Recipe:
    """A recipe from plain values; what is not named keeps its default.

    Raises:
      UsageError: an unknown name, a wrong type or value; says what is allowed.
    """
    checked: dict[str, Any] = {name: check_value(name, v) for name, v in values.items()}
    recipe = replace(Recipe(), **checked)
    if recipe.learning_rate in (0, math.inf):
        raise UsageError(
            f"learning_rate={recipe.learning_rate:g}: expected a finite number above 0"
        )
    if recipe.batch_size % recipe.accumulate:
        raise UsageError(
            f"accumulate={recipe.accumulate} does not divide batch_size={recipe.batch_size}; "
            "a batch goes through in equal parts: choose a divisor, or another batch size"
        )
    _check_devices(recipe)
    if recipe.select == "best" and recipe.validation == 0:
        raise UsageError(
            "select=best with validation=0 would choose the epoch on the test set; "
            "hold out training data as well, as in --validation 0.1"
        )
    check_held_out(recipe.validation, limit=recipe.limit)
    return recipe


def _check_devices(recipe: Recipe) -> None:
    """Refuses batches that cannot be split evenly over the devices, nor these over processes.

    Raises:
      UsageError: says which sizes near the given one can.
    """
    if recipe.devices % recipe.processes:
        above = recipe.processes * math.ceil(recipe.devices / recipe.processes)
        raise UsageError(
            f"processes={recipe.processes} cannot share devices={recipe.devices} evenly; "
            f"give devices={above}, or a number of processes that divides {recipe.devices}"
        )
    for name, parts in (("batch_size", recipe.accumulate), ("eval_batch_size", 1)):
        size, unit = getattr(recipe, name), recipe.devices * parts
        if recipe.devices > 1 and size % unit:
            below = size - size % unit
            sizes = " or ".join(str(fits) for fits in (below, below + unit) if fits)
            each = f" in {parts} parts" if parts > 1 else ""
            raise UsageError(
                f"devices={recipe.devices} cannot share {name}={size}{each} evenly; "
                f"give {name}={sizes}, or a number of devices that divides {size // parts}"
            )


def check_held_out(fraction: float, *, limit: int | None, name: str = "limit") -> None:
    """Refuses a fraction that holds out all of the first examples, or none, whatever they are.

    Args:
      name: what the user calls the limit.

    Raises:
      UsageError: says which fraction does neither.
    """
    # of each class so much is held out, and no class is larger than the limit
    if limit is not None and fraction and round(fraction * limit) in (0, limit):
        told = one_side(all_held=fraction * limit > 0.5, size=limit)
        raise UsageError(
            f"validation={fraction:g} with {name}={limit}, a share of each class, {told}"
        )


def one_side(*, all_held: bool, size: int) -> str:
    """What a fraction does that holds out all examples or none, and which one does neither.

    >>> one_side(all_held=False, size=30)
    'holds out none; give 0.034 or more, or more examples'

    Args:
      size: examples of the largest class.
    """
    what = "all" if all_held else "none"
    if size < 2:
        return f"holds out {what}; give more examples"
    # half of two or more is neither, nor is a share that comes to one
    enough = math.ceil(1000 / size) / 1000
    range_ = "0.5 or less" if all_held else f"{enough:g} or more"
    return f"holds out {what}; give {range_}, or more examples"


def check_value(name: str, value: Any) -> Scalar:
    """One hyper-parameter's value in its type, whatever the others are.

    Raises:
      UsageError: an unknown name, a wrong type or value; says what is allowed.
    """
    known = parameters()
    if name not in known:
        raise UsageError(
            f"no hyper-parameter {name!r}; {did_you_mean(name, known, what='hyper-parameters')}"
        )
    return check(known[name], value)
