"""The transformer: its sizes, the published forward pass, and what each variant changes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import text_models
from flax import nnx
from text_models import IMDB, SMALL, UNPADDED, params, registered, tokens
from text_models import evaluate_eagerly as evaluate

import harness
from harness.specs import GivesProbabilities
from harness_models import transformer
from harness_models.transformer import Transformer

PARAM_COUNTS = {
    "": 653_566,
    "tutorial": 653_566,
    "no_position": 653_566 - 200 * 32,
    "no_attention": 653_566 - 4 * (32 * 32 + 32) - 2 * 32,
    "no_feedforward": 653_566 - 2 * (32 * 32 + 32) - 2 * 32,
    "one_head": 653_566,
    "masked": 653_566,
    "max_pool": 653_566,
    "cls_pool": 653_566 + 32,
    "attention_pool": 653_566 + 32 * 32 + 2 * 32,
    "deep": 653_566 + 3 * 6_464,
    "pre_norm": 653_566 + 2 * 32,
    "gelu": 653_566,
    "swiglu": 653_566 + 32 * 32 + 32,
    "sinusoidal": 653_566 - 200 * 32,
    "rotary": 653_566 - 200 * 32,
    "alibi": 653_566 - 200 * 32,
    "local": 653_566,
}
VARIANTS = sorted(PARAM_COUNTS)


pytestmark = pytest.mark.usefixtures("strict_jax")


def build(variant: str = "", data: harness.DataSpec = SMALL, **changes: Any) -> Transformer:
    if variant == "local":
        changes = {"window": 1, **changes}  # the small texts would fit into the one it has
    return text_models.build(transformer, variant, data, **changes)


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameter_counts_at_the_tutorials_sizes(variant: str):
    shapes = nnx.eval_shape(lambda: nnx.state(build(variant, IMDB), nnx.Param))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == PARAM_COUNTS[variant]


def test_the_variants_are_those_counted_and_each_changes_one_field():
    entry = registered(transformer)
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


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name])
def test_a_variant_changes_the_parameters_there_are_or_the_outputs(variant: str):
    base, model = build(), build(variant)
    shapes = [{name: value.shape for name, value in params(m).items()} for m in (base, model)]
    # of equal shapes, equal seeds make equal parameters: only the computation can differ
    assert shapes[0] != shapes[1] or not np.allclose(
        evaluate(base, tokens()), evaluate(model, tokens()), atol=1e-4
    )


def gradients(model: Transformer, x: jax.Array, labels: jax.Array) -> nnx.State:
    def loss(model: Transformer) -> jax.Array:
        log_p = jax.nn.log_softmax(model(x))
        return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean()

    return nnx.grad(loss, argnums=nnx.DiffState(0, nnx.Param))(model)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_parameter_gets_a_finite_gradient(variant: str):
    model = build(variant)
    model.eval()  # which parameters take part is the same, and dropout is slow to compile
    grads = gradients(model, tokens(), jnp.array([0, 1, 2, 0], jnp.int32))
    for path, leaf in nnx.to_flat_state(grads):
        name = ".".join(map(str, path))
        assert np.isfinite(leaf[...]).all(), name
        # a constant added to every key shifts all scores of a query alike: no gradient
        if not name.endswith("key.bias"):
            assert np.abs(leaf[...]).max() > 1e-9, name


def published(p: dict[str, np.ndarray], x: np.ndarray, *, num_heads: int) -> np.ndarray:
    """The tutorial's forward pass without dropout, in float64: tokens `[b, t]` to `[b, c]`."""

    def dense(name: str, x: np.ndarray) -> np.ndarray:
        return x @ p[f"{name}.kernel"] + p[f"{name}.bias"]

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
        return scaled * p[f"{name}.scale"] + p[f"{name}.bias"]

    def softmax(x: np.ndarray) -> np.ndarray:
        return np.exp(x) / np.exp(x).sum(-1, keepdims=True)

    p = {name: value.astype(np.float64) for name, value in p.items()}
    attention, feedforward = "blocks.0.attention", "blocks.0.feedforward"
    x = p["embed.token.embedding"][x] + p["embed.position.embedding"]
    q, k, v = (
        np.stack(np.split(dense(f"{attention}.inner.{name}", x), num_heads, axis=-1))
        for name in ("query", "key", "value")
    )  # each [h, b, t, d/h]
    weights = softmax(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]))
    mixed = np.concatenate(list(weights @ v), axis=-1)  # [b, t, d]
    x = norm(f"{attention}.norm", x + dense(f"{attention}.inner.out", mixed))
    hidden = np.maximum(dense(f"{feedforward}.inner.expand", x), 0)
    x = norm(f"{feedforward}.norm", x + dense(f"{feedforward}.inner.contract", hidden))
    units = np.maximum(dense("head.hidden", x.mean(axis=1)), 0)
    return softmax(dense("head.out", units))


