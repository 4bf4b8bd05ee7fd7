"""FNet: its sizes, its transform against NumPy's, padding, and what each variant changes."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
import text_models
from small import normal
from text_models import IMAGE, SMALL, UNPADDED, build, evaluate, tokens

import harness
from harness_models import fnet

PARAM_COUNTS = {
    "": 649_342, "no_mixing": 649_278, "no_position": 642_942, "unitary": 649_342,
    "deep": 656_062,
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("strict_jax")


def test_parameter_counts_at_the_tutorials_sizes():
    assert text_models.counts(fnet) == PARAM_COUNTS


def expected(p: dict[str, np.ndarray], rows: np.ndarray, *, scale: float = 1.0) -> np.ndarray:
    """One block on rows as long as the model, by the formula."""
    real = rows != 0
    keep = real[:, :, None]
    x = (p["embed.token.embedding"][rows] + p["position.table.embedding"]) * keep
    mixed = np.fft.fft(np.fft.fft(x, axis=2), axis=1).real * scale
    x = text_models.layer_norm(x + mixed, p, "blocks.0.mixing.norm") * keep
    name = "blocks.0.feedforward"
    hidden = text_models.gelu(text_models.linear(x, p, f"{name}.inner.expand"))
    forward = text_models.linear(hidden, p, f"{name}.inner.contract")
    x = text_models.layer_norm(x + forward, p, f"{name}.norm")
    return text_models.head(text_models.mean_of_tokens(x, real), p)


@pytest.mark.parametrize(("variant", "scale"), [("", 1.0), ("unitary", (6 * 32) ** -0.5)])
def test_it_is_the_formula(variant: str, scale: float):
    model, x = build(fnet, variant), tokens()
    wanted = expected(text_models.params(model), np.asarray(x), scale=scale)
    np.testing.assert_allclose(evaluate(model, x), wanted, atol=1e-4)


def test_the_transform_is_the_sum_over_positions_and_channels():
    x = np.asarray(normal(2, 5, 4))
    t, d = np.arange(5), np.arange(4)
    rows = np.multiply.outer(t, t)[:, None, :, None] / 5  # [t, 1, t, 1]
    angles = rows + np.multiply.outer(d, d)[None, :, None, :] / 4  # [t, d, t, d]
    wanted = np.einsum("tdsc,bsc->btd", np.cos(2 * np.pi * angles), x)
    np.testing.assert_allclose(fnet.fourier(jnp.asarray(x)), wanted, atol=1e-4)
    length = np.linalg.norm(np.fft.fft2(x, norm="ortho"))
    np.testing.assert_allclose(length, np.linalg.norm(x), rtol=1e-5)
    unit = fnet.unitary_fourier(jnp.asarray(x))
    np.testing.assert_allclose(unit, np.fft.fft2(x, norm="ortho").real, atol=1e-5)


def test_the_unitary_transform_is_scaled_before_it_is_rounded():
    x = jnp.full((1, 64, 64), 100, jnp.float16)  # the sum of all is beyond float16
    assert fnet.unitary_fourier(x)[0, 0, 0] == 6400


@pytest.mark.parametrize("variant", ["", "no_mixing", "no_position", "deep"])
def test_padding_changes_no_answer(variant: str):
    text_models.assert_blind_to_padding(fnet, variant)


def test_data_without_padding_serve_shorter_inputs_too():
    outputs = evaluate(build(fnet, data=UNPADDED), tokens()[:, 2:])
    assert outputs.shape == (4, 3) and np.isfinite(outputs).all()


@pytest.mark.parametrize("variant", PARAM_COUNTS)
def test_every_parameter_gets_a_finite_gradient(variant: str):
    assert text_models.unreached(build(fnet, variant), tokens()) == []


def test_only_the_mixing_sees_pairs_of_tokens():
    swapped = jnp.array([[1, 2, 3, 4, 5, 6], [3, 2, 1, 4, 5, 6]], jnp.int32)
    blind = build(fnet, "no_mixing", position=False)
    first, second = evaluate(blind, swapped)
    np.testing.assert_allclose(first, second, atol=1e-6)
    first, second = evaluate(build(fnet, "no_position"), swapped)
    assert np.abs(first - second).max() > 1e-4


def test_a_seed_decides_the_parameters():
    text_models.assert_seeded(fnet)


def test_it_computes_in_bfloat16_what_it_does_in_float32():
    exact = evaluate(build(fnet), tokens())
    rough = text_models.in_bfloat16(build(fnet), tokens())
    np.testing.assert_allclose(rough, exact, atol=0.1)


def test_dropout_is_on_in_training_and_off_in_evaluation():
    text_models.assert_drops_in_training(fnet)


def test_outputs_are_float32_a_class():
    outputs = evaluate(build(fnet), tokens())
    assert outputs.shape == (4, SMALL.num_classes) and outputs.dtype == np.float32


def test_images_are_not_supported():
    with pytest.raises(harness.Unsupported, match="image"):
        build(fnet, data=IMAGE)
