"""Convolutions rewritten: the same numbers, and none left that the quick kernel refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import ClosedJaxpr, Jaxpr
from small import normal

from harness import program
from harness.convolutions import channels_last

pytestmark = pytest.mark.usefixtures("strict_jax")


def within(value: Any) -> Iterator[Any]:
    """All equations of a program, those of the programs within it too."""
    if isinstance(value, ClosedJaxpr):
        value = value.jaxpr
    if isinstance(value, Jaxpr):
        for equation in value.eqns:
            yield equation
            yield from within(tuple(equation.params.values()))
    if isinstance(value, tuple):
        for part in value:
            yield from within(part)


def slow(function: Callable[..., Any], *args: Any) -> int:
    """How many convolutions have batch and channels elsewhere, or groups of the batch."""
    found = [
        (equation.params["dimension_numbers"], equation.params["batch_group_count"])
        for equation in within(jax.make_jaxpr(function)(*args))
        if equation.primitive.name == "conv_general_dilated"
    ]
    assert found  # else it would say nothing
    last_of = {2: (0, 1), 3: (0, 2, 1), 4: (0, 3, 1, 2), 5: (0, 4, 1, 2, 3)}
    kernel_of = {2: (1, 0), 3: (2, 1, 0), 4: (3, 2, 0, 1), 5: (4, 3, 0, 1, 2)}
    return sum(
        groups != 1
        or (numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec)
        != (last_of[rank], kernel_of[rank], last_of[rank])
        for numbers, groups in found
        for rank in [len(numbers.lhs_spec)]
    )


def gradients(layouts: tuple[str, str, str], **options: Any) -> Callable[..., Any]:
    """The function of an image and a kernel that has a loss and both gradients."""

    def loss(x: jax.Array, kernel: jax.Array) -> jax.Array:
        out = lax.conv_general_dilated(x, kernel, dimension_numbers=layouts, **options)
        return (out * jnp.sin(out)).mean()

    return jax.value_and_grad(loss, argnums=(0, 1))


LAST = ("NHWC", "HWIO", "NHWC")
CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], Any, dict[str, Any]]] = {
    "plain": ((4, 6, 5, 3), (3, 2, 3, 7), LAST, {"window_strides": (1, 1), "padding": "SAME"}),
    "strides": (
        (4, 6, 5, 3), (3, 2, 3, 7), LAST, {"window_strides": (2, 3), "padding": "VALID"},
    ),
    "dilated": (
        (4, 9, 8, 3), (3, 2, 3, 7), LAST,
        {"window_strides": (1, 1), "padding": ((2, 1), (0, 3)), "rhs_dilation": (2, 3)},
    ),
    "channels first": (
        (4, 3, 6, 5), (7, 3, 3, 2), ("NCHW", "OIHW", "NCHW"),
        {"window_strides": (1, 2), "padding": "SAME"},
    ),
    "each its own order": (
        (6, 4, 3, 5), (7, 2, 3, 3), ("HNCW", "OWIH", "CWNH"),
        {"window_strides": (1, 2), "padding": ((1, 0), (0, 1))},
    ),
    "groups of channels": (
        (4, 6, 5, 4), (3, 2, 2, 8), LAST,
        {"window_strides": (1, 1), "padding": "SAME", "feature_group_count": 2},
    ),
    "a group a channel": (
        (4, 6, 5, 4), (3, 2, 1, 8), LAST,
        {"window_strides": (1, 2), "padding": "SAME", "feature_group_count": 4},
    ),
    "groups of the batch": (
        (6, 5, 4, 3), (2, 3, 3, 8), LAST,
        {"window_strides": (1, 1), "padding": "VALID", "batch_group_count": 2},
    ),
    "groups of the batch behind": (
        (5, 4, 3, 6), (8, 3, 2, 3), ("HWCN", "OIHW", "CNHW"),
        {"window_strides": (1, 2), "padding": "SAME", "batch_group_count": 2},
    ),
    "no axis": ((3, 5), (3, 4), ("CN", "IO", "NC"), {"window_strides": (), "padding": ()}),
    "one axis": (
        (4, 9, 3), (4, 3, 7), ("NWC", "WIO", "NWC"),
        {"window_strides": (1,), "padding": ((3, 0),)},
    ),
    "three axes": (
        (2, 4, 5, 3, 2), (2, 3, 2, 2, 3), ("NDHWC", "DHWIO", "NDHWC"),
        {"window_strides": (1, 2, 1), "padding": "SAME"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_loss_and_its_gradients_are_what_they_were(case: str):
    image, kernel, layouts, options = CASES[case]
    function, args = gradients(layouts, **options), (normal(*image), normal(*kernel))
    found = jax.jit(channels_last(function))(*args)
    wanted = jax.jit(function)(*args)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, wanted
    )
    assert slow(function, *args) > 0
    assert slow(channels_last(function), *args) == 0


def wrapped(function: Callable[..., Any], how: str) -> Callable[..., Any]:
    """The function within another piece of a program, called once or more."""

    def looped(x: jax.Array, kernel: jax.Array) -> Any:
        def body(i: jax.Array, carry: jax.Array) -> jax.Array:
            return carry - 0.1 * function(x, carry)[1][1]

        return lax.fori_loop(0, x.shape[0], body, kernel)

    def scanned(x: jax.Array, kernel: jax.Array) -> Any:
        return lax.scan(lambda k, _: (k - function(x, k)[1][1], k.sum()), kernel, length=2)

    def branched(x: jax.Array, kernel: jax.Array) -> Any:
        return lax.cond(x.sum() > 0, lambda: function(x, kernel)[0], lambda: jnp.float32(0))

    def mapped(x: jax.Array, kernel: jax.Array) -> Any:
        return jax.vmap(function, in_axes=(None, 0))(x, jnp.stack([kernel, 2 * kernel]))

    return {
        "loop": looped, "scan": scanned, "branch": branched, "map": mapped,
        "function": jax.jit(function), "kept anew": jax.checkpoint(function),
    }[how]  # fmt: skip


@pytest.mark.parametrize("how", ["loop", "scan", "branch", "map", "function", "kept anew"])
def test_convolutions_are_found_within(how: str):
    image, kernel, layouts, options = CASES["channels first"]
    function = wrapped(gradients(layouts, **options), how)
    args = normal(*image), normal(*kernel)
    found, wanted = jax.jit(channels_last(function))(*args), jax.jit(function)(*args)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, wanted
    )
    assert slow(function, *args) > 0
    assert slow(channels_last(function), *args) == 0


def test_a_function_without_convolutions_is_the_same_program():
    def function(x: jax.Array, scale: dict[str, jax.Array]) -> dict[str, jax.Array]:
        body = lambda i, y: jnp.tanh(y @ scale["a"])  # noqa: E731
        return {"y": lax.fori_loop(0, 3, body, x)}

    args = normal(4, 4), {"a": normal(4, 4)}
    texts = [jax.jit(f).lower(*args).as_text() for f in (function, channels_last(function))]
    assert texts[0] == texts[1]


def test_functions_that_a_program_shares_stay_shared():
    image, kernel, layouts, options = CASES["plain"]

    @jax.jit
    def shared(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(
            x.transpose(3, 1, 2, 0), kernel, dimension_numbers=("CHWN", *layouts[1:]), **options
        )

    nested = shared
    for _ in range(6):  # each calls the one before twice
        nested = jax.jit(lambda x, k, inner=nested: inner(x, k) + inner(x, k))
    args = normal(*image), normal(*kernel)
    text = jax.jit(channels_last(nested)).lower(*args).as_text()
    assert text.count("func.func") < 12  # copies would be 2 ** 6


def test_a_named_tuple_of_programs_stays_one():
    kernel = jnp.ones((1, 3, 3))  # channels in front: [o, i, 3]

    def apply(v: jax.Array) -> jax.Array:
        x = jnp.stack([v, v, v])[None]  # [1, 3, t]
        out = lax.conv_general_dilated(x, kernel, (1,), "SAME")  # [1, 1, t]
        return 4 * v + 0.1 * out[0, 0]

    def solve(b: jax.Array) -> jax.Array:
        return jax.scipy.sparse.linalg.cg(apply, b, maxiter=20)[0]

    b = normal(8)
    np.testing.assert_allclose(apply(jax.jit(channels_last(solve))(b)), b, atol=1e-4)


def test_what_is_mapped_over_devices_is_left_as_it_is():
    image, kernel, layouts, options = CASES["plain"]
    mesh = jax.make_mesh((1,), ("devices",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec
    function = gradients(layouts, **options)

    def mean(x: jax.Array, kernel: jax.Array) -> Any:
        return jax.tree.map(lambda a: lax.pmean(a, "devices"), function(x, kernel)[1][1])

    mapped = jax.shard_map(
        mean, mesh=mesh, in_specs=(spec("devices"), spec()), out_specs=spec()
    )
    args = normal(*image), normal(*kernel)
    found = program.compile_ahead(mapped, *args, donate=()).call(*args)
    np.testing.assert_allclose(found, jax.jit(function)(*args)[1][1], rtol=1e-4, atol=1e-5)


def test_what_was_said_around_a_convolution_stays_said():
    image, kernel, layouts, options = CASES["channels first"]

    def function(x: jax.Array, kernel: jax.Array) -> jax.Array:
        with set_xla_metadata(tag="kept"):
            return lax.conv_general_dilated(x, kernel, dimension_numbers=layouts, **options)

    args = normal(*image), normal(*kernel)
    assert 'tag = "kept"' in jax.jit(channels_last(function)).lower(*args).as_text()


def test_it_works_where_nothing_is_compiled():
    image, kernel, layouts, options = CASES["channels first"]
    function, args = gradients(layouts, **options), (normal(*image), normal(*kernel))
    with jax.disable_jit():
        found = channels_last(function)(*args)
    np.testing.assert_allclose(found[0], function(*args)[0], rtol=1e-5)


def test_half_precision_accumulates_as_it_did():
    image, kernel, layouts, _ = CASES["channels first"]
    x, k = normal(*image).astype(jnp.bfloat16), normal(*kernel).astype(jnp.bfloat16)

    def function(x: jax.Array, k: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(
            x, k, (1, 1), "SAME", dimension_numbers=layouts, preferred_element_type=jnp.float32
        )

    found = jax.jit(channels_last(function))(x, k)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, jax.jit(function)(x, k), rtol=1e-5, atol=1e-5)


def test_pytrees_go_in_and_come_out():
    def function(x: jax.Array, pair: dict[str, Any]) -> tuple[Any, ...]:
        return pair["kernel"], {"out": nnx.relu(x) + pair["bias"][0]}, None

    kernel, bias = normal(2), normal(3)
    out = channels_last(function)(normal(3), {"kernel": kernel, "bias": [bias]})
    assert out[2] is None
    np.testing.assert_array_equal(out[0], kernel)
    np.testing.assert_array_equal(out[1]["out"], np.maximum(normal(3), 0) + bias)


def test_what_is_compiled_ahead_has_no_slow_ones():
    image, kernel, layouts, options = CASES["plain"]
    function, args = gradients(layouts, **options), (normal(*image), normal(*kernel))
    text = program.compile_ahead(function, *args, donate=()).lowered.as_text()
    assert (
        text.count("[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]") == 3 == text.count("dim_numbers")
    )
