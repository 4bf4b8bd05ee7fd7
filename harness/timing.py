"""Step times from blocks of steps.

A block is one execution of a compiled chunk: the clock is read before it is dispatched
and after `block_until_ready`. Its value is seconds over steps. The blocks before times
settle are warm-up; the quantiles are over the steps of the others.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from threading import get_ident

import jax.monitoring
import numpy as np

# the line of JAX's log that says what is compiled for which arguments
COMPILING = re.compile(r"Compiling (?P<name>\S+) with global shapes and types (?P<shapes>.*)")
SHAPE = re.compile(r"ShapedArray\(([^()]*)")
# so many compilations are named in a row
SHOWN = 5

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


class CompileCounter(logging.Handler):
    """What this process compiled, and what the persistent cache gave.

    JAX counts compilations for its monitors and names their shapes in its log only. Where
    the log should change its wording, the names stay and the shapes are missing.

    Attributes:
      compiled: one text a compilation, as in `step(float32[128,200])`.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.compiled: list[str] = []
        self.hits = 0
        self.misses = 0
        # by thread too: two of them may compile functions of one name
        self._shapes: dict[tuple[int, str], str] = {}

    @property
    def compilations(self) -> int:
        return len(self.compiled)

    def emit(self, record: logging.LogRecord) -> None:
        """Remembers the shapes that the compilation now beginning is for."""
        found = COMPILING.match(record.getMessage())
        if found:
            self._shapes[get_ident(), found["name"]] = ",".join(SHAPE.findall(found["shapes"]))

    def finished(self, name: str) -> None:
        bare = name.removeprefix("jit(").removesuffix(")")
        self.compiled.append(f"{bare}({self._shapes.pop((get_ident(), name), '')})")


def named(compiled: Sequence[str]) -> str:
    """Compilations as one line: the first five, and how many more."""
    more = f" and {len(compiled) - SHOWN} more" if len(compiled) > SHOWN else ""
    return "; ".join(compiled[:SHOWN]) + more


@functools.cache
def compile_counter() -> CompileCounter:
    """The process's counter; JAX offers no way to take a listener back, so there is one."""
    counter = CompileCounter()
    log = logging.getLogger("jax._src.interpreters.pxla")
    log.addHandler(counter)
    log.setLevel(logging.DEBUG)
    # what JAX would have shown without us is shown still: warnings
    log.propagate = False
    log.addHandler(_warnings_only())

    def on_duration(event: str, duration_secs: float, **about: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            counter.finished(str(about.get("fun_name", "?")))

    def on_event(event: str, **_: str | int) -> None:
        if event == "/jax/compilation_cache/cache_hits":
            counter.hits += 1
        elif event == "/jax/compilation_cache/cache_misses":
            counter.misses += 1

    jax.monitoring.register_event_duration_secs_listener(on_duration)
    jax.monitoring.register_event_listener(on_event)
    return counter


def _warnings_only() -> logging.Handler:
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    return handler
