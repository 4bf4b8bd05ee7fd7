from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax import lax
from small import Bag, arrays, token_data, token_spec

from harness import program
from harness.errors import ContractError
from harness.tasks import CLASSIFICATION


def make(seed: int = 0):
    model = Bag(token_spec(), rngs=nnx.Rngs(jax.random.key(seed)))
    split, params, rest = program.split_model(model)
    optimizer = optax.adam(1e-2)
    return split, optimizer, program.TrainState(params, rest, optimizer.init(params))


def batches(steps: int, size: int = 10):
    train = arrays(token_data().train)
    positions = np.arange(steps * size, dtype=np.int32).reshape(steps, size)  # [k, b]
    data = {name: jnp.asarray(train[name]) for name in ("x", "y")}
    return data, positions


def leaves(tree) -> list[np.ndarray]:
    return [
        np.asarray(
            jax.random.key_data(leaf)
            if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            else leaf
        )
        for leaf in jax.tree.leaves(tree)
    ]


def test_a_chunk_takes_the_same_steps_as_a_plain_nnx_loop():
    """The tutorial's way: nnx.Optimizer and nnx.value_and_grad, one step at a time."""
    split, optimizer, state = make()
    data, positions = batches(5)
    chunk = program.train_chunk(
        lambda s, b: program.train_step(split, optimizer, s, b), length=5
    )
    state, losses = jax.jit(chunk)(state, data, positions, 5)

    model = Bag(token_spec(), rngs=nnx.Rngs(jax.random.key(0)))
    model.train()
    plain = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)

    def loss_fn(model, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

    expected = []
    for rows in positions:
        loss, grads = nnx.value_and_grad(loss_fn)(model, data["x"][rows], data["y"][rows])
        plain.update(model, grads)
        expected.append(float(loss))
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    for ours, theirs in zip(
        leaves(state.params), leaves(nnx.state(model, nnx.Param)), strict=True
    ):
        # Adam divides by the root of tiny squares: rounding shows in the last digits
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def test_a_chunk_takes_the_steps_of_a_scan_to_the_bit():
    split, optimizer, state = make()
    data, positions = batches(5)

    def step(state, batch):
        return program.train_step(split, optimizer, state, batch)

    def scan(state, data, positions):
        return lax.scan(lambda s, p: step(s, (data["x"][p], data["y"][p])), state, positions)

    expected, losses = jax.jit(scan)(state, data, positions)
    found, own = jax.jit(program.train_chunk(step, 5))(state, data, positions, 5)
    np.testing.assert_array_equal(own, losses)
    for ours, theirs in zip(leaves(found), leaves(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_steps_beyond_the_asked_ones_are_not_taken():
    split, optimizer, start = make()
    data, positions = batches(4)
    chunk = jax.jit(
        program.train_chunk(lambda s, b: program.train_step(split, optimizer, s, b), length=4)
    )
    whole, losses = chunk(start, data, positions, 4)
    half, first = chunk(start, data, positions, 2)
    rest = np.concatenate([positions[2:], positions[2:]])
    both, second = chunk(half, data, rest, 2)
    assert list(np.asarray(first)[2:]) == [0, 0]
    np.testing.assert_array_equal(np.concatenate([first[:2], second[:2]]), losses)
    for a, b in zip(leaves(whole), leaves(both), strict=True):
        np.testing.assert_array_equal(a, b)


def test_evaluation_is_exact_over_a_ragged_batch_and_without_dropout():
    split, _, state = make()
    test = arrays(token_data().test)
    positions = np.zeros((5, 8), np.int32)
    positions.ravel()[:37] = np.arange(37)
    data = {name: jnp.asarray(test[name]) for name in ("x", "y")}
    chunk = jax.jit(program.eval_chunk(split, length=5, batch_size=8))
    sums = chunk(state.params, state.rest, data, positions, 5, 37)

    model = Bag(token_spec(), rngs=nnx.Rngs(jax.random.key(0)))
    model.eval()
    logits = np.asarray(model(data["x"]))
    labels = np.asarray(data["y"])
    losses = optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(logits), labels)
    np.testing.assert_allclose(np.sum(sums.loss), np.sum(losses), rtol=1e-5)
    assert int(np.sum(sums.correct)) == (logits.argmax(axis=1) == labels).sum()
    np.testing.assert_array_equal(
        np.ravel(sums.answers["predicted"])[:37], logits.argmax(axis=1)
    )


def test_compiling_consumes_nothing_and_the_state_is_donated():
    split, optimizer, state = make()
    data, positions = batches(2)
    chunk = program.train_chunk(
        lambda s, b: program.train_step(split, optimizer, s, b), length=2
    )
    compiled = program.compile_ahead(chunk, state, data, positions, np.int32(2), donate=(0,))
    first = jax.tree.leaves(state.params)[0]
    assert not first.is_deleted()
    assert compiled.seconds > 0
    compiled.call(state, data, positions, np.int32(2))
    assert first.is_deleted()


def test_training_counts_parameters_only():
    split, _, state = make()
    assert program.count_parameters(state.params) == 30 * 8 + 2 * 8 + 8 * 2 + 2
    assert jax.tree.leaves(state.rest)


class Wrong(nnx.Module):
    def __init__(self, data, *, what: str = "width", rngs: nnx.Rngs):
        self.what = what

    def __call__(self, tokens):
        if self.what == "tuple":
            return tokens, tokens
        if self.what == "dtype":
            return jnp.zeros((tokens.shape[0], 2), jnp.int32)
        return jnp.zeros((tokens.shape[0], 7), jnp.float32)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("width", r"float32 \[3, 7\] for x \[3, 12\]; expected .* = \[3, 2\]"),
        ("dtype", r"int32 \[3, 2\].*floating point"),
        ("tuple", r"tuple; expected one array \[3, 2\]"),
    ],
)
def test_outputs_unlike_the_contract_are_named(what: str, message: str):
    model = Wrong(token_spec(), what=what, rngs=nnx.Rngs(0))
    split, params, rest = program.split_model(model)
    x = jax.ShapeDtypeStruct((3, 12), jnp.int32)
    with pytest.raises(ContractError, match=message):
        program.check_outputs(split, program.TrainState(params, rest, None), x, token_spec())


