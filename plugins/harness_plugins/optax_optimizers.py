"""Optax's common optimizers with their parameters: `--optimizer adamw[weight_decay=0.1]`.

The defaults are optax's, so that a bare name is the same optimizer as before. Those that
stand here do so for their parameters; optax's other names work without any.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import optax
from annotated_types import Ge, Le

import harness
from harness.hookspecs import Register

Rate: TypeAlias = optax.ScalarOrSchedule
# 1 would divide by zero where optax corrects the bias of an average
Share: TypeAlias = Annotated[float, Ge(0.0), Le(0.999999)]
Amount: TypeAlias = Annotated[float, Ge(0.0)]


def adam(
    learning_rate: Rate, *, b1: Share = 0.9, b2: Share = 0.999, eps: Amount = 1e-8
) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015)."""
    return optax.adam(learning_rate, b1=b1, b2=b2, eps=eps)


def adamw(
    learning_rate: Rate,
    *,
    b1: Share = 0.9,
    b2: Share = 0.999,
    eps: Amount = 1e-8,
    weight_decay: Amount = 1e-4,
    max_norm: Amount | None = None,
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay; gradients longer than `max_norm` are cut to it."""
    update = optax.adamw(learning_rate, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay)
    if max_norm is None:
        return update
    return optax.chain(optax.clip_by_global_norm(max_norm), update)


def sgd(
    learning_rate: Rate, *, momentum: Share | None = None, nesterov: bool = False
) -> optax.GradientTransformation:
    """Stochastic gradient descent, with momentum or without."""
    return optax.sgd(learning_rate, momentum=momentum, nesterov=nesterov)


def lion(
    learning_rate: Rate, *, b1: Share = 0.9, b2: Share = 0.99, weight_decay: Amount = 1e-3
) -> optax.GradientTransformation:
    """Lion (Chen et al. 2023)."""
    return optax.lion(learning_rate, b1=b1, b2=b2, weight_decay=weight_decay)


@harness.hookimpl
def register_optimizers(register: Register) -> None:
    register(
        "adam", adam, paper="Kingma and Ba 2015, Adam: A Method for Stochastic Optimization"
    )
    register(
        "adamw",
        adamw,
        variants={"clipped": {"max_norm": 1.0}},
        paper="Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization",
    )
    register("sgd", sgd, variants={"momentum": {"momentum": 0.9}})
    register(
        "lion", lion, paper="Chen et al. 2023, Symbolic Discovery of Optimization Algorithms"
    )
