"""Checks of how a model learns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from harness import metrics, program
from harness.checks.check import Check, Fault, NotApplicable
from harness.checks.subject import BATCH, ModelSubject
from harness.saved import named_leaves

# few enough examples that a linear model of few numbers can tell them apart
FEW = 8
STEPS = 300
# taken between two looks at the answers
BLOCK = 20
RATES = (1e-2, 1e-3, 1e-1)
# of the loss at the beginning: an example this far down is learnt, where no answer is right
CLOSE = 0.1
# of each value of a parameter, between two looks at the gradients
MOVE = 1e-2


def finite(subject: ModelSubject) -> str:
    """Loss and gradients of the first step are numbers."""
    loss, grads = subject.gradient(*subject.parts[1:], subject.x, subject.y)
    if not np.isfinite(loss):
        raise Fault(
            given=f"the loss of the first batch is {loss}", expected="a finite number",
            do="look for a logarithm of zero, a division by zero or an overflow",
        )  # fmt: skip
    bad = [path for path, leaf in named_leaves(grads) if not np.isfinite(leaf).all()]
    if bad:
        raise Fault(
            given=f"the gradient of {_listed(bad)} is not finite",
            expected="finite numbers", do="look for a square root or a norm of zero",
        )  # fmt: skip
    return f"loss {loss:.3f}"


def gradients_reach(subject: ModelSubject) -> str:
    """Every parameter receives a gradient from some batch: none is built without a use.

    A head or a gate of zeros keeps gradients from what lies before it, so a small step is
    taken after each batch that leaves a parameter out.
    """
    params, rest = subject.parts[1:]
    left = {path for path, _ in named_leaves(params)}
    if not left:
        raise NotApplicable("the model has no parameters")
    count = len(left)
    for x, y in _batches(subject):
        grads = subject.gradient(params, rest, x, y)[1]
        left -= {path for path, leaf in named_leaves(grads) if np.any(leaf)}
        if not left:
            return f"{count} arrays"
        params = jax.tree.map(lambda p, g: p - MOVE * jnp.sign(g), params, grads)
    raise Fault(
        given=f"no gradient reaches {_listed(sorted(left))}",
        expected="every nnx.Param to take part in the loss",
        do="do not build what is not used, and keep what training must not change in an "
        "nnx.Variable that is no nnx.Param",
    )  # fmt: skip


def _batches(subject: ModelSubject) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All examples twice: x [b, *shape] and y [b, ...]."""
    for start in 2 * tuple(range(0, len(subject.examples["y"]), BATCH)):
        some = slice(start, start + BATCH)
        yield subject.examples["x"][some], subject.examples["y"][some]


def overfits(subject: ModelSubject) -> str:
    """A few examples can be learnt by heart."""
    if not list(named_leaves(subject.parts[1])):
        raise NotApplicable("the model has no parameters")
    advance, judge = _learner(subject)
    best = right = 0.0
    for rate in RATES:
        state = _start(subject, rate)
        for done in range(BLOCK, STEPS + 1, BLOCK):
            state = advance(state)
            right = float(judge(state))
            if right == 1.0:
                return f"{FEW} examples in {done} steps of adam, learning rate {rate:g}"
        best = max(best, right)
    raise Fault(
        given=f"of {FEW} examples {best:.0%} are right after {STEPS} steps of adam at the "
        f"learning rates {', '.join(f'{rate:g}' for rate in RATES)}",
        expected="all of them", do="look for what keeps the outputs from following the input",
    )  # fmt: skip


def _adam(rate: float) -> optax.GradientTransformationExtraArgs:
    """Adam whose state holds the rate, so that all rates are one program."""
    return optax.inject_hyperparams(optax.adam)(learning_rate=rate)


def _start(subject: ModelSubject, rate: float) -> program.TrainState:
    _, params, rest = subject.parts
    return program.TrainState(params, rest, _adam(rate).init(params))


def _learner(subject: ModelSubject) -> tuple[Callable[..., Any], Callable[..., jax.Array]]:
    """Functions of the state: the one some steps later, the share of right answers."""
    split, adam, task = subject.parts[0], _adam(0.0), subject.task
    x, y = jnp.asarray(subject.x[:FEW]), jnp.asarray(subject.y[:FEW])
    start = metrics.mean_loss(split.eval_outputs(*subject.parts[1:], x), y, task=task)

    def advance(state: program.TrainState) -> program.TrainState:
        def step(_: Any, state: program.TrainState) -> program.TrainState:
            return program.train_step(split, adam, state, (x, y))[0]

        return jax.lax.fori_loop(0, BLOCK, step, state)

    def judge(state: program.TrainState) -> jax.Array:
        outputs, probabilities = split.judge(state.params, state.rest, x)
        if task.correct is None:  # where nothing is simply right, next to no loss is
            return (task.losses(outputs, y) < start * CLOSE).mean()
        return task.correct(task.answers(outputs, probabilities), y).mean()

    return jax.jit(advance), jax.jit(judge)


def _listed(paths: list[str]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(paths[:3]) + more


CHECKS: tuple[Check[ModelSubject], ...] = (
    Check("finite", "loss and gradients are numbers", finite, ("outputs",)),
    Check(
        "gradients_reach", "every parameter receives a gradient", gradients_reach, ("finite",)
    ),
    Check("overfits", "learns a few examples by heart", overfits, ("finite", "compiles_once")),
)
