"""What the tests of models of text share: specs, rows with padding, one way to ask a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import harness
from harness import plugins, program
from harness.entries import Entry, Source

IMDB = harness.DataSpec(kind="tokens", shape=(200,), vocab_size=20_000, num_classes=2, pad_id=0)
SMALL = harness.DataSpec(kind="tokens", shape=(6,), vocab_size=17, num_classes=3, pad_id=0)
LONGER = harness.DataSpec(kind="tokens", shape=(11,), vocab_size=17, num_classes=3, pad_id=0)
UNPADDED = harness.DataSpec(kind="tokens", shape=(6,), vocab_size=17, num_classes=3)
IMAGE = harness.DataSpec(kind="image", shape=(8, 8, 1), num_classes=3)
FEATURES = harness.DataSpec(kind="features", shape=(5,), num_classes=3)


def tokens() -> jax.Array:
    """int32 [4, 6]: much, some, no and nothing but padding in front."""
    rows = [[0, 0, 0, 0, 3, 9], [0, 0, 5, 1, 2, 7], [4, 8, 16, 2, 9, 1], [0] * 6]
    return jnp.array(rows, jnp.int32)


def registered(module: ModuleType) -> Entry:
    """The one entry that a plugin file registers."""
    source = Source(
        name=module.__name__, origin="built-in", target=module.__name__, version="0",
        source_hash="",
    )  # fmt: skip
    (entry,) = plugins.register(plugins.new_manager(), module, source)
    return entry


def build(
    module: ModuleType, variant: str = "", data: harness.DataSpec = SMALL, seed: int = 0,
    **changes: Any,
) -> Any:  # fmt: skip
    """The entry's model, or a variant of it, with some parameters changed."""
    entry = registered(module)
    fields: Mapping[str, Any] = {**entry.variants, "": {}}[variant]
    rngs = nnx.Rngs(jax.random.key(seed))
    return entry.build()(data, **{**fields, **changes}, rngs=rngs)


def count(module: ModuleType, variant: str) -> int:
    """Parameters of a variant at the sizes of imdb; nothing is allocated."""
    shapes = nnx.eval_shape(lambda: nnx.state(build(module, variant, IMDB), nnx.Param))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def counts(module: ModuleType) -> dict[str, int]:
    """Parameters of the entry and of each of its variants, each of which changes one field."""
    entry = registered(module)
    for changes in entry.variants.values():
        ((field, value),) = changes.items()
        assert value != entry.defaults[field]
    return {name: count(module, name) for name in ("", *entry.variants)}


@nnx.jit
def call(model: Any, x: jax.Array) -> jax.Array:
    return model(x)


def evaluate(model: Any, x: jax.Array) -> np.ndarray:
    model.eval()
    return np.asarray(call(model, x))


def evaluate_eagerly(model: Any, x: jax.Array) -> np.ndarray:
    """Not jitted: variants that share their operations compile each of them once for all."""
    model.eval()
    return np.asarray(model(x))


def params(model: nnx.Module) -> dict[str, np.ndarray]:
    flat = nnx.to_flat_state(nnx.state(model, nnx.Param))
    return {".".join(map(str, path)): np.asarray(leaf[...]) for path, leaf in flat}


def gradients(model: Any, x: jax.Array) -> dict[str, np.ndarray]:
    """Gradients of the cross-entropy of labels 0, 1, 2, 0, ... by the parameter's path."""
    model.eval()  # which parameters take part is the same, and dropout is slow to compile
    labels = jnp.arange(x.shape[0], dtype=jnp.int32) % 3

    def loss(model: Any) -> jax.Array:
        log_p = jax.nn.log_softmax(model(x))
        return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean()

    return params(nnx.jit(nnx.grad(loss, argnums=nnx.DiffState(0, nnx.Param)))(model))


