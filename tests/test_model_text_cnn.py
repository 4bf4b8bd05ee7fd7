"""The convolution over words: its sizes, the published forward pass, and padding."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from text_models import IMDB, SMALL, UNPADDED, params, registered, tokens
from text_models import evaluate_eagerly as evaluate

import harness
from harness import program
from harness_models import text_cnn
from harness_models.text_cnn import TextCNN


def count(widths: tuple[int, ...], maps: int) -> int:
    """Vectors, filters of each width with their biases, and the linear layer."""
    filters = sum(width * 32 * maps + maps for width in widths)
    return 20_000 * 32 + filters + 2 * len(widths) * maps + 2


PARAM_COUNTS = {
    "": count((3, 4, 5), 100),
    "one_width": count((3,), 100),
    "words": count((1, 2, 3, 4, 5), 100),
    "few_maps": count((3, 4, 5), 20),
    "no_dropout": count((3, 4, 5), 100),
}
VARIANTS = sorted(PARAM_COUNTS)


pytestmark = pytest.mark.usefixtures("strict_jax")


def build(variant: str = "", data: harness.DataSpec = SMALL, **changes: Any) -> TextCNN:
    fields: dict[str, Any] = {**registered(text_cnn).variants, "": {}}[variant]
    return TextCNN(data, **{**fields, **changes}, rngs=nnx.Rngs(jax.random.key(0)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameter_counts_at_the_sizes_of_imdb(variant: str):
    shapes = nnx.eval_shape(lambda: nnx.state(build(variant, IMDB), nnx.Param))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == PARAM_COUNTS[variant]


def test_the_base_model_has_the_papers_filters():
    assert PARAM_COUNTS[""] == 679_302
    assert dict(registered(text_cnn).defaults) == {
        "embed_dim": 32, "maps": 100, "min_width": 3, "max_width": 5, "dropout": 0.5,
    }  # fmt: skip


def test_the_variants_are_those_counted_and_each_changes_one_field():
    entry = registered(text_cnn)
    assert sorted(entry.variants) == [name for name in VARIANTS if name]
    for changes in entry.variants.values():
        ((field, value),) = changes.items()
        assert value != entry.defaults[field]


@pytest.mark.parametrize("data", [SMALL, UNPADDED], ids=["padded", "unpadded"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_outputs_are_finite_float32_a_class(variant: str, data: harness.DataSpec):
    outputs = evaluate(build(variant, data), tokens())
    assert outputs.shape == (4, 3) and outputs.dtype == np.float32
    assert np.isfinite(outputs).all()


def published(p: dict[str, np.ndarray], rows: np.ndarray, *, pad: int | None) -> np.ndarray:
    """A filter at a time: its relu at each window that ends at a word, then the maximum."""
    outputs = []
    for row in rows:
        words = [p["embed.token.embedding"][word] for word in row if word != pad]
        maxima = []
        for place, width in enumerate((2, 3)):
            padded = [np.zeros(4)] * (width - 1) + words
            fired = [
                np.maximum(
                    np.tensordot(padded[i : i + width], p[f"filters.{place}.kernel"], 2)
                    + p[f"filters.{place}.bias"],
                    0,
                )
                for i in range(len(words))
            ]
            maxima.append(np.max(fired, axis=0))
        outputs.append(np.concatenate(maxima) @ p["head.out.kernel"] + p["head.out.bias"])
    return np.array(outputs)


@pytest.mark.parametrize("data", [SMALL, UNPADDED], ids=["padded", "unpadded"])
def test_it_is_the_published_architecture(data: harness.DataSpec):
    model = build("", data, embed_dim=4, maps=5, min_width=2, max_width=3)
    noise = np.random.default_rng(0)
    # biases start at zero: move all, or a forgotten one would not show
    nnx.update(
        model,
        jax.tree.map(
            lambda leaf: leaf + noise.normal(0, 0.1, leaf.shape).astype(np.float32),
            nnx.state(model, nnx.Param),
        ),
    )
    some = tokens()[:3]
    expected = published(params(model), np.asarray(some), pad=data.pad_id)
    np.testing.assert_allclose(evaluate(model, some), expected, atol=1e-5)


def gradients(model: TextCNN, x: jax.Array, labels: jax.Array) -> nnx.State:
    def loss(model: TextCNN) -> jax.Array:
        log_p = jax.nn.log_softmax(model(x))
        return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean()

    return nnx.grad(loss, argnums=nnx.DiffState(0, nnx.Param))(model)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_parameter_gets_a_finite_gradient(variant: str):
    model = build(variant)
    model.eval()
    grads = gradients(model, tokens(), jnp.array([0, 1, 2, 0], jnp.int32))
    for path, leaf in nnx.to_flat_state(grads):
        assert np.isfinite(leaf[...]).all(), path
        assert np.abs(leaf[...]).max() > 1e-9, path


def test_outputs_do_not_depend_on_what_padding_looks_like():
    model = build()
    before = evaluate(model, tokens())
    table = model.embed.token.embedding
    table[...] = table[...].at[0].add(3.0)
    np.testing.assert_array_equal(before, evaluate(model, tokens()))
    unpadded = build(data=UNPADDED)
    assert not np.allclose(evaluate(unpadded, tokens()), before, atol=1e-4)


def test_the_amount_of_padding_changes_nothing():
    model = build()
    longer = jnp.pad(tokens(), ((0, 0), (5, 0)))  # [b, t + 5]
    np.testing.assert_allclose(evaluate(model, longer), evaluate(model, tokens()), atol=1e-6)
    shorter = tokens()[:1, 4:]  # two words, fewer than any window has
    np.testing.assert_allclose(
        evaluate(model, shorter), evaluate(model, tokens()[:1]), atol=1e-6
    )


def test_it_computes_in_half_precision():
    model = build()
    single = evaluate(model, tokens())
    split, params, rest = program.split_model(model, dtype=jnp.bfloat16)
    half = split.eval_outputs(params, rest, tokens())
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), single, atol=0.05)


def test_dropout_is_on_in_training_and_off_in_evaluation():
    model = build()
    np.testing.assert_array_equal(evaluate(model, tokens()), evaluate(model, tokens()))
    model.train()
    assert not np.array_equal(model(tokens()), model(tokens()))


def test_a_seed_decides_the_parameters():
    first, again = params(build()), params(build())
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
    other = params(TextCNN(SMALL, rngs=nnx.Rngs(jax.random.key(1))))
    name = "embed.token.embedding"
    assert not np.array_equal(first[name], other[name])


def test_widths_out_of_order_are_refused_in_one_line():
    with pytest.raises(harness.UsageError, match="min_width=4 with max_width=3") as caught:
        build(min_width=4, max_width=3)
    assert "\n" not in str(caught.value)


def test_images_are_not_supported():
    images = harness.DataSpec(kind="image", shape=(8, 8, 1), num_classes=3)
    with pytest.raises(harness.Unsupported, match="image"):
        build(data=images)
