"""Checks of how a model learns."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from harness import metrics, program
from harness.checks.check import Check, Fault, NotApplicable
from harness.checks.subject import BATCH, ModelSubject, leaves

# few enough examples that a linear model of few numbers can tell them apart
FEW = 8
STEPS = 300
RATES = (1e-2, 1e-3, 1e-1)


def finite(subject: ModelSubject) -> str:
    """Loss and gradients of the first step are numbers."""
    loss, grads = _gradient(subject, subject.x, subject.y)
    if not np.isfinite(loss):
        raise Fault(
            given=f"the loss of the first batch is {loss}", expected="a finite number",
            do="look for a logarithm of zero, a division by zero or an overflow",
        )  # fmt: skip
    bad = [path for path, leaf in leaves(grads) if not np.isfinite(leaf).all()]
    if bad:
        raise Fault(
            given=f"the gradient of {_listed(bad)} is not finite",
            expected="finite numbers", do="look for a square root or a norm of zero",
        )  # fmt: skip
    return f"loss {loss:.3f}"


def gradients_reach(subject: ModelSubject) -> str:
    """Every parameter receives a gradient from some batch: none is built without a use."""
    reached: dict[str, bool] = {}
    for start in range(0, len(subject.examples["y"]), BATCH):
        some = slice(start, start + BATCH)
        x, y = subject.examples["x"][some], subject.examples["y"][some]
        for path, leaf in leaves(_gradient(subject, x, y)[1]):
            reached[path] = reached.get(path, False) or bool(np.any(leaf))
    if not reached:
        raise NotApplicable("the model has no parameters")
    left = [path for path, found in reached.items() if not found]
    if left:
        raise Fault(
            given=f"no gradient reaches {_listed(left)}",
            expected="every nnx.Param to take part in the loss",
            do="do not build what is not used, and keep what training must not change in an "
            "nnx.Variable that is no nnx.Param",
        )  # fmt: skip
    return f"{len(reached)} arrays"


def overfits(subject: ModelSubject) -> str:
    """A few examples can be learnt by heart."""
    if not list(leaves(subject.split()[1])):
        raise NotApplicable("the model has no parameters")
    x, y = jnp.asarray(subject.x[:FEW]), jnp.asarray(subject.y[:FEW])
    best = 0.0
    for rate in RATES:
        right, steps = _train(subject, x, y, rate)
        if right == 1.0:
            return f"{FEW} examples in {steps} steps of adam, learning rate {rate:g}"
        best = max(best, right)
    raise Fault(
        given=f"of {FEW} examples {best:.0%} are right after {STEPS} steps of adam at the "
        f"learning rates {', '.join(f'{rate:g}' for rate in RATES)}",
        expected="all of them", do="look for what keeps the outputs from following the input",
    )  # fmt: skip


def _train(subject: ModelSubject, x: jax.Array, y: jax.Array, rate: float) -> tuple[float, int]:
    """The share of right answers in evaluation, and after how many steps."""
    split, params, rest = subject.split()
    optimizer = optax.adam(rate)
    state = program.TrainState(params, rest, optimizer.init(params))
    step = jax.jit(lambda state: program.train_step(split, optimizer, state, (x, y))[0])
    judge = jax.jit(lambda state: split.eval_outputs(state.params, state.rest, x))
    right = 0.0
    for done in range(1, STEPS + 1):
        state = step(state)
        if done % 20 == 0:
            right = float((judge(state).argmax(axis=-1) == y).mean())
            if right == 1.0:
                return right, done
    return right, STEPS


def _gradient(subject: ModelSubject, x: np.ndarray, y: np.ndarray) -> tuple[float, Any]:
    """The loss of one batch in training, and its gradient."""
    split, params, rest = subject.split()

    def loss(params: Any) -> jax.Array:
        found, _ = split.train_outputs(params, rest, jnp.asarray(x))
        return metrics.mean_loss(found, jnp.asarray(y))

    value, grads = jax.jit(jax.value_and_grad(loss))(params)
    return float(value), grads


def _listed(paths: list[str]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(paths[:3]) + more


CHECKS: tuple[Check[ModelSubject], ...] = (
    Check("finite", "loss and gradients are numbers", finite, ("outputs",)),
    Check(
        "gradients_reach", "every parameter receives a gradient", gradients_reach, ("finite",)
    ),
    Check("overfits", "learns a few examples by heart", overfits, ("finite",)),
)
