"""Muon: the momentum of each matrix is made orthogonal before it is applied.

It is in optax's `contrib`, which no name on the command line reaches. What is no matrix
(biases, scales, vectors) is trained by AdamW, as its authors do.
"""

from __future__ import annotations

from typing import Annotated

import optax
from annotated_types import Ge, Le

import harness
from harness.hookspecs import Register


def muon(
    learning_rate: optax.ScalarOrSchedule,
    *,
    beta: Annotated[float, Ge(0.0), Le(0.999999)] = 0.95,
    ns_steps: Annotated[int, Ge(1)] = 5,
    nesterov: bool = True,
    weight_decay: Annotated[float, Ge(0.0)] = 0.0,
) -> optax.GradientTransformation:
    """Momentum `beta`, made orthogonal by `ns_steps` Newton-Schulz iterations."""
    return optax.contrib.muon(
        learning_rate, beta=beta, ns_steps=ns_steps, nesterov=nesterov,
        weight_decay=weight_decay,
    )  # fmt: skip


@harness.hookimpl
def register_optimizers(register: Register) -> None:
    register("muon", muon, paper="Jordan et al. 2024, Muon: An optimizer for hidden layers")
