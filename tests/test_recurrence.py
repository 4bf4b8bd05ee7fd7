"""Recurrent cells against the formulas in the papers, and what padding does to a state."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small import mask_of, new_rngs, normal

from harness_models import _recurrence
from harness_models._recurrence import GRUCell, LSTMCell

WIDTH, UNITS = 5, 3


pytestmark = pytest.mark.usefixtures("strict_jax")


def new_cell(kind: type[GRUCell] | type[LSTMCell]) -> GRUCell | LSTMCell:
    cell = kind(WIDTH, UNITS, rngs=new_rngs())
    # biases start at constants: move them, or a forgotten one would not show
    cell.inputs.bias = nnx.Param(normal(cell.inputs.out_features, seed=7))
    return cell


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def plain_gru(h: Any, given: list[np.ndarray], kept: list[np.ndarray]) -> Any:
    r, z = sigmoid(given[0] + kept[0]), sigmoid(given[1] + kept[1])
    return (z * h[0] + (1 - z) * np.tanh(given[2] + r * kept[2]),)


def plain_lstm(state: Any, given: list[np.ndarray], kept: list[np.ndarray]) -> Any:
    i, f, g, o = (a + b for a, b in zip(given, kept, strict=True))
    c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


CELLS = [(GRUCell, plain_gru, 3), (LSTMCell, plain_lstm, 4)]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(("kind", "plain", "gates"), CELLS)
def test_reading_is_the_papers_formula_at_each_position(
    kind: type[GRUCell] | type[LSTMCell], plain: Any, gates: int, backwards: bool
):
    cell, x = new_cell(kind), normal(4, 2, WIDTH)
    assert cell.inputs.bias is not None
    kernel, bias, recurrent = (
        np.asarray(leaf[...], np.float64)
        for leaf in (cell.inputs.kernel, cell.inputs.bias, cell.recurrent.kernel)
    )
    state = tuple(np.zeros((2, UNITS)) for _ in cell.start(2))
    expected = np.zeros((4, 2, UNITS))
    for t in reversed(range(4)) if backwards else range(4):
        given = np.split(np.asarray(x[t]) @ kernel + bias, gates, axis=1)
        state = plain(state, given, np.split(state[0] @ recurrent, gates, axis=1))
        expected[t] = state[0]
    last, states = _recurrence.read(cell, x, None, backwards=backwards)
    np.testing.assert_allclose(states, expected, atol=1e-5)
    np.testing.assert_allclose(last, state[0], atol=1e-5)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", [GRUCell, LSTMCell])
def test_padding_leaves_the_state_as_it_is(
    kind: type[GRUCell] | type[LSTMCell], backwards: bool
):
    cell, x = new_cell(kind), normal(5, 3, WIDTH)
    mask = mask_of("..xxx", "xxxxx", ".....").T  # [t, b]
    last, states = _recurrence.read(cell, x, mask, backwards=backwards)
    alone, behind = _recurrence.read(cell, x[2:, :1], None, backwards=backwards)
    np.testing.assert_allclose(last[:1], alone, atol=1e-6)
    np.testing.assert_allclose(states[2:, :1], behind, atol=1e-6)
    whole, _ = _recurrence.read(cell, x[:, 1:2], None, backwards=backwards)
    np.testing.assert_allclose(last[1:2], whole, atol=1e-6)
    np.testing.assert_array_equal(last[2], np.zeros(UNITS))


@pytest.mark.parametrize(("kind", "gates"), [(GRUCell, 3), (LSTMCell, 4)])
def test_each_gates_product_of_the_state_starts_orthogonal(
    kind: type[GRUCell] | type[LSTMCell], gates: int
):
    kernel = np.asarray(kind(WIDTH, UNITS, rngs=new_rngs()).recurrent.kernel[...])
    assert kernel.shape == (UNITS, gates * UNITS)
    parts = np.split(kernel, gates, axis=1)
    for part in parts:
        np.testing.assert_allclose(part.T @ part, np.eye(UNITS), atol=1e-5)
    assert not np.allclose(parts[0], parts[1], atol=1e-2)


def test_the_forget_gate_starts_open_and_all_other_biases_at_zero():
    bias = LSTMCell(WIDTH, UNITS, rngs=new_rngs()).inputs.bias
    assert bias is not None
    np.testing.assert_array_equal(
        np.split(np.asarray(bias[...]), 4), [[0] * 3, [1] * 3] + 2 * [[0] * 3]
    )
    bias = GRUCell(WIDTH, UNITS, rngs=new_rngs()).inputs.bias
    assert bias is not None
    np.testing.assert_array_equal(bias[...], np.zeros(9))


@pytest.mark.parametrize("kind", [GRUCell, LSTMCell])
def test_half_precision_in_half_precision_out_with_a_state_in_single(
    kind: type[GRUCell] | type[LSTMCell],
):
    cell, x = new_cell(kind), normal(5, 2, WIDTH)
    single, _ = _recurrence.read(cell, x, None)
    cell.set_attributes(dtype=jnp.bfloat16)
    half, states = _recurrence.read(cell, x.astype(jnp.bfloat16), None)
    assert half.dtype == states.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), single, atol=0.05)
    given = cell.inputs(x[0].astype(jnp.bfloat16))
    assert {leaf.dtype for leaf in cell(cell.start(2), given)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("kind", [GRUCell, LSTMCell])
def test_a_row_of_padding_has_a_gradient_of_zeros(kind: type[GRUCell] | type[LSTMCell]):
    cell = new_cell(kind)
    gradient = jax.grad(lambda x: _recurrence.read(cell, x, mask_of("....").T)[0].sum())(
        normal(4, 1, WIDTH)
    )
    np.testing.assert_array_equal(gradient, np.zeros((4, 1, WIDTH)))
