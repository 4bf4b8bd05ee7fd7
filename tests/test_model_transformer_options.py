"""What later papers changed in the transformer: positions, windows, norms, units, precision."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import text_models
from text_models import SMALL, tokens
from text_models import evaluate_eagerly as evaluate

import harness
from harness import program
from harness_models import transformer
from harness_models.transformer import Transformer

KINDS = ["learned", "sinusoidal", "rotary", "alibi"]


pytestmark = pytest.mark.usefixtures("strict_jax")


def build(variant: str = "", data: harness.DataSpec = SMALL, **changes: Any) -> Transformer:
    if variant == "local":
        changes = {"window": 1, **changes}  # the small texts would fit into the one it has
    return text_models.build(transformer, variant, data, **changes)


# what tells positions apart must not count the padding, whatever pools them
RELATED: list[dict[str, Any]] = [
    *({"position_kind": kind} for kind in KINDS),
    *({"position_kind": kind, "pooling": "cls", "window": 2} for kind in KINDS),
    {"norm": "pre", "activation": "swiglu", "pooling": "attention"},
]


def named(fields: dict[str, Any]) -> str:
    return "-".join(map(str, fields.values()))


@pytest.mark.parametrize("fields", RELATED, ids=named)
def test_a_shorter_batch_has_the_same_masked_outputs(fields: dict[str, Any]):
    model = build("masked", num_blocks=2, **fields)
    whole, cut = evaluate(model, tokens()), evaluate(model, tokens()[:, 2:])
    assert cut.shape == (4, 3) and np.isfinite(cut).all()
    # but for the third row, which has lost two tokens, the columns cut hold padding only
    np.testing.assert_allclose(cut[[0, 1, 3]], whole[[0, 1, 3]], atol=1e-5)
    assert np.abs(cut[2] - whole[2]).max() > 1e-4


@pytest.mark.parametrize(
    "fields", [f for f in RELATED if f.get("position_kind") in KINDS[1:]], ids=named
)
def test_more_padding_than_the_data_has_is_no_matter_without_a_table(fields: dict[str, Any]):
    model = build("masked", **fields)
    longer = jnp.pad(tokens(), ((0, 0), (5, 0)))  # [b, t + 5]
    np.testing.assert_allclose(evaluate(model, longer), evaluate(model, tokens()), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_position_makes_order_matter(kind: str):
    swapped = tokens()[:, jnp.array([1, 0, 2, 3, 4, 5])]
    model = build(position_kind=kind, pooling="max")
    difference = evaluate(model, tokens()) - evaluate(model, swapped)
    assert np.abs(difference)[2].max() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_without_position_its_kind_has_no_effect(kind: str):
    expected = evaluate(build("no_position"), tokens())
    found = evaluate(build("no_position", position_kind=kind), tokens())
    np.testing.assert_array_equal(found, expected)


def test_sinusoidal_adds_waves_at_the_scale_of_the_token_vectors():
    model, without = build("sinusoidal"), build("no_position")
    waves = np.zeros((6, 32))
    for row, place in enumerate(range(5, -1, -1)):
        angles = [place / 10_000 ** (2 * i / 32) for i in range(16)]
        waves[row] = [*np.sin(angles), *np.cos(angles)]
    x = without.embed(tokens()) + jnp.asarray(waves / np.sqrt(32), jnp.float32)[None]
    without.eval()
    expected = without.head(without._encode(x, None))
    np.testing.assert_allclose(evaluate(model, tokens()), expected, atol=1e-5)


def test_alibi_and_rotary_change_the_attention():
    outputs = [evaluate(build(kind), tokens()) for kind in ("no_position", "rotary", "alibi")]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(outputs[one] - outputs[other]).max() > 1e-4


def test_a_window_as_wide_as_the_text_is_none():
    whole = evaluate(build(), tokens())
    np.testing.assert_allclose(evaluate(build(window=5), tokens()), whole, atol=1e-6)
    assert np.abs(evaluate(build(window=2), tokens()) - whole).max() > 1e-5


def test_a_window_reaches_further_with_every_block():
    changed = tokens().at[2, 3].set(11)  # two positions in front of the last

    def moved(num_blocks: int) -> float:
        model = build("no_position", window=1, num_blocks=num_blocks, pooling="last")
        return np.abs(evaluate(model, tokens()) - evaluate(model, changed)).max()

    assert moved(1) == 0.0 and moved(2) > 1e-6


def test_pre_norm_is_the_published_order():
    model = build("pre_norm", feedforward=False)
    model.eval()
    (block,) = model.blocks
    assert block.attention is not None and model.norm is not None
    x = model.embed(tokens())
    x = x + block.attention.inner(block.attention.norm(x), None)
    expected = model.head(model.norm(x).mean(axis=1))
    np.testing.assert_allclose(evaluate(model, tokens()), expected, atol=1e-5)


@pytest.mark.parametrize(
    "fields", [{"position_kind": "rotary"}, {"position_kind": "alibi"}, {"window": 3}]
)
def test_what_only_attention_looks_at_needs_attention(fields: dict[str, Any]):
    ((name, value),) = fields.items()
    with pytest.raises(harness.UsageError, match=f"{name}={value} with attention=false"):
        build("no_attention", **fields)


@pytest.mark.parametrize(
    "variant", ["swiglu", "gelu", "rotary", "alibi", "sinusoidal", "local"]
)
def test_options_compute_in_half_precision(variant: str):
    model = build(variant, pooling="attention", norm="pre")
    single = evaluate(model, tokens())
    split, params, rest = program.split_model(model, dtype=jnp.bfloat16)
    with jax.numpy_dtype_promotion("standard"):  # flax's normalisation needs it
        half = split.eval_outputs(params, rest, tokens())
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), single, atol=0.15)
