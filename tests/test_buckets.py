"""Length buckets: what batches are cut to, and that nothing but time depends on it."""

from __future__ import annotations

import dataclasses
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small import Heard, Source

import harness
from harness import feed, orders
from harness.assemble import build_model
from harness.buckets import at_length, buckets_of
from harness.engine import fit
from harness.errors import ContractError
from harness.recipe import Recipe
from harness.specs import Split

WHOLE = harness.DataSpec(
    kind="tokens", shape=(12,), vocab_size=30, num_classes=2, pad_id=0, fingerprint="b"
)
CUT = dataclasses.replace(WHOLE, buckets=(3, 6, 12))
RECIPE = Recipe(epochs=2, batch_size=8, eval_batch_size=10, learning_rate=1e-2)


def ragged(size: int, *, seed: int) -> dict[str, np.ndarray]:
    """Examples of 1 to 12 tokens behind padding; the label says which half the last is of."""
    random = np.random.RandomState(seed)
    x = random.randint(1, 30, (size, 12)).astype(np.int32)
    lengths = random.randint(1, 13, size)
    x[np.arange(12) < 12 - lengths[:, None]] = 0
    return {"x": x, "y": (x[:, -1] > 15).astype(np.int32)}


def data_of(spec: harness.DataSpec) -> harness.Dataset:
    return harness.Dataset(ragged(100, seed=0), ragged(37, seed=1), spec)


class Masked(nnx.Module):
    """The mean of real tokens' vectors: more padding changes nothing."""

    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs):
        assert data.vocab_size is not None
        self.embed = nnx.Embed(data.vocab_size, 8, rngs=rngs)
        self.head = nnx.Linear(8, data.num_classes, rngs=rngs)

    def __call__(self, tokens):
        real = (tokens != 0)[:, :, None]
        total = jnp.where(real, self.embed(tokens), 0.0).sum(axis=1)
        return self.head(total / jnp.maximum(real.sum(axis=1), 1))


def examples_of(split: Split, spec: harness.DataSpec = CUT) -> feed.Examples:
    return feed.as_examples(split, spec, name="train", limit=None)


def train(dataset: harness.Dataset, factory: type[nnx.Module] = Masked) -> Heard:
    heard = Heard()
    model = build_model(factory, dataset.spec, {}, seed=0)
    fit(model, dataset, RECIPE, seed=0, emit=heard)
    return heard


@pytest.mark.parametrize(
    ("lengths", "cut"), [([1, 3], 3), ([4, 2], 6), ([6], 6), ([7, 1], 12), ([12], 12), ([0], 3)]
)
def test_a_batch_is_cut_to_the_first_bucket_that_holds_its_longest_example(
    lengths: list[int], cut: int
):
    x = np.zeros((len(lengths), 12), np.int32)
    for row, length in zip(x, lengths, strict=True):
        row[12 - length :] = np.arange(1, length + 1)
    told = jax.jit(lambda x: at_length(lambda x: (x.sum(), jnp.int32(x.shape[1])), x, CUT))(x)
    assert (int(told[0]), int(told[1])) == (int(x.sum()), cut)


def test_padding_behind_the_first_token_is_never_cut():
    x = np.zeros((1, 12), np.int32)
    x[0, 7] = 5  # and padding behind it
    assert int(at_length(lambda x: x.sum() * x.shape[1], jnp.asarray(x), CUT)) == 5 * 6


def test_without_buckets_the_batch_stays_whole():
    x = jnp.zeros((2, 12), jnp.int32)
    assert at_length(lambda given: given is x, x, WHOLE)


@pytest.mark.parametrize("kind", ["arrays", "source"])
def test_every_example_has_the_number_of_its_bucket(kind: str):
    split = ragged(50, seed=2)
    lengths = (split["x"] != 0).sum(axis=1)
    examples = examples_of(split if kind == "arrays" else Source(split))
    found = buckets_of(examples, CUT)
    assert found is not None
    expected = [0 if n <= 3 else 1 if n <= 6 else 2 for n in lengths]
    assert found.tolist() == expected and {*expected} == {0, 1, 2}
    assert buckets_of(examples, WHOLE) is None


def test_an_epoch_holds_the_same_examples_in_batches_of_about_one_bucket():
    bucket = np.random.RandomState(0).randint(0, 3, 100).astype(np.int32)
    plain = orders.training_order(100, batch_size=8, epochs=2, seed=0)
    sorted_ = orders.training_order(100, batch_size=8, epochs=2, seed=0, bucket=bucket)
    n = plain.chunks_per_epoch
    for epoch in (0, 1):
        part = range(epoch * n, (epoch + 1) * n)
        one, other = (np.concatenate([o[i] for i in part]) for o in (plain, sorted_))
        assert one.shape == other.shape == (12, 8)
        assert sorted(one.ravel()) == sorted(other.ravel())
        mixed = [len({*bucket[batch]}) > 1 for batch in other]
        assert sum(mixed) <= 2 < sum(len({*bucket[batch]}) > 1 for batch in one)
        # long and short batches take turns
        assert (np.diff(bucket[other[:, 0]]) < 0).any()


