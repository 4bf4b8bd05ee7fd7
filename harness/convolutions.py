"""Convolutions as XLA's processor back end is quick at them, in loops too.

Its quick kernel takes arrays with the batch first and the channels last. Others XLA
transposes, but only in the outermost computation: in the body of a loop, where the engine's
steps are, they go to a naive kernel that takes up to 46 times as long (jax-ml/jax issue
12868; benchmarks/convolution.py measures it). The convolutions of a gradient are of that
kind whatever the model wrote. So a program's convolutions are rewritten before it is
compiled: transpose, convolve, transpose back. The same products are summed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, jaxpr_as_fun
from jax.extend.core.primitives import conv_general_dilated_p


def channels_last(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, its convolutions with the batch first and the channels last.

    Those in loops, branches and functions within it are rewritten too. What `jax.shard_map`
    maps is left as it is: there every array has a type of its own that says over which
    devices it varies.

    Args:
      function: of arrays and pytrees of arrays, as `jax.jit` takes it. It returns such too.
    """

    @functools.wraps(function)  # profiles name a program after its function
    def rewritten(*args: Any) -> Any:
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        outputs = jaxpr_as_fun(_Rewriting().closed(closed))(*jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shapes), outputs)

    return rewritten


@dataclass(frozen=True)
class _Rewriting:
    """Of one program. What its parts share is rewritten once, so they still share it.

    Attributes:
      known: programs within it and what became of them, by the identity of the first, which
        is kept so that no other takes its place.
    """

    known: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    def closed(self, closed: ClosedJaxpr) -> ClosedJaxpr:
        return self._once(closed, self._closed)

    def _once(self, value: Any, rewrite: Callable[[Any], Any]) -> Any:
        if id(value) not in self.known:
            self.known[id(value)] = value, rewrite(value)
        return self.known[id(value)][1]

    def _closed(self, closed: ClosedJaxpr) -> ClosedJaxpr:
        jaxpr = self._once(closed.jaxpr, self._jaxpr)
        return closed if jaxpr is closed.jaxpr else closed.replace(jaxpr=jaxpr)

    def _jaxpr(self, jaxpr: Jaxpr) -> Jaxpr:
        """With other equations; the same object if there is nothing to do."""
        equations = [self._equation(equation) for equation in jaxpr.eqns]
        same = all(new is old for new, old in zip(equations, jaxpr.eqns, strict=True))
        return jaxpr if same else jaxpr.replace(eqns=equations)

    def _equation(self, equation: JaxprEqn) -> JaxprEqn:
        if equation.primitive is conv_general_dilated_p:
            return _convolution(equation)
        if equation.primitive.name == "shard_map":
            return equation
        params = {name: self._param(value) for name, value in equation.params.items()}
        same = all(params[name] is value for name, value in equation.params.items())
        return equation if same else equation.replace(params=params)

    def _param(self, value: Any) -> Any:
        """What an equation is given beside arrays: a program, several, or anything else."""
        if isinstance(value, ClosedJaxpr):
            return self._once(value, self._closed)
        if isinstance(value, Jaxpr):
            return self._once(value, self._jaxpr)
        if not isinstance(value, tuple):
            return value
        parts = [self._param(part) for part in value]
        if all(new is old for new, old in zip(parts, value, strict=True)):
            return value
        # a solver's programs are a named tuple
        return tuple(parts) if type(value) is tuple else type(value)(*parts)


def _convolution(equation: JaxprEqn) -> JaxprEqn:
    """A call of what does the same in the quick kernel's form, or what has it already."""
    numbers, groups = (
        equation.params[name] for name in ("dimension_numbers", "batch_group_count")
    )
    form = _form(len(numbers.lhs_spec))
    if numbers == form and groups == 1:
        return equation

    def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
        x = x.transpose(_order(numbers.lhs_spec, form.lhs_spec))
        kernel = kernel.transpose(_order(numbers.rhs_spec, form.rhs_spec))
        params = {**equation.params, "dimension_numbers": form}
        if groups > 1:  # as in the gradient of a convolution in groups of channels
            x = _groups_to_channels(x, groups)
            params |= {"batch_group_count": 1, "feature_group_count": groups}
        out = conv_general_dilated_p.bind(x, kernel, **params)
        return out.transpose(_order(form.out_spec, numbers.out_spec))

    avals: list[Any] = [variable.aval for variable in equation.invars]
    shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
    with jax.disable_jit(False):
        (call,) = jax.make_jaxpr(jax.jit(convolve))(*shapes).jaxpr.eqns
    return call.replace(
        invars=equation.invars, outvars=equation.outvars, source_info=equation.source_info,
        ctx=equation.ctx,
    )  # fmt: skip


def _groups_to_channels(x: jax.Array, groups: int) -> jax.Array:
    """Groups of the batch of `[b, ..., d]` as groups of channels, `[b / g, ..., g d]`."""
    b, *space, d = x.shape
    x = x.reshape(groups, b // groups, *space, d)  # [g, b / g, ..., d]
    x = x.transpose(*range(1, x.ndim - 1), 0, x.ndim - 1)  # [b / g, ..., g, d]
    return x.reshape(b // groups, *space, groups * d)


def _form(rank: int) -> lax.ConvDimensionNumbers:
    """`[b, ..., d]` and a kernel `[..., d, c]` to `[b, ..., c]`.

    Each is told as the axes of batch and channels, then those of space; of a kernel as the
    axes of what comes out and what goes in, then those of space.
    """
    last, space = rank - 1, tuple(range(1, rank - 1))
    data, kernel = (0, last, *space), (last, last - 1, *range(rank - 2))
    return lax.ConvDimensionNumbers(data, kernel, data)


def _order(source: Sequence[int], target: Sequence[int]) -> tuple[int, ...]:
    """The transposition that brings axes told as `source` to where `target` tells them."""
    order = [0] * len(source)
    for at, wanted in zip(source, target, strict=True):
        order[wanted] = at
    return tuple(order)
