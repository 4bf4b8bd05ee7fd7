"""The GRU and the LSTM: their sizes, what they compute, padding, and what variants change."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from text_models import IMDB, SMALL, UNPADDED, params, tokens
from text_models import evaluate_eagerly as evaluate

import harness
from harness import plugins, program
from harness.entries import Entry, Source
from harness_models import _recurrence, recurrent
from harness_models.recurrent import GRU, LSTM, Recurrent

VECTORS = 20_000 * 32
HEAD = 64 * 20 + 20 + 20 * 2 + 2
GATE = 32 * 64 + 64 + 64 * 64  # inputs with a bias, and the state
BOTH = 64 * 20  # more of the head, for the other direction
PARAM_COUNTS = {
    f"{name}{variant}": VECTORS + gates * GATE + HEAD + more
    for name, gates in (("gru", 3), ("lstm", 4))
    for variant, more in (
        ("", 0), (":bidirectional", gates * GATE + BOTH), (":mean_pool", 0), (":max_pool", 0),
        (":attention_pool", 64 * 64 + 2 * 64),
    )
}  # fmt: skip
NAMES = sorted(PARAM_COUNTS)


pytestmark = pytest.mark.usefixtures("strict_jax")


def registered() -> dict[str, Entry]:
    source = Source(
        name="recurrent", origin="built-in", target="recurrent", version="0", source_hash=""
    )
    return {e.name: e for e in plugins.register(plugins.new_manager(), recurrent, source)}


def build(name: str, data: harness.DataSpec = SMALL, *, seed: int = 0, **changes: Any):
    entry, _, variant = name.partition(":")
    fields: dict[str, Any] = {**registered()[entry].variants, "": {}}[variant]
    kind = {"gru": GRU, "lstm": LSTM}[entry]
    return kind(data, **{**fields, **changes}, rngs=nnx.Rngs(jax.random.key(seed)))


@pytest.mark.parametrize("name", NAMES)
def test_parameter_counts_at_the_sizes_of_imdb(name: str):
    shapes = nnx.eval_shape(lambda: nnx.state(build(name, IMDB), nnx.Param))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == PARAM_COUNTS[name]


def test_the_variants_are_those_counted_and_each_changes_one_field():
    found = registered()
    names = [f"{name}:{variant}" for name, e in found.items() for variant in e.variants]
    assert sorted([*found, *names]) == NAMES
    for entry in found.values():
        for changes in entry.variants.values():
            ((field, value),) = changes.items()
            assert value != entry.defaults[field]


@pytest.mark.parametrize("data", [SMALL, UNPADDED], ids=["padded", "unpadded"])
@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_finite_float32_a_class(name: str, data: harness.DataSpec):
    outputs = evaluate(build(name, data, units=8), tokens())
    assert outputs.shape == (4, 3) and outputs.dtype == np.float32
    assert np.isfinite(outputs).all()


@pytest.mark.parametrize("name", [name for name in NAMES if ":" in name])
def test_a_variant_changes_the_parameters_there_are_or_the_outputs(name: str):
    base, model = build(name.partition(":")[0]), build(name)
    shapes = [{path: value.shape for path, value in params(m).items()} for m in (base, model)]
    assert shapes[0] != shapes[1] or not np.allclose(
        evaluate(base, tokens()), evaluate(model, tokens()), atol=1e-4
    )


def head(p: dict[str, np.ndarray], pooled: np.ndarray) -> np.ndarray:
    units = np.maximum(pooled @ p["head.hidden.kernel"] + p["head.hidden.bias"], 0)
    return units @ p["head.out.kernel"] + p["head.out.bias"]


@pytest.mark.parametrize("entry", ["gru", "lstm"])
def test_it_is_the_head_on_the_state_behind_the_last_word(entry: str):
    model = build(entry)
    p = params(model)
    for row, start in ((0, 4), (1, 2), (2, 0)):
        words = p["embed.token.embedding"][np.asarray(tokens())[row, start:]]  # [t, d]
        last, _ = _recurrence.read(model.forwards, jnp.asarray(words)[:, None], None)
        expected = head(p, np.asarray(last))
        np.testing.assert_allclose(evaluate(model, tokens())[row], expected[0], atol=1e-5)


@pytest.mark.parametrize("entry", ["gru", "lstm"])
def test_both_directions_have_read_the_whole_text(entry: str):
    model = build(f"{entry}:bidirectional")
    assert model.backwards is not None
    p = params(model)
    words = jnp.asarray(p["embed.token.embedding"][[3, 9]])[:, None]  # [t, 1, d]
    there, _ = _recurrence.read(model.forwards, words, None)
    back, _ = _recurrence.read(model.backwards, words[::-1], None)
    expected = head(p, np.concatenate([there, back], axis=1))
    np.testing.assert_allclose(evaluate(model, tokens())[0], expected[0], atol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_pooling_takes_the_states_of_both_directions(pooling: Any, bidirectional: bool):
    model = build("gru", pooling=pooling, bidirectional=bidirectional)
    assert model.pool is not None
    x = model.embed(tokens().T)  # [t, b, d]
    mask = tokens() != 0
    read = [_recurrence.read(model.forwards, x, mask.T)[1]]
    if model.backwards is not None:
        read.append(_recurrence.read(model.backwards, x, mask.T, backwards=True)[1])
    states = jnp.concatenate(read, axis=2).swapaxes(0, 1)  # [b, t, u]
    expected = head(params(model), np.asarray(model.pool(states, mask)))
    np.testing.assert_allclose(evaluate(model, tokens()), expected, atol=1e-5)


def gradients(model: Recurrent, x: jax.Array, labels: jax.Array) -> nnx.State:
    def loss(model: Recurrent) -> jax.Array:
        log_p = jax.nn.log_softmax(model(x))
        return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean()

    return nnx.grad(loss, argnums=nnx.DiffState(0, nnx.Param))(model)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_finite_gradient(name: str):
    model = build(name)
    model.eval()
    grads = gradients(model, tokens(), jnp.array([0, 1, 2, 0], jnp.int32))
    for path, leaf in nnx.to_flat_state(grads):
        assert np.isfinite(leaf[...]).all(), path
        assert np.abs(leaf[...]).max() > 1e-9, path


@pytest.mark.parametrize("name", NAMES)
def test_outputs_do_not_depend_on_what_padding_looks_like(name: str):
    model = build(name)
    before = evaluate(model, tokens())
    table = model.embed.token.embedding
    table[...] = table[...].at[0].add(3.0)
    np.testing.assert_array_equal(before, evaluate(model, tokens()))


@pytest.mark.parametrize("name", NAMES)
def test_the_amount_of_padding_changes_nothing(name: str):
    model = build(name)
    expected = evaluate(model, tokens())
    longer = jnp.pad(tokens(), ((0, 0), (5, 0)))  # [b, t + 5]
    np.testing.assert_allclose(evaluate(model, longer), expected, atol=1e-6)
    shorter = tokens()[:2, 2:]
    np.testing.assert_allclose(evaluate(model, shorter), expected[:2], atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_words_counts(name: str):
    model = build(name)
    some = tokens()[2:3]
    difference = evaluate(model, some) - evaluate(model, some[:, ::-1])
    assert np.abs(difference).max() > 1e-4


@pytest.mark.parametrize("name", ["gru:bidirectional", "lstm:attention_pool"])
def test_it_computes_in_half_precision(name: str):
    model = build(name)
    single = evaluate(model, tokens())
    split, params, rest = program.split_model(model, dtype=jnp.bfloat16)
    half = split.eval_outputs(params, rest, tokens())
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), single, atol=0.05)


def test_without_a_pad_id_every_position_is_read():
    padded, unpadded = (evaluate(build("gru", data), tokens()) for data in (SMALL, UNPADDED))
    np.testing.assert_allclose(padded[2], unpadded[2], atol=1e-6)
    assert np.abs(padded[0] - unpadded[0]).max() > 1e-4


@pytest.mark.parametrize("entry", ["gru", "lstm"])
def test_dropout_is_on_in_training_and_off_in_evaluation(entry: str):
    model = build(entry)
    np.testing.assert_array_equal(evaluate(model, tokens()), evaluate(model, tokens()))
    model.train()
    assert not np.array_equal(model(tokens()), model(tokens()))


@pytest.mark.parametrize("entry", ["gru", "lstm"])
def test_a_seed_decides_the_parameters(entry: str):
    first, again, other = (params(build(entry, seed=seed)) for seed in (0, 0, 1))
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
    for name in ("embed.token.embedding", "forwards.recurrent.kernel"):
        assert not np.array_equal(first[name], other[name])


@pytest.mark.parametrize("entry", ["gru", "lstm"])
def test_images_are_not_supported(entry: str):
    images = harness.DataSpec(kind="image", shape=(8, 8, 1), num_classes=3)
    with pytest.raises(harness.Unsupported, match="image"):
        build(entry, images)
