"""Checks of what a model compiles to, by the engine that runs use."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from harness import assemble, cost, timing
from harness.checks.check import Check, Fault
from harness.checks.subject import BATCH, ModelSubject
from harness.errors import counted, first_line


def compiles_once(subject: ModelSubject) -> str:
    """Full, ragged and evaluation batches need no program beyond the first ones."""
    _, params, rest = subject.parts
    first, second = (_traced(subject, params, rest) for _ in range(2))
    if first != second:
        raise Fault(
            given="the training step is another program the second time it is traced",
            expected="the same one", do="count nothing in Python and draw no number there: "
            "keep it in an nnx.Variable, or take it from `rngs`",
        )  # fmt: skip
    try:
        late = _late(subject.prepared.programs)
    except TypeError as error:
        raise Fault(
            given=f"what the model holds does not fit its own program: {first_line(error)}",
            expected="variables that keep their shapes and types from step to step",
            do="give each its final size in the constructor",
        ) from error
    if late:
        raise Fault(
            given=f"{counted(len(late), 'program')} compiled after the first epoch "
            f"({timing.named(late)})",
            expected="none", do="let nothing in the call depend on values or on how often "
            "it was called",
        )  # fmt: skip
    return ""


def _late(programs: assemble.Prepared) -> list[str]:
    """What two epochs, each with a ragged evaluation, compile after the first of them."""
    counter = timing.compile_counter()
    trainer, late = programs.trainer, 0
    state, chunks = jax.tree.map(jnp.copy, programs.state), trainer.chunks()  # it is donated
    for _ in range(2):
        late = counter.compilations
        for _ in range(trainer.order.chunks_per_epoch):
            state, _, _ = trainer(state, next(chunks))
        programs.evaluate(state)
    return counter.compiled[late:]


def _traced(subject: ModelSubject, params: Any, rest: Any) -> str:
    """The training step as it is before it is compiled, traced anew."""
    split = subject.parts[0]

    def outputs(params: Any, rest: Any, x: Any) -> Any:  # JAX remembers a function's trace
        return split.train_outputs(params, rest, x)

    return jax.jit(outputs).lower(params, rest, jnp.asarray(subject.x)).as_text()


def no_callback(subject: ModelSubject) -> str:
    """A step never leaves the device."""
    prepared = subject.prepared.programs
    for name, compiled in (
        ("training step", prepared.trainer.compiled), ("evaluation", prepared.final.compiled)
    ):  # fmt: skip
        ways = sorted(set(cost.ways_outside(compiled.call.as_text() or "")))
        if ways:
            raise Fault(
                given=f"the {name} leaves the device by {', '.join(ways)}",
                expected="no callback and no transfer inside",
                do="take out jax.debug.print, pure_callback and io_callback",
            )  # fmt: skip
    return ""


def costs(subject: ModelSubject) -> str:
    """What a step costs; nothing is expected of it."""
    measured = subject.prepared.measured
    told = [
        f"{measured['param_count']:,} parameters",
        _amount(measured["flops_per_step"], "FLOP a step"),
        _amount(measured["temp_bytes"], "bytes of temporaries"),
        f"compiled in {measured['compile_s']:.1f} s",
    ]
    return ", ".join(text for text in told if text) + f" (batch {BATCH})"


def _amount(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:,.0f} {unit}"


CHECKS: tuple[Check[ModelSubject], ...] = (
    Check("compiles_once", "needs no second program", compiles_once, ("outputs",)),
    Check("no_callback", "a step does not leave the device", no_callback, ("compiles_once",)),
    Check("cost", "parameters, FLOPs, memory, compile time", costs, ("compiles_once",)),
)
