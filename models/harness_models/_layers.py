"""The pieces that the built-in models share.

A text model here is three stages: tokens become vectors `[b, t, d]`, the vectors are mixed
and pooled to one `[b, d]`, and a small head turns that into logits `[b, c]`. Padding
travels beside the vectors as a boolean mask `[b, t]`, True where a real token stands; a
mask of None means that every position counts. Padding stands in front of the tokens, so
no piece may assume that the first position is a real one.

Ranks and dtypes are spelled out at every operation: the pieces run under JAX's strict
promotion rules.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal, TypeAlias

import jax
import jax.numpy as jnp
from annotated_types import Ge, Le
from flax import nnx

import harness
from harness_models._attention import SelfAttention
from harness_models._dropout import Dropout
from harness_models._positions import NO_RELATIONS, Relations

# annotations of constructor parameters, with the bounds that the registry reads
Size: TypeAlias = Annotated[int, Ge(1)]
SizeOrZero: TypeAlias = Annotated[int, Ge(0)]
Rate: TypeAlias = Annotated[float, Ge(0.0), Le(1.0)]
Norm: TypeAlias = Literal["post", "pre"]
Activation: TypeAlias = Literal["relu", "gelu", "swiglu"]

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "gelu": partial(jax.nn.gelu, approximate=False),
    "swiglu": jax.nn.silu,
}


def text_sizes(data: harness.DataSpec) -> tuple[int, int]:
    """The sizes that a text model needs: `(vocab_size, positions)`.

    Raises:
      Unsupported: the examples are not one-dimensional sequences of tokens.
    """
    if data.vocab_size is None or len(data.shape) != 1:
        raise harness.Unsupported(
            f"needs sequences of token ids; this data is of kind {data.kind!r} and shape "
            f"{data.shape}"
        )
    return data.vocab_size, data.shape[0]


def real_positions(tokens: jax.Array, *, pad_id: int | None) -> jax.Array | None:
    """Where real tokens stand: bool `[b, t]`, or None where nothing is padding.

    With `pad_id=0`, `[[0, 0, 7], [5, 6, 7]]` gives `[[F, F, T], [T, T, T]]`.

    Args:
      tokens: int32 `[b, t]`.
      pad_id: `DataSpec.pad_id`.
    """
    return None if pad_id is None else tokens != pad_id


def mean_over_positions(x: jax.Array, mask: jax.Array | None) -> jax.Array:
    """The mean of the real positions; zeros for a row that has none.

    Args:
      x: `[b, t, d]`.
      mask: bool `[b, t]`, or None to count every position.

    Returns:
      `[b, d]`, of the dtype of `x`.
    """
    if mask is None:
        return x.mean(axis=1)
    weights = mask.astype(x.dtype)  # [b, t]
    count = jnp.maximum(weights.sum(axis=1, keepdims=True), 1)  # [b, 1]
    return jnp.einsum("btd,bt->bd", x, weights) / count


def max_over_positions(x: jax.Array, mask: jax.Array | None) -> jax.Array:
    """The largest value of each channel over real positions; zeros for a row without any.

    Args:
      x: `[b, t, d]`.
      mask: bool `[b, t]`, or None to count every position.

    Returns:
      `[b, d]`, of the dtype of `x`.
    """
    if mask is None:
        return x.max(axis=1)
    lowest = jnp.finfo(x.dtype).min
    largest = jnp.where(mask[:, :, None], x, lowest).max(axis=1)  # [b, d]
    return jnp.where(mask.any(axis=1)[:, None], largest, 0)


class TokenEmbedding(nnx.Module):
    """A learned vector a token plus, if asked for, a learned vector a position.

    Learned positions as in Gehring et al. 2017, "Convolutional Sequence to Sequence
    Learning".
    """

    def __init__(
        self, vocab_size: int, length: int, width: int, *, position: bool, rngs: nnx.Rngs
    ) -> None:
        self.token = nnx.Embed(vocab_size, width, rngs=rngs)
        self.position = nnx.Embed(length, width, rngs=rngs) if position else None

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Embeds int32 `[b, t]` as `[b, t, d]`.

        With positions, t is at most the length built for. A shorter batch has lost padding
        in front, so it takes the last vectors: a token keeps its own.
        """
        x = self.token(tokens)
        if self.position is None:
            return x
        vectors = self.position.embedding[...]  # [length, d]
        if x.shape[1] < vectors.shape[0]:
            vectors = vectors[-x.shape[1] :]
        return x + vectors[None]  # [b, t, d] + [1, t, d]


