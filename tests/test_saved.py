"""A trained state that is kept comes back to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small import Bag, Heard, token_data, token_spec

import harness
from harness import assemble, engine, program, saved
from harness.recipe import Recipe
from harness.specs import DataSpec
from harness_models.mean_pool import MeanPool
from harness_models.transformer import Transformer


class Odd(nnx.Module):
    """Kinds of state that no layer has."""

    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs):
        self.head = nnx.Linear(1, data.num_classes, rngs=rngs)
        self.half = nnx.Variable(jnp.full((2, 3), 1 / 3, jnp.bfloat16))
        self.eighth = nnx.Variable(jnp.float8_e4m3fn(0.4))
        self.key = nnx.Variable(jax.random.key(7, impl="rbg"))
        self.several = nnx.Variable({"a": jnp.arange(3), "b": [jnp.ones(0), jnp.bool_(True)]})
        self.blocks = nnx.List([nnx.Linear(1, 1, rngs=rngs) for _ in range(2)])

    def __call__(self, tokens):
        return self.head(tokens.mean(axis=1, keepdims=True).astype(jnp.float32))


Model = Callable[..., nnx.Module]


def kept(arrays: list[Any]) -> Callable[[str], np.ndarray | None]:
    heard = Heard()
    heard.events = arrays
    return heard.arrays.get


def bits(trees: Any) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    found = {}
    for tree in trees:
        for name, leaf in saved.named_leaves(tree):
            key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            plain = np.asarray(jax.random.key_data(leaf) if key else leaf)
            found[name] = (str(leaf.dtype), leaf.shape, plain.tobytes())
    return found


def parts(model: Model, spec: DataSpec, *, seed: int) -> list[Any]:
    built = assemble.build_model(model, spec, {}, seed=seed)
    return list(program.split_model(built)[1:])


BEST = Recipe(epochs=3, batch_size=32, validation=0.25, select="best")


@pytest.mark.parametrize(
    ("model", "recipe"),
    [
        (MeanPool, Recipe(epochs=1, batch_size=32)),
        (Transformer, Recipe(epochs=1, batch_size=32)),
        (Odd, Recipe(epochs=1, batch_size=32)),
        (Bag, BEST),
        (Bag, Recipe(epochs=1, batch_size=32, precision="bfloat16")),
    ],
    ids=["mean_pool", "transformer", "odd", "best", "bfloat16"],
)
def test_every_variable_comes_back_to_the_bit(model: Model, recipe: Recipe):
    dataset, heard = token_data(), Heard()
    built = assemble.build_model(model, dataset.spec, {}, seed=0)
    state = engine.fit(built, dataset, recipe, seed=0, emit=heard)
    arrays, size = saved.pack((state.params, state.rest), dataset.spec)
    found = saved.unpack(kept(arrays))
    filled = saved.fill(parts(model, dataset.spec, seed=1), found.leaves)
    assert found.spec == dataset.spec
    assert bits(filled) == bits((state.params, state.rest))
    assert program.params_hash(filled[0]) == heard.measured["params_hash"]
    assert size == sum(len(content) for _, _, content in bits(filled).values())


def test_names_say_the_path():
    arrays, _ = saved.pack(parts(Odd, token_spec(), seed=0), token_spec())
    assert [array.name for array in arrays] == [
        "saved/blocks/0/bias", "saved/blocks/0/kernel", "saved/blocks/1/bias",
        "saved/blocks/1/kernel", "saved/head/bias", "saved/head/kernel", "saved/eighth",
        "saved/half", "saved/key", "saved/several/a", "saved/several/b/0", "saved/several/b/1",
        "saved",
    ]  # fmt: skip


def test_a_state_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch):
    trees = parts(MeanPool, token_spec(), seed=0)
    monkeypatch.setattr(saved, "LIMIT_BYTES", 1 << 10)
    with pytest.raises(ValueError, match=r"^they are \d+ MiB and a store takes 0 MiB a run$"):
        saved.pack(trees, token_spec())


def test_two_variables_of_one_path_are_refused():
    tree = {"a": {"b": jnp.ones(1)}, "a/b": jnp.ones(1)}
    with pytest.raises(ValueError, match="have one path"):
        saved.pack([tree], token_spec())


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda arrays: arrays.pop("saved"), "no array 'saved'"),
        (lambda arrays: arrays.pop("saved/embed/embedding"), "no array 'saved/embed"),
        (lambda arrays: arrays.update(saved=np.frombuffer(b"[3]", np.uint8)), "is no list"),
        (lambda arrays: arrays.update(saved=np.frombuffer(b"{", np.uint8)), "Expecting"),
        (
            lambda arrays: arrays.update(saved=np.frombuffer(b'{"format": 9}', np.uint8)),
            "format 9 is of another version",
        ),
    ],
)
def test_damaged_arrays_are_one_line(damage: Callable[[dict], object], why: str):
    arrays = dict(heard_of(Bag))
    damage(arrays)
    with pytest.raises(ValueError, match=why) as caught:
        saved.unpack(arrays.get)
    assert "\n" not in str(caught.value)


def heard_of(model: Model) -> dict[str, np.ndarray]:
    heard = Heard()
    heard.events = list(saved.pack(parts(model, token_spec(), seed=0), token_spec())[0])
    return heard.arrays


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"head/kernel": jnp.zeros((9, 2))},
            r"head/kernel was float32 \[9, 2\] and is .*\[8, 2\]",
        ),
        ({"head/kernel": jnp.zeros((8, 2), jnp.bfloat16)}, "head/kernel was bfloat16"),
        ({"tail": jnp.zeros(1)}, "tail was kept and is not in the model"),
        ({"head/bias": None}, "head/bias is in the model and was not kept"),
    ],
)
def test_a_state_of_another_model_is_refused(change: dict[str, Any], why: str):
    leaves = dict(saved.unpack(heard_of(Bag).get).leaves) | change
    leaves = {name: leaf for name, leaf in leaves.items() if leaf is not None}
    with pytest.raises(ValueError, match=f"^{why}"):
        saved.fill(parts(Bag, token_spec(), seed=0), leaves)