class Sure(nnx.Module):
    """Gives probabilities itself."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.bias = nnx.Param(jnp.zeros(2))

    def __call__(self, tokens):
        return jnp.tile(jnp.array([[0.25, 0.75]]), (tokens.shape[0], 1))

    def probabilities(self, outputs):
        return outputs


def test_a_model_that_gives_probabilities_gets_no_second_softmax():
    split, params, rest = program.split_model(Sure(rngs=nnx.Rngs(0)))
    chunk = program.eval_chunk(split, length=1, batch_size=4)
    payload = {"x": np.zeros((1, 4, 3), np.int32), "y": np.zeros((1, 4), np.int32)}
    sums = jax.jit(chunk)(params, rest, None, payload, 1, 4)
    np.testing.assert_allclose(sums.answers["probability"], 0.75)


class Scaled(nnx.Module):
    """Probabilities that depend on a parameter, and a note for the caller."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.share = nnx.Param(jnp.array([[0.5, 0.5]]))

    def __call__(self, tokens):
        self.seen = nnx.Intermediate(tokens)
        return jnp.tile(self.share[...], (tokens.shape[0], 1))

    def probabilities(self, outputs):
        return self.share[...] + 0 * outputs


def test_probabilities_see_the_trained_parameters():
    split, params, rest = program.split_model(Scaled(rngs=nnx.Rngs(0)))
    trained = jax.tree.map(lambda a: a.at[0].set(jnp.array([0.125, 0.875])), params)
    _, probabilities = split.judge(trained, rest, jnp.zeros((3, 4), jnp.int32))
    np.testing.assert_array_equal(probabilities, np.tile([[0.125, 0.875]], (3, 1)))


def test_what_a_model_notes_down_in_a_call_is_not_carried():
    split, params, rest = program.split_model(Scaled(rngs=nnx.Rngs(0)))
    _, after = split.train_outputs(params, rest, jnp.zeros((3, 4), jnp.int32))
    assert jax.tree.structure(after) == jax.tree.structure(rest)


