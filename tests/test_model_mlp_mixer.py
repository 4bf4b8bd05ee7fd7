"""MLP-Mixer: its sizes, both perceptrons by the formula, padding, patches, and the variants."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import text_models
from flax import nnx
from small import normal
from text_models import FEATURES, IMAGE, SMALL, UNPADDED, build, evaluate, linear, tokens

import harness
from harness_models import mlp_mixer

PARAM_COUNTS = {
    "": 656_038, "no_token_mixing": 642_942, "no_channel_mixing": 653_862, "deep": 701_854,
    "linear_head": 655_402,
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("strict_jax")


def test_parameter_counts_at_the_tutorials_sizes():
    assert text_models.counts(mlp_mixer) == PARAM_COUNTS


def perceptron(x: np.ndarray, p: dict[str, np.ndarray], name: str) -> np.ndarray:
    return linear(text_models.gelu(linear(x, p, f"{name}.expand")), p, f"{name}.contract")


def expected(p: dict[str, np.ndarray], x: np.ndarray, real: np.ndarray) -> np.ndarray:
    """One block on vectors `[b, t, d]`, as many as the model is built for."""
    for row, keep in zip(x, real, strict=True):
        unit = text_models.layer_norm(row, p, "blocks.0.tokens.norm") * keep[:, None]
        for channel in range(row.shape[1]):
            row[:, channel] += perceptron(
                unit[:, channel], p, "blocks.0.tokens.inner.perceptron"
            )
    unit = text_models.layer_norm(x, p, "blocks.0.channels.norm")
    x = x + perceptron(unit, p, "blocks.0.channels.inner")
    x = text_models.layer_norm(x, p, "norm")
    return text_models.head(text_models.mean_of_tokens(x, real), p)


def test_it_is_the_formula():
    model, rows = build(mlp_mixer), np.asarray(tokens())
    p = text_models.params(model)
    wanted = expected(p, p["embed.token.embedding"][rows], rows != 0)
    np.testing.assert_allclose(evaluate(model, tokens()), wanted, atol=1e-4)


def test_an_image_is_its_patches_row_by_row():
    model = build(mlp_mixer, data=IMAGE)
    p, images = text_models.params(model), np.asarray(normal(2, 8, 8, 1))
    patches = [images[:, i : i + 4, j : j + 4].reshape(2, 16) for i in (0, 4) for j in (0, 4)]
    x = linear(np.stack(patches, axis=1), p, "embed.project")
    wanted = expected(p, x, np.ones((2, 4), bool))
    np.testing.assert_allclose(evaluate(model, jnp.asarray(images)), wanted, atol=1e-4)


def test_an_image_that_patches_do_not_fit_gets_zeros_at_its_right_and_lower_border():
    embed = mlp_mixer.PatchEmbedding((5, 7, 2), 3, patch=4, rngs=nnx.Rngs(0))
    images = normal(2, 5, 7, 2)
    filled = jnp.pad(images, ((0, 0), (0, 3), (0, 1), (0, 0)))
    whole = mlp_mixer.PatchEmbedding((8, 8, 2), 3, patch=4, rngs=nnx.Rngs(0))
    assert embed.length == 4
    np.testing.assert_array_equal(embed(images), whole(filled))


@pytest.mark.parametrize("variant", ["", "no_token_mixing", "no_channel_mixing", "deep"])
def test_padding_changes_no_answer(variant: str):
    text_models.assert_blind_to_padding(mlp_mixer, variant)


def test_data_without_padding_serve_shorter_inputs_too():
    outputs = evaluate(build(mlp_mixer, data=UNPADDED), tokens()[:, 2:])
    assert outputs.shape == (4, 3) and np.isfinite(outputs).all()


@pytest.mark.parametrize("variant", PARAM_COUNTS)
def test_every_parameter_gets_a_finite_gradient(variant: str):
    assert text_models.unreached(build(mlp_mixer, variant), tokens()) == []


def test_every_parameter_gets_a_gradient_from_images():
    x = jax.random.normal(jax.random.key(1), (4, 8, 8, 1))
    assert text_models.unreached(build(mlp_mixer, data=IMAGE), x) == []


def test_only_token_mixing_sees_the_order():
    swapped = jnp.array([[1, 2, 3, 4, 5, 6], [3, 2, 1, 4, 5, 6]], jnp.int32)
    first, second = evaluate(build(mlp_mixer, "no_token_mixing"), swapped)
    np.testing.assert_allclose(first, second, atol=1e-6)
    first, second = evaluate(build(mlp_mixer), swapped)
    assert np.abs(first - second).max() > 1e-4


def test_a_seed_decides_the_parameters():
    text_models.assert_seeded(mlp_mixer)


def test_it_computes_in_bfloat16_what_it_does_in_float32():
    exact = evaluate(build(mlp_mixer), tokens())
    rough = text_models.in_bfloat16(build(mlp_mixer), tokens())
    np.testing.assert_allclose(rough, exact, atol=0.1)


def test_dropout_is_on_in_training_and_off_in_evaluation():
    text_models.assert_drops_in_training(mlp_mixer)


def test_outputs_are_float32_a_class():
    outputs = evaluate(build(mlp_mixer), tokens())
    assert outputs.shape == (4, SMALL.num_classes) and outputs.dtype == np.float32


@pytest.mark.parametrize("shape", [(8, 8), (2, 8, 8, 1)])
def test_images_of_other_ranks_are_not_supported(shape: tuple[int, ...]):
    with pytest.raises(harness.Unsupported, match="height, width, channels"):
        build(mlp_mixer, data=harness.DataSpec(kind="image", shape=shape, num_classes=2))


def test_features_are_not_supported():
    with pytest.raises(harness.Unsupported, match="features"):
        build(mlp_mixer, data=FEATURES)