def test_the_tutorial_variant_is_the_published_architecture():
    model = build("tutorial")
    noise = np.random.default_rng(0)
    # biases start at zero and scales at one: move all, or a forgotten one would not show
    nnx.update(
        model,
        jax.tree.map(
            lambda leaf: leaf + noise.normal(0, 0.1, leaf.shape).astype(np.float32),
            nnx.state(model, nnx.Param),
        ),
    )
    expected = published(params(model), np.asarray(tokens()), num_heads=2)
    np.testing.assert_allclose(evaluate(model, tokens()), expected, atol=1e-5)


def test_the_tutorial_variant_applies_softmax_once():
    outputs = evaluate(build("tutorial"), tokens())
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-6)
    logits = evaluate(build(), tokens())
    np.testing.assert_allclose(outputs, jax.nn.softmax(logits), rtol=1e-5)


@pytest.mark.parametrize("variant", ["", "tutorial"])
def test_probabilities_are_one_softmax_of_the_logits(variant: str):
    model = build(variant)
    outputs = jnp.asarray(evaluate(model, tokens()))
    probabilities = model.probabilities(outputs)
    logits = evaluate(build(), tokens())
    np.testing.assert_allclose(probabilities, jax.nn.softmax(logits), rtol=1e-5)
    assert isinstance(model, GivesProbabilities)


def with_pad_vector_moved(model: Transformer) -> Transformer:
    """The model with another vector for the padding token."""
    table = model.embed.token.embedding
    table[...] = table[...].at[0].add(3.0)
    return model


POOLINGS = ["mean", "max", "last", "attention", "cls"]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_masked_outputs_do_not_depend_on_what_padding_looks_like(pooling: str):
    fields: dict[str, Any] = {"pooling": pooling, "num_blocks": 2}
    before = evaluate(build("masked", **fields), tokens())
    after = evaluate(with_pad_vector_moved(build("masked", **fields)), tokens())
    np.testing.assert_array_equal(before, after)
    unmasked = evaluate(build(**fields), tokens())
    moved = evaluate(with_pad_vector_moved(build(**fields)), tokens())
    assert (np.abs(unmasked - moved)[:2] > 1e-4).any(axis=1).all()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_more_padding_in_front_leaves_masked_outputs_alone(pooling: str):
    fields: dict[str, Any] = {"pooling": pooling, "position": False}
    longer = jnp.pad(tokens(), ((0, 0), (5, 0)))  # [b, t + 5]
    masked = build("masked", **fields)
    np.testing.assert_allclose(evaluate(masked, tokens()), evaluate(masked, longer), atol=1e-5)
    unmasked = build(**fields)
    difference = np.abs(evaluate(unmasked, tokens()) - evaluate(unmasked, longer))
    assert difference[:3].max() > 1e-4


def test_masked_is_the_base_model_where_nothing_is_padding():
    np.testing.assert_array_equal(
        evaluate(build("masked", UNPADDED), tokens()), evaluate(build("", UNPADDED), tokens())
    )


