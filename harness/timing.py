"""Step times from blocks of steps.

A block is one execution of a compiled chunk: the clock is read before it is dispatched
and after `block_until_ready`. Its value is seconds over steps. The blocks before times
settle are warm-up; the quantiles are over the steps of the others.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import jax.monitoring
import numpy as np

# a leading block this much slower than the later ones is still warm-up
SETTLED = 1.2


@dataclass(frozen=True)
class Block:
    """`steps` steps took `seconds`, from dispatch to ready."""

    steps: int
    seconds: float


def steady(blocks: Sequence[Block]) -> Sequence[Block]:
    """Leaves out the warm-up: leading blocks slower than the later half settles at.

    The first block is always warm-up if there is another one.
    """
    if len(blocks) < 2:
        return blocks
    later = blocks[len(blocks) // 2 :]
    level = float(np.median([b.seconds / b.steps for b in later]))
    first = 1
    # at most half may be warm-up: a run that never settles is measured as it is
    while first < len(blocks) // 2 and blocks[first].seconds / blocks[first].steps > (
        SETTLED * level
    ):
        first += 1
    return blocks[first:]


def step_times(blocks: Sequence[Block], *, batch_size: int) -> dict[str, float | None]:
    """The columns on step time, from the blocks of a training without its warm-up.

    Returns:
      step_ms_p50, step_ms_p90, step_ms_mean and examples_per_s; None without a block.
    """
    names = ("step_ms_p50", "step_ms_p90", "step_ms_mean", "examples_per_s")
    kept = steady(blocks)
    if not kept:
        return dict.fromkeys(names)
    ms = np.repeat([1e3 * b.seconds / b.steps for b in kept], [b.steps for b in kept])
    mean = float(ms.mean())
    p50, p90 = (float(np.quantile(ms, q)) for q in (0.5, 0.9))
    return dict(zip(names, (p50, p90, mean, 1e3 * batch_size / mean), strict=True))


@dataclass
class CompileCounter:
    """How often this process compiled, and what the persistent cache gave."""

    compilations: int = 0
    hits: int = 0
    misses: int = 0


@functools.cache
def compile_counter() -> CompileCounter:
    """The process's counter; JAX offers no way to take a listener back, so there is one."""
    counter = CompileCounter()

    def on_duration(event: str, duration_secs: float, **_: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            counter.compilations += 1

    def on_event(event: str, **_: str | int) -> None:
        if event == "/jax/compilation_cache/cache_hits":
            counter.hits += 1
        elif event == "/jax/compilation_cache/cache_misses":
            counter.misses += 1

    jax.monitoring.register_event_duration_secs_listener(on_duration)
    jax.monitoring.register_event_listener(on_event)
    return counter
