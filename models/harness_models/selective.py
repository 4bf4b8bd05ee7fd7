"""A recurrence that chooses at each position what to keep: step sizes depend on the token.

Every channel keeps a small state that decays by `exp(delta A)` and takes up `delta B x`. A
large step `delta` forgets and takes the token in, a small one passes it over; `B` and `C`
say what of it is written and read. All three are computed from the token, where a state
space as in `lru` has them fixed. In shapes, e counts the channels and n the numbers of the
state that each of them has.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import nnx

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
from harness_models._scan import recurrence

STEPS = (1e-3, 1e-1)  # what `delta` is at the start, between these


class Selective(nnx.Module):
    """Pre-norm blocks of a gated selective state space, layer normalisation, mean, head.

    Gu and Dao 2023, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces",
    arXiv:2312.00752; with layer normalisation, and inner channels that are as many as
    `embed_dim` unless `expand` says otherwise (there twice as many, with states of 16).

    Padding drives no state and is left out of the mean: in front of the tokens the state
    stays zero, whatever the length of the padding.

    Args:
      data: sequences of tokens.
      embed_dim: width of the token vectors and of every block.
      expand: inner channels for each of `embed_dim`.
      state_dim: numbers in the state of a channel. A training step holds several arrays
        `[b, t, embed_dim * expand, state_dim]` for each block.
      rank: numbers that the step sizes of all channels are made of.
      conv: positions that the convolution before the recurrence sees; 0 for none.
      num_blocks: blocks, one after another.
      dropout: rate of all dropout layers.
      head_units: relu units between the mean and the logits; 0 for none.
      selective: whether delta, B and C depend on the token.
      gate: whether what comes out is multiplied with a gate of the block's input.

    Raises:
      Unsupported: the data are not sequences of tokens.
    """

    def __init__(
        self,
        data: harness.DataSpec,
        *,
        embed_dim: Size = 32,
        expand: Size = 1,
        state_dim: Size = 4,
        rank: Size = 2,
        conv: SizeOrZero = 4,
        num_blocks: Size = 1,
        dropout: Rate = 0.1,
        head_units: SizeOrZero = 20,
        selective: bool = True,
        gate: bool = True,
        rngs: nnx.Rngs,
    ) -> None:
        vocab_size, length = text_sizes(data)
        self.pad_id = data.pad_id
        self.embed = TokenEmbedding(vocab_size, length, embed_dim, position=False, rngs=rngs)

        def block() -> PreNorm:
            channels = embed_dim * expand
            space = StateSpace(channels, state_dim, rank=rank if selective else 0, rngs=rngs)
            inner = SelectiveUnit(space, embed_dim, channels, conv=conv, gate=gate, rngs=rngs)
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


class SelectiveUnit(nnx.Module):
    """Into the inner channels, a short convolution, the state space, a gate, and back."""

    def __init__(
        self,
        space: StateSpace,
        width: int,
        channels: int,
        *,
        conv: int,
        gate: bool,
        rngs: nnx.Rngs,
    ) -> None:
        self.space = space
        self.enter = nnx.Linear(width, channels, use_bias=False, rngs=rngs)
        self.conv = CausalConv(channels, conv, rngs=rngs) if conv else None
        self.gate = nnx.Linear(width, channels, use_bias=False, rngs=rngs) if gate else None
        self.leave = nnx.Linear(channels, width, use_bias=False, rngs=rngs)

    def __call__(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        """`[b, t, d]` to `[b, t, d]`."""
        inner = self.enter(zero_padding(x, mask))  # [b, t, e]
        if self.conv is not None:
            inner = self.conv(inner)
        # again: the convolution's bias is not zero
        y = self.space(zero_padding(jax.nn.silu(inner), mask))
        return self.leave(y if self.gate is None else y * jax.nn.silu(self.gate(x)))


class CausalConv(nnx.Module):
    """Each channel's weighted sum of its last values, one set of weights a channel."""

    def __init__(self, channels: int, size: int, *, rngs: nnx.Rngs) -> None:
        bound = size**-0.5
        self.kernel = nnx.Param(
            jax.random.uniform(rngs.params(), (size, channels), minval=-bound, maxval=bound)
        )
        self.bias = nnx.Param(jnp.zeros((channels,)))

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[b, t, e]` to `[b, t, e]`; in front of the first position stand zeros."""
        kernel = self.kernel[...].astype(x.dtype)
        size, t = kernel.shape[0], x.shape[1]
        x = jnp.pad(x, ((0, 0), (size - 1, 0), (0, 0)))  # [b, t + size - 1, e]
        # size is small: sums of shifted arrays are quicker here than a grouped convolution
        shifted = [x[:, i : i + t] * kernel[i][None, None] for i in range(size)]
        return sum(shifted[1:], shifted[0]) + self.bias[...].astype(x.dtype)[None, None]


class StateSpace(nnx.Module):
    """`h_t = exp(delta A) h_{t-1} + delta B x_t`, `y_t = C h_t + D x_t` (section 3 there).

    A is diagonal and negative, `-exp(log_a)`, and starts at -1, -2, ... (S4D-Real: Gu et al.
    2022, arXiv:2206.11893). With a rank of 0 delta, B and C are learnt constants. All but
    the layer that chooses them is computed in float32.
    """

    def __init__(self, channels: int, states: int, *, rank: int, rngs: nnx.Rngs) -> None:
        self.rank, self.states = rank, states
        start = jnp.log(jnp.arange(1, states + 1, dtype=jnp.float32))  # [n]
        self.log_a = nnx.Param(jnp.tile(start[None], (channels, 1)))  # [e, n]
        self.d = nnx.Param(jnp.ones((channels,)))
        key = rngs.params
        low, high = (math.log(step) for step in STEPS)
        step = jnp.exp(jax.random.uniform(key(), (channels,), minval=low, maxval=high))
        self.step = nnx.Param(step + jnp.log(-jnp.expm1(-step)))  # softplus gives it back
        if rank:
            self.select = nnx.Linear(channels, rank + 2 * states, use_bias=False, rngs=rngs)
            bound = rank**-0.5
            self.spread = nnx.Param(
                jax.random.uniform(key(), (rank, channels), minval=-bound, maxval=bound)
            )
        else:
            self.b = nnx.Param(jax.random.normal(key(), (states,)))
            self.c = nnx.Param(jax.random.normal(key(), (states,)))

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[b, t, e]` to `[b, t, e]`, of the dtype of `x`."""
        dtype, x = x.dtype, x.astype(jnp.float32)
        delta, b, c = self._chosen(x)
        a = -jnp.exp(_single(self.log_a))[None, None]  # [1, 1, e, n]
        decay = jnp.exp(delta[..., None] * a)  # [b, t, e, n], or [1, t, e, n]
        driven = (delta * x)[..., None] * b[:, :, None]  # [b, t, e, n]
        states = recurrence(decay, driven)
        y = (states * c[:, :, None]).sum(axis=-1) + x * _single(self.d)[None, None]
        return y.astype(dtype)

    def _chosen(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """What the tokens choose: delta `[b, t, e]`, B and C `[b, t, n]`; or one for all b."""
        step = _single(self.step)[None, None]  # [1, 1, e]
        if not self.rank:
            delta = jnp.broadcast_to(jax.nn.softplus(step), (1, *x.shape[1:]))
            return delta, _single(self.b)[None, None], _single(self.c)[None, None]
        chosen = self.select(x).astype(jnp.float32)  # [b, t, r + 2 n]
        low, b, c = jnp.split(chosen, [self.rank, self.rank + self.states], axis=-1)
        return jax.nn.softplus(low @ _single(self.spread) + step), b, c


def _single(parameter: nnx.Param[jax.Array]) -> jax.Array:
    """A parameter in float32, also where the engine hands it over in bfloat16."""
    return parameter[...].astype(jnp.float32)


@harness.hookimpl
def register_models(register: Register) -> None:
    register(
        "selective",
        Selective,
        variants={
            "not_selective": {"selective": False},
            "no_conv": {"conv": 0},
            "no_gate": {"gate": False},
            "wide": {"expand": 2},
            "large_state": {"state_dim": 16},
            "deep": {"num_blocks": 4},
        },
        description="Selective state space by a prefix sum, short convolution, gate, mean",
        paper="Gu and Dao 2023, Mamba: Linear-Time Sequence Modeling with Selective State "
        "Spaces, arXiv:2312.00752",
    )
