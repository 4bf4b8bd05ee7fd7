"""The selective state space: its sizes, its state step by step, padding, and the variants."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
import text_models
from small import new_rngs, normal
from text_models import IMAGE, SMALL, UNPADDED, build, evaluate, linear, tokens

import harness
from harness_models import selective
from harness_models.selective import CausalConv, StateSpace

PARAM_COUNTS = {
    "": 644_638, "not_selective": 644_262, "no_conv": 644_478, "no_gate": 643_614,
    "wide": 648_446, "large_state": 645_790, "deep": 656_254,
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("strict_jax")


def test_parameter_counts_at_the_tutorials_sizes():
    assert text_models.counts(selective) == PARAM_COUNTS


def softplus(x: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(x))


def stepped(p: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """The state space's outputs `[b, t, e]`, position by position."""
    a = -np.exp(p["log_a"])  # [e, n]
    y, states = np.zeros_like(x), np.zeros((x.shape[0], *a.shape))
    for at in range(x.shape[1]):
        now = x[:, at]
        if "spread" in p:
            rank, n = p["spread"].shape[0], a.shape[1]
            low, b, c = np.split(linear(now, p, "select"), [rank, rank + n], axis=1)
            delta = softplus(low @ p["spread"] + p["step"])  # [b, e]
        else:
            b, c = (np.tile(p[name], (len(now), 1)) for name in "bc")
            delta = np.tile(softplus(p["step"]), (len(now), 1))
        states = np.exp(delta[:, :, None] * a) * states
        states += delta[:, :, None] * b[:, None, :] * now[:, :, None]
        y[:, at] = np.einsum("ben,bn->be", states, c) + p["d"] * now
    return y


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_the_state_space_is_the_recurrence_step_by_step(rank: int):
    space = StateSpace(5, 3, rank=rank, rngs=new_rngs())
    x = 3 * normal(2, 9, 5)
    wanted = stepped(text_models.params(space), np.asarray(x))
    np.testing.assert_allclose(text_models.call(space, x), wanted, rtol=1e-5, atol=1e-4)


def convolved(p: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Each channel's own filter, position by position: `[b, t, e]` to `[b, t, e]`."""
    y = np.zeros_like(x)
    size = len(p["kernel"])
    for at in range(x.shape[1]):
        for back in range(min(size, at + 1)):
            y[:, at] += p["kernel"][size - 1 - back] * x[:, at - back]
    return y + p["bias"]


@pytest.mark.parametrize("size", [1, 3, 12])
def test_the_convolution_sees_a_position_and_those_before_it(size: int):
    conv = CausalConv(5, size, rngs=new_rngs())
    conv.bias[...] = normal(5, seed=3)
    x = normal(2, 9, 5)
    wanted = convolved(text_models.params(conv), np.asarray(x))
    np.testing.assert_allclose(conv(x), wanted, atol=1e-5)


def under(p: dict[str, np.ndarray], start: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(start): leaf for name, leaf in p.items() if start in name}


def test_the_model_is_the_formula():
    model, rows = build(selective), np.asarray(tokens())
    model.blocks[0].inner.conv.bias[...] = normal(32, seed=3)  # zeros would hide the masks
    p, real = text_models.params(model), rows != 0
    keep, start = real[:, :, None], "blocks.0.inner."
    x = p["embed.token.embedding"][rows]
    unit = text_models.layer_norm(x, p, "blocks.0.norm")
    inner = convolved(under(p, f"{start}conv."), linear(unit, p, f"{start}enter") * keep)
    y = stepped(under(p, f"{start}space."), text_models.silu(inner) * keep)
    y = y * text_models.silu(linear(unit, p, f"{start}gate"))
    x = text_models.layer_norm(x + linear(y, p, f"{start}leave"), p, "norm")
    wanted = text_models.head(text_models.mean_of_tokens(x, real), p)
    np.testing.assert_allclose(evaluate(model, tokens()), wanted, atol=1e-4)


def test_steps_start_between_a_thousandth_and_a_tenth_and_decays_at_whole_numbers():
    p = text_models.params(StateSpace(4000, 3, rank=2, rngs=new_rngs()))
    steps = softplus(p["step"].astype(float))
    assert 0.99e-3 < steps.min() < 1.1e-3 and 0.09 < steps.max() < 0.101
    assert abs(np.log10(steps).mean() + 2) < 0.05  # as many in each decade
    np.testing.assert_allclose(
        np.exp(p["log_a"]), np.tile([1.0, 2.0, 3.0], (4000, 1)), rtol=1e-5
    )


def test_a_large_step_forgets_and_a_small_one_passes_over():
    space = StateSpace(1, 1, rank=0, rngs=new_rngs())
    space.d[...] = jnp.zeros((1,))
    x = jnp.array([[[1.0], [0.0]]])
    left = []
    for step in (-20.0, 0.0, 20.0):
        space.step[...] = jnp.array([step])
        first, then = np.asarray(space(x))[0, :, 0]
        left.append(then / first)
    np.testing.assert_allclose(left, [1.0, 0.5, 0.0], atol=1e-6)


@pytest.mark.parametrize("variant", ["", "not_selective", "no_conv", "no_gate", "deep"])
def test_padding_changes_no_answer(variant: str):
    text_models.assert_blind_to_padding(selective, variant)


def test_a_trained_convolution_bias_drives_no_state_from_padding():
    model = build(selective, data=text_models.LONGER)
    model.blocks[0].inner.conv.bias[...] = jnp.full((32,), 2.0)
    longer = jnp.pad(tokens(), ((0, 0), (5, 0)))
    np.testing.assert_allclose(evaluate(model, longer), evaluate(model, tokens()), atol=1e-5)


@pytest.mark.parametrize("variant", PARAM_COUNTS)
def test_every_parameter_gets_a_finite_gradient(variant: str):
    assert text_models.unreached(build(selective, variant), tokens()) == []


def test_data_without_padding_serve_shorter_inputs_too():
    outputs = evaluate(build(selective, data=UNPADDED), tokens()[:, 2:])
    assert outputs.shape == (4, 3) and np.isfinite(outputs).all()


def test_a_seed_decides_the_parameters():
    text_models.assert_seeded(selective)


@pytest.mark.parametrize("variant", PARAM_COUNTS)
def test_it_computes_in_bfloat16_what_it_does_in_float32(variant: str):
    exact = evaluate(build(selective, variant), tokens())
    rough = text_models.in_bfloat16(build(selective, variant), tokens())
    np.testing.assert_allclose(rough, exact, atol=0.1)


def test_dropout_is_on_in_training_and_off_in_evaluation():
    text_models.assert_drops_in_training(selective)


def test_outputs_are_float32_a_class():
    outputs = evaluate(build(selective), tokens())
    assert outputs.shape == (4, SMALL.num_classes) and outputs.dtype == np.float32


def test_images_are_not_supported():
    with pytest.raises(harness.Unsupported, match="image"):
        build(selective, data=IMAGE)