class FeedForward(nnx.Module):
    """Two layers at each position; it ends at the width it began with.

    Between them stand relu or gelu units (Hendrycks and Gimpel 2016, "Gaussian Error Linear
    Units"), or "swiglu": units whose silu multiplies those of a third layer (Shazeer 2020,
    "GLU Variants Improve Transformer"), here with biases as the others have.
    """

    def __init__(
        self, width: int, hidden: int, *, activation: Activation = "relu", rngs: nnx.Rngs
    ) -> None:
        self.activation = activation
        self.expand = nnx.Linear(width, hidden, rngs=rngs)
        self.contract = nnx.Linear(hidden, width, rngs=rngs)
        self.gated = nnx.Linear(width, hidden, rngs=rngs) if activation == "swiglu" else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[b, t, d]` to `[b, t, d]`."""
        hidden = ACTIVATIONS[self.activation](self.expand(x))
        if self.gated is not None:
            hidden = hidden * self.gated(x)
        return self.contract(hidden)


class PostNorm(nnx.Module):
    """A sublayer as first published: `norm(x + dropout(inner(x)))`.

    Layer normalisation after Ba et al. 2016, "Layer Normalization".
    """

    def __init__(
        self, inner: Callable[..., jax.Array], width: int, *, dropout: float, rngs: nnx.Rngs
    ) -> None:
        self.inner = inner
        self.dropout = Dropout(dropout, rngs=rngs)
        self.norm = nnx.LayerNorm(width, epsilon=1e-6, rngs=rngs)

    def __call__(self, x: jax.Array, *context: jax.Array | None) -> jax.Array:
        """`[b, t, d]` to `[b, t, d]`; `context` is handed on to the inner layer."""
        return self.norm(x + self.dropout(self.inner(x, *context)))


class PreNorm(nnx.Module):
    """A sublayer whose residual connection is never normalised: `x + dropout(inner(norm(x)))`.

    Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture". The last
    block's output needs a normalisation of its own.
    """

    def __init__(
        self, inner: Callable[..., jax.Array], width: int, *, dropout: float, rngs: nnx.Rngs
    ) -> None:
        self.inner = inner
        self.dropout = Dropout(dropout, rngs=rngs)
        self.norm = nnx.LayerNorm(width, epsilon=1e-6, rngs=rngs)

    def __call__(self, x: jax.Array, *context: jax.Array | None) -> jax.Array:
        """`[b, t, d]` to `[b, t, d]`; `context` is handed on to the inner layer."""
        return x + self.dropout(self.inner(self.norm(x), *context))


class EncoderBlock(nnx.Module):
    """One encoder block: attention, then a feed-forward layer, each with its normalisation.

    A sublayer that is left out is left out whole, with its dropout, residual connection
    and normalisation: it holds no parameters and costs nothing.
    """

    def __init__(
        self,
        width: int,
        *,
        num_heads: int,
        ff_dim: int,
        dropout: float,
        attention: bool,
        feedforward: bool,
        norm: Norm = "post",
        activation: Activation = "relu",
        relations: Relations = NO_RELATIONS,
        rngs: nnx.Rngs,
    ) -> None:
        def sublayer(inner: Callable[..., jax.Array]) -> PostNorm | PreNorm:
            kind = PostNorm if norm == "post" else PreNorm
            return kind(inner, width, dropout=dropout, rngs=rngs)

        # each attribute is set once: nnx fixes at the first assignment whether it holds data
        self.attention = (
            sublayer(SelfAttention(width, num_heads, relations=relations, rngs=rngs))
            if attention
            else None
        )
        self.feedforward = (
            sublayer(FeedForward(width, ff_dim, activation=activation, rngs=rngs))
            if feedforward
            else None
        )

    def __call__(self, x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
        """`[b, t, d]` to `[b, t, d]`; the mask, bool `[b, t]`, is for the attention."""
        if self.attention is not None:
            x = self.attention(x, mask)
        if self.feedforward is not None:
            x = self.feedforward(x)
        return x


class Head(nnx.Module):
    """From one vector an example to logits: dropout, a relu layer, dropout, a linear layer.

    With `units=0` there is no hidden layer: dropout and a linear layer.
    """

    def __init__(
        self, width: int, units: int, num_classes: int, *, dropout: float, rngs: nnx.Rngs
    ) -> None:
        self.dropout_in = Dropout(dropout, rngs=rngs)
        self.hidden = nnx.Linear(width, units, rngs=rngs) if units else None
        self.dropout_hidden = Dropout(dropout, rngs=rngs)
        self.out = nnx.Linear(units or width, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[b, d]` to logits `[b, c]`."""
        x = self.dropout_in(x)
        if self.hidden is not None:
            x = self.dropout_hidden(jax.nn.relu(self.hidden(x)))
        return self.out(x)
