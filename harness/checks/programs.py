"""Checks of what a model compiles to, by the engine that runs use."""

from __future__ import annotations

from typing import Any

from harness import assemble, cost, engine
from harness.checks.check import Check, Fault
from harness.checks.subject import BATCH, SEED, ModelSubject
from harness.events import Measured
from harness.recipe import Recipe

# two batches and a half: the rest of an epoch is dropped, the rest of an evaluation is not
COUNT = 2 * BATCH + BATCH // 2
RECIPE = Recipe(epochs=2, batch_size=BATCH, eval_batch_size=BATCH)


def compiles_once(subject: ModelSubject) -> str:
    """Full, ragged and evaluation batches need no program beyond the first ones."""
    measured = _trained(subject)
    if measured["recompiles"]:
        raise Fault(
            given=f"{measured['recompiles']} programs were compiled after the first step "
            f"({measured['recompiled']})",
            expected="none", do="let nothing in the call depend on values or on how often "
            "it was called",
        )  # fmt: skip
    return ""


def _trained(subject: ModelSubject) -> dict[str, Any]:
    measured: dict[str, Any] = {}

    def hear(event: Any) -> None:
        if isinstance(event, Measured):
            measured.update(event.values)

    engine.fit(subject.build(), subject.dataset(COUNT), RECIPE, seed=SEED, emit=hear)
    return measured


def no_callback(subject: ModelSubject) -> str:
    """A step never leaves the device."""
    prepared = _prepared(subject, {})
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


def _prepared(subject: ModelSubject, measured: dict[str, Any]) -> assemble.Prepared:
    def hear(event: Any) -> None:
        if isinstance(event, Measured):
            measured.update(event.values)

    return assemble.prepare(
        subject.build(), subject.dataset(COUNT), RECIPE, seed=SEED, emit=hear
    )


def costs(subject: ModelSubject) -> str:
    """What a step costs; nothing is expected of it."""
    measured: dict[str, Any] = {}
    _prepared(subject, measured)
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
    Check("compiles_once", "needs no second program", compiles_once, ("finite",)),
    Check("no_callback", "a step does not leave the device", no_callback, ("outputs",)),
    Check("cost", "parameters, FLOPs, memory, compile time", costs, ("outputs",)),
)
