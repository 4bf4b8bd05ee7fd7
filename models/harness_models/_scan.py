"""Linear recurrences over positions, all positions at once.

`h_t = a_t h_{t-1} + b_t` is a chain of affine maps, and maps can be joined in any grouping:
`(a, b)` followed by `(a', b')` is `(a' a, a' b + b')`. So a prefix sum over pairs gives every
state in `log t` rounds (Blelloch 1990, "Prefix Sums and Their Applications") where a loop
takes t steps. Products of decays of at most 1 can only underflow to 0, which is what has
then been forgotten; nothing is divided.

The gradient is written out: a recurrence's is the same recurrence backwards in time, so that
two arrays are kept for it where the rounds would keep theirs.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

TIME = 1  # the axis of positions


@jax.custom_vjp
def recurrence(decay: jax.Array, inputs: jax.Array) -> jax.Array:
    """The states `h_t = decay_t h_{t-1} + inputs_t`, from `h_0 = 0` before the first.

    With decays of 0.5 the inputs 4, 0, 0, 1 give 4, 2, 1, 1.5.

    Args:
      decay: `[b, t, ...]` or with 1 for b and any later axis; float32 or complex64.
      inputs: `[b, t, ...]`, of the same rank and dtype.

    Returns:
      `[b, t, ...]`.
    """
    return _states(decay, inputs)


def backwards(decay: jax.Array, inputs: jax.Array) -> jax.Array:
    """The same from the last position to the first: `h_t = decay_t h_{t+1} + inputs_t`.

    Both are `[b, t, ...]` as in `recurrence`, and so are the states.
    """
    return jnp.flip(recurrence(jnp.flip(decay, TIME), jnp.flip(inputs, TIME)), TIME)


def _states(decay: jax.Array, inputs: jax.Array, *, reverse: bool = False) -> jax.Array:
    """`recurrence` without its gradient: `[b, t, ...]`."""
    return lax.associative_scan(_join, (decay, inputs), reverse=reverse, axis=TIME)[1]


def _join(
    first: tuple[jax.Array, jax.Array], then: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """Two maps as one, pairs of arrays `[b, s, ...]`, s of them side by side."""
    return then[0] * first[0], then[0] * first[1] + then[1]


def _forward(
    decay: jax.Array, inputs: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """The states `[b, t, ...]`, and what their gradient needs: decays and states."""
    states = _states(decay, inputs)
    return states, (decay, states)


def _backward(
    kept: tuple[jax.Array, jax.Array], grad: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The gradients of decays and inputs, in the shapes that these have, from `[b, t, ...]`."""
    decay, states = kept
    # what reaches h_t through h_{t+1} was multiplied with the decay of t + 1
    d_inputs = _states(_later(decay), grad, reverse=True)  # [b, t, ...]
    d_decay = d_inputs * _earlier(states)  # [b, t, ...]
    shared = [i for i, (n, m) in enumerate(zip(decay.shape, grad.shape, strict=True)) if n < m]
    return d_decay.sum(axis=shared, keepdims=True), d_inputs


def _earlier(x: jax.Array) -> jax.Array:
    """Each position gets its predecessor's values, the first one zeros: `[b, t, ...]`."""
    return jnp.concatenate([jnp.zeros_like(x[:, :1]), x[:, :-1]], axis=TIME)


def _later(x: jax.Array) -> jax.Array:
    """Each position gets its successor's values, the last one zeros: `[b, t, ...]`."""
    return jnp.concatenate([x[:, 1:], jnp.zeros_like(x[:, :1])], axis=TIME)


recurrence.defvjp(_forward, _backward)
