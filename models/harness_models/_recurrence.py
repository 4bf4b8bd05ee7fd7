"""Recurrent cells, and reading a sequence with one of them.

What the inputs contribute is one product for all positions at once; the scan has only the
product of the state. Positions come first here, `[t, b, d]`: a scan walks along the first
axis. A masked position leaves the state as it is, so padding changes nothing, wherever it
stands and however much of it there is.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

State: TypeAlias = tuple[jax.Array, ...]  # float32 [b, u] each; what is read comes first


class GRUCell(nnx.Module):
    """A gated recurrent unit (Cho et al. 2014), its reset gate behind the recurrent product.

    With gates `r = sigmoid(W_r x + U_r h)` and `z = sigmoid(W_z x + U_z h)` the candidate is
    `n = tanh(W_n x + r * (U_n h))`, and the state becomes `z * h + (1 - z) * n`. Biases are
    those of the inputs. The paper has `U_n (r * h)`, which takes a second product a step.
    """

    def __init__(self, width: int, units: int, *, rngs: nnx.Rngs) -> None:
        self.inputs = nnx.Linear(width, 3 * units, rngs=rngs)
        self.recurrent = _recurrent(units, 3, rngs=rngs)

    def start(self, b: int) -> State:
        """The state before the first position, float32 `[b, u]`."""
        return (jnp.zeros((b, self.recurrent.in_features), jnp.float32),)

    def __call__(self, state: State, inputs: jax.Array) -> State:
        """The next state, from `self.inputs` of a position `[b, 3 u]`."""
        (h,) = state
        given = jnp.split(inputs.astype(jnp.float32), 3, axis=1)  # [b, u] each
        kept = jnp.split(_product(self.recurrent, h, inputs.dtype), 3, axis=1)
        reset = jax.nn.sigmoid(given[0] + kept[0])
        update = jax.nn.sigmoid(given[1] + kept[1])
        candidate = jnp.tanh(given[2] + reset * kept[2])
        return (update * h + (1 - update) * candidate,)


class LSTMCell(nnx.Module):
    """Long short-term memory (Hochreiter and Schmidhuber 1997) with a forget gate.

    With `i, f, o = sigmoid(W x + U h)` and `g = tanh(W_g x + U_g h)` the memory becomes
    `c = f * c + i * g` and the state `h = o * tanh(c)`. The forget gate is of Gers et al.
    2000, "Learning to Forget"; its bias starts at 1 (Jozefowicz et al. 2015, "An Empirical
    Exploration of Recurrent Network Architectures").
    """

    def __init__(self, width: int, units: int, *, rngs: nnx.Rngs) -> None:
        self.inputs = nnx.Linear(width, 4 * units, bias_init=_open_forget_gate, rngs=rngs)
        self.recurrent = _recurrent(units, 4, rngs=rngs)

    def start(self, b: int) -> State:
        """State and memory before the first position, float32 `[b, u]` each."""
        zeros = jnp.zeros((b, self.recurrent.in_features), jnp.float32)
        return zeros, zeros

    def __call__(self, state: State, inputs: jax.Array) -> State:
        """The next state and memory, from `self.inputs` of a position `[b, 4 u]`."""
        h, c = state
        gates = inputs.astype(jnp.float32) + _product(self.recurrent, h, inputs.dtype)
        i, f, g, o = jnp.split(gates, 4, axis=1)  # [b, u] each
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c


def read(
    cell: GRUCell | LSTMCell, x: jax.Array, mask: jax.Array | None, *, backwards: bool = False
) -> tuple[jax.Array, jax.Array]:
    """Reads sequences with a cell, from the first position or from the last.

    Args:
      x: `[t, b, d]`.
      mask: bool `[t, b]`, True where a position counts; None for all.

    Returns:
      The state at the end, `[b, u]`, and the one behind each position, `[t, b, u]`, of the
      dtype of `x`. A row without a real position keeps the zeros it began with.
    """

    def step(state: State, at: tuple[jax.Array, Any]) -> tuple[State, jax.Array]:
        inputs, real = at
        after = cell(state, inputs)
        if real is not None:
            after = tuple(
                jnp.where(real[:, None], new, old)
                for new, old in zip(after, state, strict=True)
            )
        return after, after[0].astype(x.dtype)

    start = cell.start(x.shape[1])
    last, states = lax.scan(step, start, (cell.inputs(x), mask), reverse=backwards)
    return last[0].astype(x.dtype), states


def _recurrent(units: int, gates: int, *, rngs: nnx.Rngs) -> nnx.Linear:
    """The product of the state, `[b, u]` to `[b, gates * u]`; each gate's is orthogonal."""
    return nnx.Linear(
        units, gates * units, use_bias=False, kernel_init=_orthogonal_gates, rngs=rngs
    )


def _orthogonal_gates(key: jax.Array, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
    """Saxe et al. 2014: an orthogonal `[u, u]` for each gate, side by side."""
    units = shape[0]
    make = jax.nn.initializers.orthogonal()
    keys = jax.random.split(key, shape[1] // units)
    return jnp.concatenate([make(k, (units, units), dtype) for k in keys], axis=1)


def _open_forget_gate(key: jax.Array, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
    """Zeros `[4 u]` for the biases, but 1 for the forget gate's, the second quarter."""
    units = shape[0] // 4
    return jnp.zeros(shape, dtype).at[units : 2 * units].set(1)


def _product(layer: nnx.Linear, h: jax.Array, dtype: Any) -> jax.Array:
    """The layer's product `[b, v]` of `[b, u]`, computed in `dtype`, returned in float32."""
    return layer(h.astype(dtype)).astype(jnp.float32)
