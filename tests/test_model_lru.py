"""The linear recurrent unit: its sizes, its state step by step, its start, and the variants."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import text_models
from flax import nnx
from small import new_rngs, normal
from text_models import IMAGE, SMALL, UNPADDED, build, evaluate, linear, tokens

import harness
from harness_models import lru
from harness_models.lru import RecurrentUnit

PARAM_COUNTS = {
    "": 647_166, "bidirectional": 649_214, "no_normalisation": 647_134, "no_gate": 645_054,
    "long_memory": 647_166, "slow_phase": 647_166, "deep": 666_366,
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("strict_jax")


def test_parameter_counts_at_the_tutorials_sizes():
    assert text_models.counts(lru) == PARAM_COUNTS


def unit(
    width: int = 4, states: int = 3, *, r_min: float = 0.2, r_max: float = 0.95,
    max_phase: float = 2 * math.pi, normalise: bool = True, bidirectional: bool = False,
) -> RecurrentUnit:  # fmt: skip
    return RecurrentUnit(
        width, states, r_min=r_min, r_max=r_max, max_phase=max_phase, normalise=normalise,
        bidirectional=bidirectional, rngs=new_rngs(),
    )  # fmt: skip


def decays(p: dict[str, np.ndarray]) -> np.ndarray:
    return np.exp(-np.exp(p["nu"]) + 1j * np.exp(p["theta"]))


def stepped(p: dict[str, np.ndarray], u: np.ndarray) -> np.ndarray:
    """The unit's outputs `[b, t, d]`, position by position, both directions if C is for two."""
    b, c = p["b_real"] + 1j * p["b_imag"], p["c_real"] + 1j * p["c_imag"]
    driven = u @ b * np.exp(p["gamma"] if "gamma" in p else 0.0)
    ways = [range(u.shape[1]), range(u.shape[1])[::-1]][: c.shape[0] // b.shape[1]]
    states = np.zeros((*u.shape[:2], c.shape[0]), complex)
    for way, order in enumerate(ways):
        state, own = 0, np.s_[way * b.shape[1] : (way + 1) * b.shape[1]]
        for at in order:
            state = decays(p) * state + driven[:, at]
            states[:, at, own] = state
    return (states @ c).real + u * p["d"]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("normalise", [False, True])
def test_the_unit_is_the_recurrence_step_by_step(normalise: bool, bidirectional: bool):
    layer = unit(normalise=normalise, bidirectional=bidirectional)
    u = normal(2, 9, 4)
    wanted = stepped(text_models.params(layer), np.asarray(u))
    np.testing.assert_allclose(text_models.call(layer, u), wanted, atol=1e-4)


def test_the_model_is_the_formula():
    model, rows = build(lru), np.asarray(tokens())
    p, real = text_models.params(model), rows != 0
    x = p["embed.token.embedding"][rows]
    start = "blocks.0.inner.unit."
    own = {name.removeprefix(start): leaf for name, leaf in p.items() if start in name}
    y = stepped(own, text_models.layer_norm(x, p, "blocks.0.norm") * real[:, :, None])
    y = text_models.gelu(y)
    value, gate = (linear(y, p, f"blocks.0.inner.{name}") for name in ("value", "gate"))
    x = text_models.layer_norm(x + value / (1 + np.exp(-gate)), p, "norm")
    wanted = text_models.head(text_models.mean_of_tokens(x, real), p)
    np.testing.assert_allclose(evaluate(model, tokens()), wanted, atol=1e-4)


def test_it_starts_on_the_ring_with_as_much_of_it_at_each_radius_as_its_area():
    layer = unit(states=4000, r_min=0.5, r_max=0.9, max_phase=1.0)
    p = text_models.params(layer)
    modulus, phase = np.abs(decays(p)), np.angle(decays(p))
    assert 0.5 <= modulus.min() and modulus.max() <= 0.9
    assert abs((modulus**2).mean() - (0.25 + 0.81) / 2) < 0.01
    assert 0 < phase.min() and phase.max() <= 1.0 and abs(phase.mean() - 0.5) < 0.02
    np.testing.assert_allclose(np.exp(p["gamma"]), np.sqrt(1 - modulus**2), rtol=1e-4)


@nnx.jit
def size_of_states(layer: RecurrentUnit, u: jax.Array) -> jax.Array:
    """The mean square of the states, when they no longer grow."""
    return (jnp.abs(layer._states(u)[:, 200:]) ** 2).mean()


def test_normalised_states_are_as_large_as_what_drives_them():
    u = normal(4, 600, 16)
    layer = unit(width=16, states=200, r_min=0.5, r_max=0.99)
    assert 0.8 < size_of_states(layer, u) < 1.2
    without = unit(width=16, states=200, r_min=0.5, r_max=0.99, normalise=False)
    assert size_of_states(without, u) > 2


@pytest.mark.parametrize("ring", [(0.0, 1.0), (0.0, 1e-3), (0.999, 1.0)])
def test_extreme_rings_have_finite_answers_and_gradients(ring: tuple[float, float]):
    model = build(lru, r_min=ring[0], r_max=ring[1])
    found = text_models.gradients(model, tokens())
    assert all(np.isfinite(leaf).all() for leaf in found.values())
    assert np.isfinite(evaluate(model, tokens())).all()


@pytest.mark.parametrize("variant", ["", "bidirectional", "no_gate", "deep"])
def test_padding_changes_no_answer(variant: str):
    text_models.assert_blind_to_padding(lru, variant)


@pytest.mark.parametrize("variant", PARAM_COUNTS)
def test_every_parameter_gets_a_finite_gradient(variant: str):
    assert text_models.unreached(build(lru, variant), tokens()) == []


def test_only_both_directions_let_a_position_see_what_follows():
    u = normal(1, 6, 4)
    changed = u.at[:, -1].add(1.0)
    for both in (False, True):
        layer = unit(bidirectional=both)
        before, after = (np.asarray(text_models.call(layer, x)) for x in (u, changed))
        assert (not np.array_equal(before[:, :-1], after[:, :-1])) is both


def test_data_without_padding_serve_shorter_inputs_too():
    outputs = evaluate(build(lru, data=UNPADDED), tokens()[:, 2:])
    assert outputs.shape == (4, 3) and np.isfinite(outputs).all()


def test_a_seed_decides_the_parameters():
    text_models.assert_seeded(lru)


@pytest.mark.parametrize("variant", PARAM_COUNTS)
def test_it_computes_in_bfloat16_what_it_does_in_float32(variant: str):
    exact = evaluate(build(lru, variant), tokens())
    rough = text_models.in_bfloat16(build(lru, variant), tokens())
    np.testing.assert_allclose(rough, exact, atol=0.1)


def test_dropout_is_on_in_training_and_off_in_evaluation():
    text_models.assert_drops_in_training(lru)


def test_outputs_are_float32_a_class():
    outputs = evaluate(build(lru), tokens())
    assert outputs.shape == (4, SMALL.num_classes) and outputs.dtype == np.float32


def test_a_ring_without_width_is_refused_in_one_line():
    with pytest.raises(harness.UsageError, match="r_min=0.9 is not below r_max=0.5") as caught:
        build(lru, r_min=0.9, r_max=0.5)
    assert "\n" not in str(caught.value)


def test_images_are_not_supported():
    with pytest.raises(harness.Unsupported, match="image"):
        build(lru, data=IMAGE)