def test_the_class_position_stands_for_the_sequence_and_not_for_its_first_token():
    model = build("cls_pool")
    swapped = tokens()[:, ::-1]
    # a row with the same tokens in another order differs through its positions alone
    assert not np.allclose(evaluate(model, tokens()), evaluate(model, swapped), atol=1e-4)
    unordered = build("cls_pool", position=False)
    np.testing.assert_allclose(
        evaluate(unordered, tokens()), evaluate(unordered, swapped), atol=1e-5
    )


def test_a_class_position_needs_attention():
    with pytest.raises(harness.UsageError, match="pooling=cls with attention=false"):
        build("cls_pool", attention=False)


@pytest.mark.parametrize("variant", ["", "no_attention"])
def test_position_vectors_make_order_matter(variant: str):
    fields: dict[str, Any] = {"pooling": "max"}  # the mean of the base model hides most of it
    swapped = tokens()[:, ::-1]
    ordered = build(variant, **fields)
    assert not np.allclose(evaluate(ordered, tokens()), evaluate(ordered, swapped), atol=1e-4)
    unordered = build(variant, **fields, position=False)
    np.testing.assert_allclose(
        evaluate(unordered, tokens()), evaluate(unordered, swapped), atol=1e-5
    )


def test_dropout_is_on_in_training_and_off_in_evaluation():
    model = build()
    np.testing.assert_array_equal(evaluate(model, tokens()), evaluate(model, tokens()))
    model.train()
    assert not np.array_equal(model(tokens()), model(tokens()))


def test_without_dropout_training_computes_what_evaluation_does():
    model = build(dropout=0.0)
    model.train()
    trained = model(tokens())
    np.testing.assert_allclose(trained, evaluate(model, tokens()), atol=1e-6)


def test_a_seed_decides_the_parameters():
    first, again = params(build()), params(build())
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
    other = params(Transformer(SMALL, rngs=nnx.Rngs(jax.random.key(1))))
    name = "embed.token.embedding"
    assert not np.array_equal(first[name], other[name])


@pytest.mark.parametrize("ff_dim", [1, 48])
def test_the_feed_forward_layer_may_have_any_number_of_hidden_units(ff_dim: int):
    outputs = evaluate(build(ff_dim=ff_dim, num_blocks=2), tokens())
    assert outputs.shape == (4, 3)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(harness.UsageError, match="use one of 1, 2, 4, 8, 16, 32"):
        build(num_heads=3)


def test_images_are_not_supported():
    images = harness.DataSpec(kind="image", shape=(8, 8, 1), num_classes=3)
    with pytest.raises(harness.Unsupported, match="image"):
        build(data=images)


def test_a_small_batch_makes_fewer_groups():
    model = Transformer(SMALL, groups=8, rngs=nnx.Rngs(0))
    sizes = [model._group_size(jnp.zeros((b, 200, 1))) for b in (1, 10, 11, 128, 256)]
    assert sizes == [1, 10, 11, 16, 32]


def test_groups_change_no_output_and_no_gradient(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transformer, "GROUP_POSITIONS", 1)
    x = jax.random.randint(jax.random.key(1), (7, SMALL.shape[0]), 0, 17)

    def outputs_and_gradients(groups: int):
        model = Transformer(SMALL, dropout=0.0, groups=groups, rngs=nnx.Rngs(0))
        graph, params, rest = nnx.split(model, nnx.Param, ...)

        def loss(params: nnx.State) -> jax.Array:
            return (nnx.merge(graph, params, rest)(x) ** 2).sum()

        return model(x), *jax.tree.leaves(jax.grad(loss)(params))

    # seven examples in groups of 7, of 2 (the last one smaller), and of 1
    whole = outputs_and_gradients(1)
    for groups in (4, 7, 100):
        for mine, theirs in zip(outputs_and_gradients(groups), whole, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-5)