def unreached(model: Any, x: jax.Array) -> list[str]:
    """Parameters whose gradient is zero or not finite."""
    found = gradients(model, x)
    assert found.keys() == params(model).keys()
    return [
        path for path, leaf in found.items()
        if not (np.isfinite(leaf).all() and np.abs(leaf).max() > 1e-9)
    ]  # fmt: skip


def layer_norm(x: np.ndarray, p: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Layer normalisation over the last axis, with the scale and bias of that name."""
    centred = x - x.mean(axis=-1, keepdims=True)
    unit = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
    return unit * p[f"{name}.scale"] + p[f"{name}.bias"]


def linear(x: np.ndarray, p: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """`x W + b`, b if there is one of that name."""
    return x @ p[f"{name}.kernel"] + p.get(f"{name}.bias", np.float32(0))


def gelu(x: np.ndarray) -> np.ndarray:
    """`x P(X < x)` of a standard normal X."""
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


def silu(x: np.ndarray) -> np.ndarray:
    """`x / (1 + exp(-x))`."""
    return x / (1 + np.exp(-x))


def head(pooled: np.ndarray, p: Mapping[str, np.ndarray]) -> np.ndarray:
    """The head of 20 relu units: `[b, d]` to `[b, c]`."""
    return linear(np.maximum(linear(pooled, p, "head.hidden"), 0), p, "head.out")


def mean_of_tokens(x: np.ndarray, real: np.ndarray) -> np.ndarray:
    """`[b, t, d]` to `[b, d]`; zeros for a row without a token."""
    rows = [row[keep].mean(axis=0) if keep.any() else 0 * row[0]
            for row, keep in zip(x, real, strict=True)]  # fmt: skip
    return np.stack(rows)


def assert_blind_to_padding(module: ModuleType, variant: str, **changes: Any) -> None:
    """Another vector for padding, more of it or less of it in front: the same answer.

    The model gets the rows with as much padding as it is built for, and with all of it cut
    off that the longest row does not need.
    """
    model = build(module, variant, LONGER, **changes)
    short = tokens()[:, 1:]  # the longest row has 5 tokens
    rows = jnp.pad(short, ((0, 0), (LONGER.shape[0] - short.shape[1], 0)))
    answer = evaluate(model, rows)
    assert np.isfinite(answer).all()
    np.testing.assert_allclose(evaluate(model, short), answer, atol=1e-5)
    table = model.embed.token.embedding
    # no constant: layer normalisation takes that out
    other = jax.random.normal(jax.random.key(5), table.shape[1:])
    table[...] = table[...].at[0].add(other)
    np.testing.assert_allclose(evaluate(model, rows), answer, atol=1e-5)
    table[...] = table[...].at[3].add(other)  # a token's vector does matter
    assert np.abs(evaluate(model, rows)[0] - answer[0]).max() > 1e-4


def in_bfloat16(model: Any, x: jax.Array) -> np.ndarray:
    """What a model answers with the engine's precision "bfloat16"; it has gradients too."""
    split, params, rest = program.split_model(model, dtype=jnp.bfloat16)

    def total(params: Any) -> jax.Array:
        return split.train_outputs(params, rest, x)[0].astype(jnp.float32).sum()

    with jax.numpy_dtype_promotion("standard"):  # flax's own normalisation relies on it
        outputs = split.eval_outputs(params, rest, x)
        gradients = jax.grad(total)(params)
    assert outputs.dtype == jnp.bfloat16
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    return np.asarray(outputs.astype(jnp.float32))


def assert_seeded(module: ModuleType) -> None:
    """A seed gives the same parameters to the bit, another one others."""
    first, again, other = (params(build(module, seed=seed)) for seed in (0, 0, 1))
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
    assert not np.array_equal(first["embed.token.embedding"], other["embed.token.embedding"])


def assert_drops_in_training(module: ModuleType) -> None:
    """Two calls differ in training and not in evaluation."""
    model = build(module, dropout=0.5)
    np.testing.assert_array_equal(evaluate(model, tokens()), evaluate(model, tokens()))
    model.train()
    assert not np.array_equal(call(model, tokens()), call(model, tokens()))
