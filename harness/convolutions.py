"""Convolutions as XLA's processor back end is quick at them, wherever in a program they are.

Its quick kernel takes arrays with the batch first and the channels last. Others XLA
transposes, but only in the outermost computation: in the body of a loop, where the engine's
steps are, they go to a naive kernel that takes 20 to 70 times as long (jax-ml/jax issue
12868; benchmarks/convolution.py measures it). The convolutions of a gradient are of that
kind whatever the model wrote. So a program's convolutions are rewritten before it is
compiled: transpose, convolve, transpose back. The sums are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, jaxpr_as_fun
from jax.extend.core.primitives import conv_general_dilated_p


def channels_last(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, its convolutions with the batch first and the channels last.

    Args:
      function: of arrays and pytrees of arrays, as `jax.jit` takes it; so is what returns.
        Those in loops, branches and functions within it are rewritten too.
    """

    def rewritten(*args: Any) -> Any:
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        outputs = jaxpr_as_fun(_closed(closed))(*jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shapes), outputs)

    return rewritten


def _closed(closed: ClosedJaxpr) -> ClosedJaxpr:
    jaxpr = _jaxpr(closed.jaxpr)
    return closed if jaxpr is closed.jaxpr else closed.replace(jaxpr=jaxpr)


def _jaxpr(jaxpr: Jaxpr) -> Jaxpr:
    """With other equations; the same object if there is nothing to do."""
    equations = [_equation(equation) for equation in jaxpr.eqns]
    same = all(new is old for new, old in zip(equations, jaxpr.eqns, strict=True))
    return jaxpr if same else jaxpr.replace(eqns=equations)


def _equation(equation: JaxprEqn) -> JaxprEqn:
    if equation.primitive is conv_general_dilated_p:
        return _convolution(equation)
    params = {name: _param(value) for name, value in equation.params.items()}
    same = all(params[name] is value for name, value in equation.params.items())
    return equation if same else equation.replace(params=params)


def _param(value: Any) -> Any:
    """What an equation is given beside arrays: a program, several of them, or anything else."""
    if isinstance(value, ClosedJaxpr):
        return _closed(value)
    if isinstance(value, Jaxpr):
        return _jaxpr(value)
    if isinstance(value, tuple):
        parts = tuple(_param(part) for part in value)
        same = all(new is old for new, old in zip(parts, value, strict=True))
        return value if same else parts
    return value


def _convolution(equation: JaxprEqn) -> JaxprEqn:
    """A call of what does the same, unless it is in form already or in groups of the batch.

    Groups of the batch come from the gradient of a convolution in groups of channels.
    """
    numbers = equation.params["dimension_numbers"]
    form = _form(len(numbers.lhs_spec))
    if numbers == form or equation.params["batch_group_count"] != 1:
        return equation

    def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
        x = x.transpose(_order(numbers.lhs_spec, form.lhs_spec))
        kernel = kernel.transpose(_order(numbers.rhs_spec, form.rhs_spec))
        params = {**equation.params, "dimension_numbers": form}
        out = conv_general_dilated_p.bind(x, kernel, **params)
        return out.transpose(_order(form.out_spec, numbers.out_spec))

    avals: list[Any] = [variable.aval for variable in equation.invars]
    shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
    (call,) = jax.make_jaxpr(jax.jit(convolve))(*shapes).jaxpr.eqns
    return call.replace(
        invars=equation.invars, outvars=equation.outvars, source_info=equation.source_info
    )


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
