"""A linear recurrence in place of attention: each channel of the state rotates and decays.

The state is a vector of complex numbers. At each position it is multiplied with fixed
`lambda`, of which every entry has a rate of forgetting and a frequency, and the position's
input is added. No nonlinearity stands in the loop, so all positions are computed at once;
what bends the signal stands between the layers. In shapes, n counts the numbers of a state.
"""

from __future__ import annotations

import math
from typing import Annotated

import jax
import jax.numpy as jnp
from annotated_types import Ge, Le
from flax import nnx
from jax import lax

import harness
from harness.hookspecs import Register
from harness_models._layers import (
    Head,
    PreNorm,
    Rate,
    Size,
    SizeOrZero,
    TokenEmbedding,
    mean_over_positions,
    real_positions,
    text_sizes,
)
from harness_models._mixing import zero_padding
from harness_models._scan import backwards, recurrence


class LRU(nnx.Module):
    """Pre-norm blocks of a linear recurrent and a gated linear unit, normalisation, mean, head.

    Orvieto et al. 2023, "Resurrecting Recurrent Neural Networks for Long Sequences", ICML,
    arXiv:2303.06349; gated linear units after Dauphin et al. 2017, arXiv:1612.08083.

    Padding drives no state and is left out of the mean: in front of the tokens the state
    stays zero, whatever the length of the padding.

    Args:
      data: sequences of tokens.
      embed_dim: width of the token vectors and of every block.
      state_dim: complex numbers in the state.
      num_blocks: blocks, one after another.
      dropout: rate of all dropout layers.
      head_units: relu units between the mean and the logits; 0 for none.
      r_min: least modulus of lambda at the start: 0 forgets all within a position.
      r_max: largest modulus of lambda at the start: 1 never forgets.
      max_phase: largest angle of lambda at the start, in radians per position.
      normalise: whether inputs are scaled, channel by channel, so that the state is as
        large as they are; learnt from there.
      bidirectional: whether a second state, with the same lambda, reads from the end.
      gate: whether each block ends with a gated linear unit.

    Raises:
      Unsupported: the data are not sequences of tokens.
      UsageError: `r_min` is not below `r_max`.
    """

    def __init__(
        self,
        data: harness.DataSpec,
        *,
        embed_dim: Size = 32,
        state_dim: Size = 32,
        num_blocks: Size = 1,
        dropout: Rate = 0.1,
        head_units: SizeOrZero = 20,
        r_min: Annotated[float, Ge(0.0), Le(1.0)] = 0.0,
        r_max: Annotated[float, Ge(0.0), Le(1.0)] = 1.0,
        max_phase: Annotated[float, Ge(1e-3), Le(2 * math.pi)] = 2 * math.pi,
        normalise: bool = True,
        bidirectional: bool = False,
        gate: bool = True,
        rngs: nnx.Rngs,
    ) -> None:
        if r_min >= r_max:
            raise harness.UsageError(f"r_min={r_min} is not below r_max={r_max}; lower r_min")
        vocab_size, length = text_sizes(data)
        self.pad_id = data.pad_id
        self.embed = TokenEmbedding(vocab_size, length, embed_dim, position=False, rngs=rngs)

        def block() -> PreNorm:
            unit = RecurrentUnit(
                embed_dim, state_dim, r_min=r_min, r_max=r_max, max_phase=max_phase,
                normalise=normalise, bidirectional=bidirectional, rngs=rngs,
            )  # fmt: skip
            inner = GatedUnit(unit, embed_dim, gate=gate, rngs=rngs)
            return PreNorm(inner, embed_dim, dropout=dropout, rngs=rngs)

        self.blocks = nnx.List(block() for _ in range(num_blocks))
        self.norm = nnx.LayerNorm(embed_dim, epsilon=1e-6, rngs=rngs)
        self.head = Head(embed_dim, head_units, data.num_classes, dropout=dropout, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Classifies int32 tokens `[b, t]`: logits float32 `[b, c]`."""
        mask = real_positions(tokens, pad_id=self.pad_id)  # [b, t] or None
        x = self.embed(tokens)  # [b, t, d]
        for block in self.blocks:
            x = block(x, mask)
        return self.head(mean_over_positions(self.norm(x), mask))


class GatedUnit(nnx.Module):
    """The recurrent unit, a GELU, and if asked for a gated linear unit."""

    def __init__(self, unit: RecurrentUnit, width: int, *, gate: bool, rngs: nnx.Rngs) -> None:
        self.unit = unit
        self.value = nnx.Linear(width, width, rngs=rngs) if gate else None
        self.gate = nnx.Linear(width, width, rngs=rngs) if gate else None

    def __call__(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        """`[b, t, d]` to `[b, t, d]`."""
        x = jax.nn.gelu(self.unit(zero_padding(x, mask)), approximate=False)
        if self.value is None or self.gate is None:
            return x
        return self.value(x) * jax.nn.sigmoid(self.gate(x))


class RecurrentUnit(nnx.Module):
    """`h_t = lambda h_{t-1} + gamma B u_t`, `y_t = Re(C h_t) + D u_t` (section 3 of the paper).

    `lambda = exp(-exp(nu) + i exp(theta))` has a modulus below 1 whatever is learnt; the
    scale of the inputs is `exp(gamma)`, at first the root of `1 - |lambda|^2`. All of it is
    computed in float32 and complex64; complex parameters are pairs of real ones.
    """

    def __init__(
        self,
        width: int,
        states: int,
        *,
        r_min: float,
        r_max: float,
        max_phase: float,
        normalise: bool,
        bidirectional: bool,
        rngs: nnx.Rngs,
    ) -> None:
        key = rngs.params
        # uniform on the ring between both radii, by area: 1 - u keeps logarithms finite
        squared = r_min**2 + (r_max**2 - r_min**2) * (1 - jax.random.uniform(key(), (states,)))
        squared = jnp.clip(squared, 1e-6, 1 - 1e-6)
        self.nu = nnx.Param(jnp.log(-0.5 * jnp.log(squared)))
        self.theta = nnx.Param(jnp.log(max_phase * (1 - jax.random.uniform(key(), (states,)))))
        self.gamma = nnx.Param(0.5 * jnp.log(1 - squared)) if normalise else None
        fan_in = (2 * width) ** -0.5  # two numbers each
        self.b_real = nnx.Param(fan_in * jax.random.normal(key(), (width, states)))
        self.b_imag = nnx.Param(fan_in * jax.random.normal(key(), (width, states)))
        rows = states * (2 if bidirectional else 1)
        self.c_real = nnx.Param(rows**-0.5 * jax.random.normal(key(), (rows, width)))
        self.c_imag = nnx.Param(rows**-0.5 * jax.random.normal(key(), (rows, width)))
        self.d = nnx.Param(jax.random.normal(key(), (width,)))
        self.bidirectional = bidirectional

    def __call__(self, u: jax.Array) -> jax.Array:
        """`[b, t, d]` to `[b, t, d]`, of the dtype of `u`."""
        dtype, u = u.dtype, u.astype(jnp.float32)
        states = self._states(u)  # complex64 [b, t, n]
        y = states.real @ _single(self.c_real) - states.imag @ _single(self.c_imag)
        return (y + u * _single(self.d)[None, None]).astype(dtype)

    def _states(self, u: jax.Array) -> jax.Array:
        """The state at each position, of one or both directions: complex64 `[b, t, n]`."""
        scale = 1.0 if self.gamma is None else jnp.exp(_single(self.gamma))[None]  # [1, n]
        driven = lax.complex(
            u @ (_single(self.b_real) * scale), u @ (_single(self.b_imag) * scale)
        )
        decay = jnp.exp(lax.complex(-jnp.exp(_single(self.nu)), jnp.exp(_single(self.theta))))
        decay = jnp.broadcast_to(decay[None, None], (1, *driven.shape[1:]))  # [1, t, n]
        states = recurrence(decay, driven)
        if not self.bidirectional:
            return states
        return jnp.concatenate([states, backwards(decay, driven)], axis=-1)  # [b, t, 2 n]


def _single(parameter: nnx.Param[jax.Array]) -> jax.Array:
    """A parameter in float32, also where the engine hands it over in bfloat16."""
    return parameter[...].astype(jnp.float32)


@harness.hookimpl
def register_models(register: Register) -> None:
    register(
        "lru",
        LRU,
        variants={
            "bidirectional": {"bidirectional": True},
            "no_normalisation": {"normalise": False},
            "no_gate": {"gate": False},
            "long_memory": {"r_min": 0.9},
            "slow_phase": {"max_phase": math.pi / 10},
            "deep": {"num_blocks": 4},
        },
        description="Complex linear recurrence by a prefix sum, gated linear unit, mean",
        paper="Orvieto et al. 2023, Resurrecting Recurrent Neural Networks for Long Sequences, "
        "ICML 2023, arXiv:2303.06349",
    )
