"""Self-attention, laid out for a fast training step.

The function, parameters and initialisers are those of `nnx.MultiHeadAttention`; what
differs is how it is computed, forwards and backwards:

- heads stand in front of the positions in every product;
- the softmax is never written down: exponentials `[b, h, t, t]` are kept, their sums
  divide the small `[b, h, t, d/h]` arrays on either side of the big products;
- the backward pass is written out, with products that contract the last axis of their
  left operand, the form for which XLA's CPU compiler has its fast kernels.

docs/performance.md has what each of these brings; tests compare with the plain formula.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

import harness
from harness_models._positions import NO_RELATIONS, Relations


class SelfAttention(nnx.Module):
    """Scaled dot-product self-attention with several heads (Vaswani et al. 2017, 3.2).

    Without `relations` it does not know where a position stands.

    Raises:
      UsageError: the width cannot be divided among that many heads, or rotary relations
        meet heads of an odd width.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        *,
        relations: Relations = NO_RELATIONS,
        rngs: nnx.Rngs,
    ) -> None:
        if width % num_heads:
            divisors = ", ".join(str(n) for n in range(1, width + 1) if width % n == 0)
            raise harness.UsageError(
                f"num_heads={num_heads} does not divide the width {width}; "
                f"use one of {divisors}"
            )
        if relations.rotary and width // num_heads % 2:
            raise harness.UsageError(
                f"rotary positions turn pairs of channels, and {num_heads} heads of the width "
                f"{width} have {width // num_heads} each; expected an even number"
            )
        self.num_heads = num_heads
        self.relations = relations
        self.query = nnx.Linear(width, width, rngs=rngs)
        self.key = nnx.Linear(width, width, rngs=rngs)
        self.value = nnx.Linear(width, width, rngs=rngs)
        self.out = nnx.Linear(width, width, rngs=rngs)

    def __call__(self, x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
        """Lets every position look at the positions that the mask allows.

        A row whose mask allows none looks at all of its positions alike.

        Args:
          x: `[b, t, d]`.
          mask: bool `[b, t]`, True where a position may be looked at; None for all.

        Returns:
          `[b, t, d]`.
        """
        query = self.relations.turned(self._split_heads(self.query(x)))  # [b, h, t, d/h]
        key = self.relations.turned(self._split_heads(self.key(x)))
        value = self._split_heads(self.value(x))
        scaled = query * query.shape[-1] ** -0.5
        bias = self.relations.bias(self.num_heads, x.shape[1])  # [1, h, t, t] or None
        mixed = attend(scaled, key, value, self._allowed(mask, x.shape[1]), bias)
        return self.out(mixed.swapaxes(1, 2).reshape(x.shape))  # [b, t, h, d/h] -> [b, t, d]

    def _allowed(self, mask: jax.Array | None, t: int) -> jax.Array | None:
        """The keys that a query may look at: bool `[b or 1, 1, t or 1, t]`, None for all."""
        near = self.relations.near(t)  # [1, 1, t, t]
        if mask is None:
            return near
        real = mask[:, None, None, :]  # [b, 1, 1, t]
        return real if near is None else real & near

    def _split_heads(self, x: jax.Array) -> jax.Array:
        """`[b, t, d]` to `[b, h, t, d/h]`."""
        b, t, d = x.shape
        heads = x.reshape(b, t, self.num_heads, d // self.num_heads)
        return heads.swapaxes(1, 2)  # [b, h, t, d/h]


@jax.custom_vjp
def attend(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None,
    bias: jax.Array | None = None,
) -> jax.Array:
    """`softmax(query key^T + bias) value`, the softmax over the keys that the mask allows.

    Args:
      query: `[b, h, q, d]`, already scaled.
      key, value: `[b, h, k, d]`.
      mask: bool `[b, 1, q, k]`, whose first and third axis may be 1, or None to allow
        every key.
      bias: float32 `[1, h, q, k]`, or None for none. A constant: no gradient goes there.

    Returns:
      `[b, h, q, d]`.
    """
    return _forward(query, key, value, mask, bias)[0]


def _forward(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None,
    bias: jax.Array | None,
) -> tuple[jax.Array, Any]:
    """The output `[b, h, q, d]`, and what its gradient needs."""
    scores = _product("bhqd,bhkd->bhqk", query, key)
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        # the lowest finite number, not -inf: a row of only padding must not become nan
        scores = jnp.where(mask, scores, jnp.finfo(scores.dtype).min)
    exps = jnp.exp(scores - scores.max(axis=-1, keepdims=True))  # [b, h, q, k]
    total = exps.sum(axis=-1, keepdims=True)  # [b, h, q, 1]
    exps = exps.astype(value.dtype)
    mixed = _product("bhqk,bhkd->bhqd", exps, value) / total
    return mixed.astype(query.dtype), (query, key, value, mask, exps, total, mixed)


def _product(subscripts: str, left: jax.Array, right: jax.Array) -> jax.Array:
    """A product as `subscripts` tell its shapes, summed and returned in float32."""
    return jnp.einsum(subscripts, left, right, preferred_element_type=jnp.float32)


def _backward(kept: Any, grad: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, None, None]:
    """The gradients of query, key and value, from that of the output `[b, h, q, d]`."""
    query, key, value, mask, exps, total, mixed = kept
    dtype = query.dtype
    grad = grad.astype(total.dtype) / total  # [b, h, q, d]
    # softmax' gradient needs the mean of what comes back, weighted with the probabilities
    mean = (grad * mixed).sum(axis=-1, keepdims=True)  # [b, h, q, 1]
    grad = grad.astype(dtype)
    weights = exps.astype(mean.dtype)
    d_scores = weights * (_product("bhqd,bhkd->bhqk", grad, value) - mean)  # [b, h, q, k]
    if mask is not None:  # a row of only padding has exponentials of 1 there
        d_scores = jnp.where(mask, d_scores, jnp.zeros((), d_scores.dtype))
    d_scores = d_scores.astype(dtype)
    d_query = _product("bhqk,bhkd->bhqd", d_scores, key).astype(dtype)
    return d_query, _over_queries(query, d_scores), _over_queries(grad, exps), None, None


def _over_queries(left: jax.Array, right: jax.Array) -> jax.Array:
    """Sums `left [b, h, q, d]` times `right [b, h, q, k]` over q: `[b, h, k, d]`."""
    # barriers: without them XLA folds both transpositions into the product, which then
    # contracts the second axis and misses the fast kernel
    turned = lax.optimization_barrier(left.swapaxes(2, 3))  # [b, h, d, q]
    product = _product("bhdq,bhqk->bhdk", turned, right).astype(left.dtype)
    return lax.optimization_barrier(product).swapaxes(2, 3)  # [b, h, k, d]


attend.defvjp(_forward, _backward)
