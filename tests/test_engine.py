from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small import Bag, Heard, Source, arrays, token_data
from small_runs import RECIPE, train

import harness
from harness import feed
from harness.assemble import build_model, make_splits
from harness.engine import fit
from harness.errors import Diverged
from harness.events import Phase
from harness.recipe import Recipe


def digest(state) -> str:
    parts = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state.params)]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_a_run_says_everything_it_measured():
    _, heard = train()
    row = heard.measured
    assert row["param_count"] == 30 * 8 + 2 * 8 + 8 * 2 + 2
    assert [e["epoch"] for e in heard.epochs] == [1, 2, 3]
    assert row["test_accuracy"] == heard.epochs[-1]["test_accuracy"]
    assert row["best_epoch"] == 3
    assert row["recompiles"] == 0
    assert len(heard.arrays["train_loss"]) == 3 * 6
    assert heard.arrays["block_steps"].sum() == 18
    np.testing.assert_allclose(heard.arrays["block_s"].sum(), row["train_s"])
    np.testing.assert_allclose(sum(e["train_s"] for e in heard.epochs), row["train_s"])
    np.testing.assert_allclose(sum(e["eval_s"] for e in heard.epochs), row["eval_s"])
    assert row["first_step_ms"] > 0 and row["step_ms_p50"] <= row["step_ms_p90"]


def test_stored_predictions_give_the_stored_accuracy():
    data = token_data()
    _, heard = train(data=data)
    right = heard.arrays["test_predicted"] == arrays(data.test)["y"]
    np.testing.assert_array_equal(heard.arrays["test_label"], arrays(data.test)["y"])
    assert right.mean() == heard.measured["test_accuracy"]
    probability = heard.arrays["test_probability"].astype(np.float64)
    assert probability.min() >= 0.5 - 1e-3 and probability.max() <= 1


def test_training_learns():
    _, heard = train(Recipe(epochs=30, batch_size=16, learning_rate=3e-2))
    losses = heard.arrays["train_loss"]
    assert losses[-10:].mean() < 0.7 * losses[:10].mean()


def test_same_seed_same_bits_and_another_seed_others():
    assert digest(train()[0]) == digest(train()[0])
    assert digest(train()[0]) != digest(train(seed=1)[0])


PROGRAM = """
import sys; sys.path.insert(0, "tests")
from test_engine import digest, train
print(digest(train()[0]))
"""


def test_two_processes_train_to_the_same_bits():
    digests = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
        ).stdout.strip()
        for _ in range(2)
    }
    assert digests == {digest(train()[0])}


def test_data_too_large_for_the_device_trains_to_the_same_bits(monkeypatch):
    expected = digest(train()[0])
    monkeypatch.setattr(feed, "RESIDENT_BYTES", 1000)
    assert not make_splits(token_data(), RECIPE).train.resident
    assert digest(train()[0]) == expected


def test_data_that_streams_trains_to_the_same_bits_as_data_on_the_device():
    data = token_data()
    streamed = harness.Dataset(Source(data.train), Source(data.test), data.spec)
    resident_state, resident = train(data=data)
    streamed_state, heard = train(data=streamed)
    assert digest(resident_state) == digest(streamed_state)
    assert heard.measured["test_loss"] == resident.measured["test_loss"]


def test_what_ran_before_in_the_process_changes_nothing():
    before = digest(train()[0])
    train(seed=5)
    nnx.Rngs(0).params()
    assert digest(train()[0]) == before


def test_with_validation_the_test_set_is_read_once_at_the_chosen_epoch():
    recipe = Recipe(epochs=4, batch_size=16, validation=0.3, select="best", learning_rate=3e-2)
    _, heard = train(recipe, data=token_data(train=200))
    accuracies = [e["val_accuracy"] for e in heard.epochs]
    assert all("test_accuracy" not in e for e in heard.epochs)
    assert heard.measured["best_epoch"] == 1 + int(np.argmax(accuracies))
    assert heard.measured["val_accuracy"] == max(accuracies)
    assert "test_accuracy" in heard.measured