def test_batches_of_a_bucket_are_other_ones_in_every_epoch():
    bucket = np.zeros(100, np.int32)
    order = orders.training_order(100, batch_size=10, epochs=2, seed=0, bucket=bucket)
    n = order.chunks_per_epoch
    first, second = ({frozenset(batch) for batch in order[i]} for i in (0, n))
    assert first != second


def test_the_examples_of_an_epoch_are_sorted_once_however_many_chunks_it_has(
    monkeypatch: pytest.MonkeyPatch,
):
    by_bucket, sorted_ = orders.by_bucket, []

    def counted(batches: np.ndarray, bucket: np.ndarray, seed: int, epoch: int) -> np.ndarray:
        sorted_.append(epoch)
        return by_bucket(batches, bucket, seed, epoch)

    monkeypatch.setattr(orders, "by_bucket", counted)
    draw = np.random.RandomState(0)
    one, other = (
        orders.TrainingOrder(
            size=100, batch_size=8, chunk=3, epochs=2, seed=0,
            bucket=draw.randint(0, 3, 100).astype(np.int32),
        )
        for _ in range(2)
    )  # fmt: skip
    first = [one[i] for i in range(len(one))]
    assert len(first) == 8 and sorted_ == [0, 1]
    # an order that differs in its buckets alone has epochs of its own
    assert one == other and (other[0] != first[0]).any()


def test_what_was_told_in_the_order_of_buckets_comes_back_in_the_splits_own():
    bucket = np.array([2, 0, 1, 0, 2], np.int32)
    order = orders.eval_order(5, batch_size=2, bucket=bucket)
    flat = np.concatenate([order[i].ravel() for i in range(len(order))])
    assert flat.tolist() == [1, 3, 2, 0, 4, 0]
    assert order.restored(flat[:5] * 10).tolist() == [0, 10, 20, 30, 40]


def test_a_model_that_leaves_padding_out_is_evaluated_alike_with_and_without_buckets():
    # no step is taken between: the rate is nothing
    still = dataclasses.replace(RECIPE, learning_rate=1e-30, epochs=1)
    told = []
    for spec in (WHOLE, CUT):
        dataset, heard = data_of(spec), Heard()
        fit(build_model(Masked, spec, {}, seed=0), dataset, still, seed=0, emit=heard)
        told.append(heard)
    whole, cut = told
    assert whole.measured["test_accuracy"] == cut.measured["test_accuracy"]
    assert cut.measured["test_loss"] == pytest.approx(whole.measured["test_loss"], rel=1e-6)
    for name in ("test_predicted", "test_label", "test_probability"):
        np.testing.assert_allclose(whole.arrays[name], cut.arrays[name], atol=1e-3)
    assert len({*cut.arrays["test_predicted"]}) == 2


def test_training_on_buckets_learns_and_repeats_to_the_bit():
    first, again = train(data_of(CUT)), train(data_of(CUT))
    assert first.measured["params_hash"] == again.measured["params_hash"]
    losses = first.arrays["train_loss"]
    assert losses[-5:].mean() < losses[:5].mean()
    assert first.measured["recompiles"] == 0


def test_a_source_and_arrays_train_alike_on_buckets():
    dataset = data_of(CUT)
    streamed = harness.Dataset(Source(dataset.train), Source(dataset.test), CUT)
    assert train(dataset).measured["params_hash"] == train(streamed).measured["params_hash"]


class Fixed(Masked):
    """Knows one length alone."""

    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs):
        super().__init__(data, rngs=rngs)
        self.length = data.shape[0]

    def __call__(self, tokens):
        outputs = super().__call__(tokens)
        return outputs if tokens.shape[1] == self.length else outputs[:, None]


def test_a_model_that_serves_one_length_alone_is_told_the_one_that_it_does_not():
    with pytest.raises(ContractError, match=r"for x \[8, 3\]"):
        train(data_of(CUT), Fixed)


@pytest.mark.parametrize("buckets", [(6, 3, 12), (3, 6), (0, 12), (3, 3, 12), (12, 24)])
def test_buckets_that_are_none_are_refused(buckets: tuple[int, ...]):
    with pytest.raises(ContractError, match="ascending, the last one 12"):
        dataclasses.replace(WHOLE, buckets=buckets)


def test_only_padded_tokens_have_buckets():
    with pytest.raises(ContractError, match="pad_id None"):
        dataclasses.replace(WHOLE, pad_id=None, buckets=(6, 12))


def test_an_order_can_be_sent_to_another_process_also_once_it_was_used():
    bucket = np.arange(12, dtype=np.int32) % 3
    order = orders.TrainingOrder(12, batch_size=2, chunk=4, epochs=3, seed=0, bucket=bucket)
    chunks = [order[i] for i in range(len(order))]
    sent = pickle.loads(pickle.dumps(order))
    assert all(np.array_equal(sent[i], chunk) for i, chunk in enumerate(chunks))
    assert len(order._known) == 2  # however many epochs there were