class Plain(nnx.Module):
    """No dropout and no batch statistics: a batch's parts know nothing of each other."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.embed = nnx.Embed(30, 8, rngs=rngs)
        self.head = nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, tokens):
        return self.head(self.embed(tokens).mean(axis=1))


def steps_of(model: nnx.Module, *, accumulate: int = 1, dtype=jnp.float32):
    """The state and losses after three steps of ten examples."""
    split, params, rest = program.split_model(model, dtype=dtype)
    # its update is linear in the gradient, so that rounding stays rounding
    optimizer = optax.sgd(0.5)
    state = program.TrainState(params, rest, optimizer.init(params))
    data, positions = batches(3)
    chunk = program.train_chunk(
        lambda s, b: program.train_step(split, optimizer, s, b, accumulate=accumulate),
        length=3,
    )
    return jax.jit(chunk)(state, data, positions, 3)


@pytest.mark.parametrize("parts", [2, 5, 10])
def test_a_batch_in_parts_makes_the_update_of_the_whole_one(parts: int):
    whole, losses = steps_of(Plain(rngs=nnx.Rngs(0)))
    state, in_parts = steps_of(Plain(rngs=nnx.Rngs(0)), accumulate=parts)
    np.testing.assert_allclose(in_parts, losses, rtol=1e-6)
    for ours, theirs in zip(leaves(state.params), leaves(whole.params), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_each_part_sees_what_the_one_before_it_left():
    def counts(accumulate: int) -> list[int]:
        model = Bag(token_spec(), rngs=nnx.Rngs(jax.random.key(0)))
        state, _ = steps_of(model, accumulate=accumulate)
        return [int(leaf) for leaf in leaves(state.rest) if leaf.dtype == np.uint32
                and leaf.ndim == 0]  # fmt: skip

    once, twice = counts(1), counts(2)
    # three masks more from each stream that a step draws from
    assert sum(b - a for a, b in zip(once, twice, strict=True)) == 3


def test_half_precision_is_what_the_model_computes_in_and_no_state_is_kept_in():
    state, losses = steps_of(Bag(token_spec(), rngs=nnx.Rngs(0)), dtype=jnp.bfloat16)
    assert losses.dtype == jnp.float32
    floats = [a.dtype for a in leaves(state) if jnp.issubdtype(a.dtype, jnp.floating)]
    assert floats and all(dtype == jnp.float32 for dtype in floats)


def test_half_precision_outputs_are_close_to_single_ones():
    x = batches(1)[0]["x"]
    outputs = {}
    for dtype in (jnp.float32, jnp.bfloat16):
        split, params, rest = program.split_model(Plain(rngs=nnx.Rngs(0)), dtype=dtype)
        outputs[dtype] = split.eval_outputs(params, rest, x)
        assert outputs[dtype].dtype == dtype
    # bfloat16 has eight bits: a few of them are lost on the way
    half = outputs[jnp.bfloat16].astype(jnp.float32)
    np.testing.assert_allclose(half, outputs[jnp.float32], atol=0.05)


def test_half_precision_follows_single_precision():
    _, single = steps_of(Plain(rngs=nnx.Rngs(0)))
    _, half = steps_of(Plain(rngs=nnx.Rngs(0)), dtype=jnp.bfloat16)
    np.testing.assert_allclose(half, single, rtol=0.02)
    assert not np.array_equal(half, single)


OUTPUTS = jax.ShapeDtypeStruct((8, 2), jnp.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"losses": lambda o, y: o.mean()}, r"losses returned float32 \[\] for a batch of 8"),
        ({"losses": lambda o, y: y}, r"losses returned int32 \[8\].*expected floating point"),
        ({"losses": lambda o, y: (o, y)}, "losses returned tuple"),
        ({"answers": lambda o, p: {}, "correct": None}, 'no "predicted"'),
        ({"answers": lambda o, p: {"predicted": o[0]}, "correct": None}, r"'predicted' \[2\]"),
        (
            {"correct": lambda a, y: a["probability"]},
            r"correct returned float32.*expected bool",
        ),
    ],
)
def test_a_task_that_breaks_its_contract_is_told(changes, message: str):
    task = dataclasses.replace(CLASSIFICATION, **changes)
    with pytest.raises(ContractError, match=message):
        program.check_task(task, OUTPUTS, token_spec())


def test_classification_keeps_the_contract_of_a_task():
    program.check_task(CLASSIFICATION, OUTPUTS, token_spec())
    with pytest.raises(ContractError, match="label_dtype is 'float64'"):
        dataclasses.replace(CLASSIFICATION, label_dtype="float64")  # type: ignore[arg-type]
