"""Optimizers and learning-rate schedules by their optax names.

The learning rate is a value in the optimizer's state, no constant of the program: runs that
differ in nothing else share one compiled program, so a sweep over it compiles once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from harness.errors import ContractError, UsageError
from harness.recipe import OPTIMIZERS, Recipe

# from a learning rate, or a schedule of it, to an optimizer: what a plugin registers
Factory = Callable[[optax.ScalarOrSchedule], optax.GradientTransformation]

# a schedule of `steps` steps with peak learning rate `rate`
WARMUP_FRACTION = 0.1


def _warmup(steps: int) -> int:
    return max(1, round(WARMUP_FRACTION * steps))


SCHEDULES: dict[str, Callable[[float, int], optax.Schedule]] = {
    "constant": lambda rate, steps: optax.constant_schedule(rate),
    "linear": lambda rate, steps: optax.linear_schedule(rate, 0.0, steps),
    "cosine_decay": lambda rate, steps: optax.cosine_decay_schedule(rate, steps),
    "exponential_decay": lambda rate, steps: optax.exponential_decay(rate, steps, 0.01),
    "warmup_constant": lambda rate, steps: optax.warmup_constant_schedule(
        0.0, rate, _warmup(steps)
    ),
    "warmup_cosine_decay": lambda rate, steps: optax.warmup_cosine_decay_schedule(
        0.0, rate, _warmup(steps), max(steps, _warmup(steps) + 1)
    ),
    "linear_onecycle": lambda rate, steps: optax.linear_onecycle_schedule(max(steps, 10), rate),
    "cosine_onecycle": lambda rate, steps: optax.cosine_onecycle_schedule(max(steps, 10), rate),
}


class RateState(NamedTuple):
    """The (peak) learning rate float32 [], and the state of what it drives."""

    rate: jax.Array
    inner: Any


def make_optimizer(
    recipe: Recipe, *, steps: int, factory: Factory | None = None
) -> optax.GradientTransformation:
    """The optimizer of a run of `steps` training steps.

    Warm-up takes the first tenth of the steps; every decay ends with the last step.

    Args:
      factory: what a plugin registered under the recipe's name. Without it the name is
        optax's, whose other settings are optax's defaults (for adam b1 0.9, b2 0.999).

    Raises:
      UsageError: the name is not optax's, and there is no factory.
      ContractError: the factory returned something else. While the optimizer is traced also
        where the factory looks at its learning rate.
    """
    build = functools.partial(
        _built, recipe, steps=steps, make=factory or _of_optax(recipe.optimizer)
    )
    build(recipe.learning_rate)  # what is wrong with it is said before anything is traced

    def init(params: Any) -> RateState:
        rate = jnp.asarray(recipe.learning_rate, jnp.float32)
        return RateState(rate, build(rate).init(params))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, RateState]:
        moved, inner = build(state.rate).update(updates, state.inner, params)
        return moved, RateState(state.rate, inner)

    return optax.GradientTransformation(init, update)


def _built(
    recipe: Recipe, rate: float | jax.Array, *, steps: int, make: Factory
) -> optax.GradientTransformation:
    """The optimizer at a learning rate, which may be traced."""
    driven: Any = rate
    # a constant rate is passed as a number: a schedule would add a counter to the state
    if recipe.schedule != "constant":
        # optax's schedules compare their values; all of them are multiples of the rate
        unit = SCHEDULES[recipe.schedule](1.0, steps)
        driven = lambda count: rate * unit(count)  # noqa: E731
    try:
        made = make(driven)
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError):
        raise ContractError(
            f"optimizer {recipe.optimizer!r} looks at its learning rate, which is traced; "
            "leave comparing and converting to jax.numpy"
        ) from None
    if not isinstance(made, optax.GradientTransformation):
        raise ContractError(
            f"optimizer {recipe.optimizer!r} returned {type(made).__name__}; expected an "
            "optax.GradientTransformation"
        )
    return made


def _of_optax(name: str) -> Factory:
    if name not in OPTIMIZERS:
        raise UsageError(
            f"optimizer {name!r} is a plugin's, which is not loaded here; optax's are "
            f"{', '.join(OPTIMIZERS)}"
        )
    return getattr(optax, name)
