"""Optimizers and learning-rate schedules by their optax names."""

from __future__ import annotations

from collections.abc import Callable

import optax

from harness.recipe import Recipe

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


def make_optimizer(recipe: Recipe, *, steps: int) -> optax.GradientTransformation:
    """The optimizer of a run of `steps` training steps.

    The optimizer's other settings are optax's defaults (for adam b1 0.9, b2 0.999). Warm-up
    takes the first tenth of the steps; every decay ends with the last step.
    """
    # a constant rate is passed as a number: a schedule would add a counter to the state
    if recipe.schedule == "constant":
        return getattr(optax, recipe.optimizer)(recipe.learning_rate)
    schedule = SCHEDULES[recipe.schedule](recipe.learning_rate, steps)
    return getattr(optax, recipe.optimizer)(schedule)