def test_the_state_of_the_best_epoch_is_the_one_of_a_shorter_training():
    long = Recipe(epochs=4, batch_size=16, validation=0.3, select="best", learning_rate=3e-2)
    state, heard = train(long)
    best = heard.measured["best_epoch"]
    short = Recipe(epochs=best, batch_size=16, validation=0.3, learning_rate=3e-2)
    again, once = train(short)
    assert digest(state) == digest(again)
    assert heard.measured["test_loss"] == once.measured["test_loss"]


def test_a_loss_that_is_not_finite_ends_the_run_with_its_step_and_keeps_what_was_measured():
    with np.errstate(all="ignore"), pytest.raises(Diverged, match=r"at step \d+"):
        heard = Heard()
        model = build_model(Exploding, token_data().spec, {}, seed=0)
        try:
            fit(model, token_data(), RECIPE, seed=0, emit=heard)
        finally:
            assert heard.measured["train_s"] > 0
            assert heard.measured["host_overhead_pct"] < 100
            steps = heard.arrays["block_steps"].sum()
            assert len(heard.arrays["train_loss"]) == steps == 6


class Exploding(Bag):
    """Outputs that are no longer finite from the eighth call on."""

    def __init__(self, data, *, rngs: nnx.Rngs):
        super().__init__(data, rngs=rngs)
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))

    def __call__(self, tokens):
        self.calls[...] = self.calls[...] + 1
        return super().__call__(tokens) / (self.calls[...] < 4)


class Prepared(nnx.Module):
    """Learns nothing; its outputs are the labels' counts in the split it was shown."""

    def __init__(self, data, *, rngs: nnx.Rngs):
        self.counts = nnx.Variable(jnp.zeros(data.num_classes))

    def prepare(self, train):
        self.counts[...] = jnp.bincount(train["y"], length=2).astype(jnp.float32)

    def __call__(self, x):
        return jnp.tile(self.counts[...][None], (x.shape[0], 1))


class Watchful(Source):
    """A source that remembers which examples were asked for."""

    def __init__(self, split):
        super().__init__(split)
        self.asked: set[int] = set()

    def __getitem__(self, index: int):
        self.asked.add(index)
        return super().__getitem__(index)


def test_a_trial_trains_and_validates_as_a_run_and_never_reads_the_test_set():
    recipe = Recipe(epochs=2, batch_size=16, validation=0.3, select="best", learning_rate=3e-2)
    data, heard = token_data(), Heard()
    test = Watchful(data.test)
    unread = dataclasses.replace(data, test=test)
    model = build_model(Bag, data.spec, {}, seed=0)
    state = fit(model, unread, recipe, seed=0, emit=heard, test=False)
    assert test.asked == {0}  # one example, to see what they are
    assert not [name for name in (*heard.measured, *heard.arrays) if name.startswith("test_")]
    run_state, run = train(recipe, data=data)
    assert digest(state) == digest(run_state)
    same = ("val_accuracy", "val_loss", "best_epoch", "params_hash", "hlo_hash")
    assert {n: heard.measured[n] for n in same} == {n: run.measured[n] for n in same}


def test_prepare_sees_the_training_split_without_the_validation_examples():
    recipe = Recipe(epochs=1, batch_size=16, validation=0.5)
    state, heard = train(recipe, factory=Prepared)
    counts = jax.tree.leaves(state.rest)[0]
    assert counts.sum() == 50
    assert heard.measured["param_count"] == 0
    assert Phase("prepare") in heard.events


CONSTANT = jnp.zeros((8,))


class Shared(Bag):
    """Two parameters made from one array that the module keeps."""

    def __init__(self, data, *, rngs: nnx.Rngs):
        super().__init__(data, rngs=rngs)
        self.one = nnx.Param(CONSTANT)
        self.two = nnx.Param(CONSTANT)

    def __call__(self, tokens):
        return super().__call__(tokens) + self.one[...].sum() + self.two[...].sum()


def test_training_takes_no_array_away_from_a_plugin():
    first = digest(train(factory=Shared)[0])
    assert digest(train(factory=Shared)[0]) == first
    assert CONSTANT.sum() == 0


class Unjudged(Bag):
    """Finite in training, not a number in evaluation."""

    def __call__(self, tokens):
        outputs = super().__call__(tokens)
        return outputs * jnp.nan if self.dropout.deterministic else outputs


def test_an_evaluation_that_is_not_finite_is_no_result():
    with pytest.raises(Diverged, match="evaluation loss nan"):
        train(factory=Unjudged)
