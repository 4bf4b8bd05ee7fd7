"""What a training says of its time: known extra work, waiting, recompilations, memory."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx
from small import Bag, Heard, Source, token_data
from small_runs import RECIPE, train

import harness
from harness import orders
from harness.assemble import build_model
from harness.engine import fit
from harness.events import EpochEnd, Progress
from harness.recipe import Recipe


class Sleepy(nnx.Module):
    """A step with known extra work: it waits so many milliseconds."""

    wait_ms = 0.0

    def __init__(self, data: harness.DataSpec, *, rngs: nnx.Rngs):
        self.bag = Bag(data, rngs=rngs)

    def __call__(self, tokens):
        def wait(tokens: np.ndarray) -> np.ndarray:
            time.sleep(type(self).wait_ms / 1e3)
            return np.asarray(tokens)

        shape = jax.ShapeDtypeStruct(tokens.shape, tokens.dtype)
        return self.bag(jax.pure_callback(wait, shape, tokens))


class Sleepier(Sleepy):
    wait_ms = 150.0


class Sleeping(Sleepy):
    wait_ms = 50.0


def test_known_extra_work_moves_the_step_times_by_its_ratio():
    # waiting dominates: nothing here depends on how fast the machine is. Six blocks each,
    # so that one that was held up moves no median
    recipe = Recipe(epochs=6, batch_size=20, eval_batch_size=100)
    short, long = (train(recipe, factory=f)[1].measured for f in (Sleeping, Sleepier))
    for name in ("step_ms_p50", "step_ms_p90", "step_ms_mean"):
        assert short[name] >= 50 and long[name] >= 150
        # 3 is what waiting alone would give; whatever else a step does is the same in both
        assert 2.2 < long[name] / short[name] < 3.4
    assert 2.6 < long["step_ms_p50"] / short["step_ms_p50"] < 3.1


def test_compiling_again_every_twentieth_step_shows():
    data, heard = token_data(), Heard()

    def emit(event) -> None:
        heard(event)
        if isinstance(event, EpochEnd):  # 20 steps of 5 examples
            size = 100 + event.values["epoch"]
            jax.jit(lambda x: x + 1)(np.ones(size, np.float32))

    model = build_model(Bag, data.spec, {}, seed=0)
    recipe = Recipe(epochs=6, batch_size=5, eval_batch_size=37)
    fit(model, data, recipe, seed=0, emit=emit)
    # the first evaluation is warm-up, and what is compiled in it
    assert heard.measured["recompiles"] == 5
    assert heard.measured["recompiled"] == "; ".join(
        f"<lambda>(float32[{100 + epoch}])" for epoch in (2, 3, 4, 5, 6)
    )


class Reading(Source):
    """A plugin that compiles whenever an example is read."""

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        jax.jit(lambda x: x + 1)(np.ones(1000 + index, np.float32))
        return super().__getitem__(index)


def test_what_a_source_compiles_while_steps_are_taken_shows(monkeypatch):
    monkeypatch.setattr(orders, "CHUNK_STEPS", 1)
    data = token_data()
    data = harness.Dataset(Reading(data.train), data.test, data.spec)
    _, heard = train(Recipe(epochs=1, batch_size=5, eval_batch_size=37), data=data)
    # 20 chunks of 5 examples, of which a handful are read ahead of the first step
    assert 20 < heard.measured["recompiles"] <= 100


class Slow(Source):
    """Takes 20 milliseconds for every tenth example, 200 an epoch."""

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        if index % 10 == 0:
            time.sleep(0.02)
        return super().__getitem__(index)


@pytest.mark.parametrize(
    ("source", "factory", "low", "high"),
    [
        # 200 ms of reading against 500 of steps an epoch, read ahead while they are taken
        (Slow, Sleeping, 0, 25),
        # the same reading against next to no steps: two threads cannot hide it
        (Slow, Bag, 60, 100),
        (Source, Sleeping, 0, 25),
    ],
    ids=["reading-is-hidden", "reading-is-the-brake", "reading-costs-nothing"],
)
def test_the_share_of_waiting_says_whether_streaming_kept_up(source, factory, low, high):
    data = token_data()
    data = harness.Dataset(source(data.train), data.test, data.spec)
    recipe = Recipe(epochs=8, batch_size=10, eval_batch_size=37)
    _, heard = train(recipe, data=data, factory=factory)
    assert low <= heard.measured["data_wait_pct"] <= high


def test_parts_and_half_precision_still_learn():
    recipe = Recipe(
        epochs=30, batch_size=16, learning_rate=3e-2, accumulate=4, precision="bfloat16"
    )
    losses = train(recipe)[1].arrays["train_loss"]
    assert losses[-10:].mean() < 0.7 * losses[:10].mean()


def test_the_cost_of_a_step_does_not_depend_on_its_parts():
    measured = [
        train(Recipe(epochs=1, batch_size=80, accumulate=parts))[1].measured
        for parts in (1, 2, 8)
    ]
    whole, *in_parts = (m["flops_per_step"] for m in measured)
    # adding up the parts' gradients is work of their own
    assert in_parts == pytest.approx([whole] * 2, rel=0.1)
    assert len({m["hlo_hash"] for m in measured}) == 3


def test_memory_does_not_grow_with_epochs():
    alive: list[int] = []
    data = token_data()

    def emit(event) -> None:
        if isinstance(event, EpochEnd):
            alive.append(len(jax.live_arrays()))

    model = build_model(Bag, data.spec, {}, seed=0)
    fit(model, data, dataclasses.replace(RECIPE, epochs=6), seed=0, emit=emit)
    assert len(alive) == 6 and len(set(alive[1:])) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc/self/statm")
def test_resident_memory_does_not_grow_with_epochs():
    resident_mb: list[float] = []
    # 2 MB of examples: a copy kept every epoch would be 50 MB at the end
    data = token_data(train=40_000)

    def emit(event) -> None:
        if isinstance(event, EpochEnd):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            resident_mb.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)

    model = build_model(Bag, data.spec, {}, seed=0)
    recipe = Recipe(epochs=30, batch_size=2000, eval_batch_size=37)
    fit(model, data, recipe, seed=0, emit=emit)
    assert max(resident_mb[5:]) - resident_mb[5] < 15


def test_compiling_right_after_the_first_step_counts():
    data, heard = token_data(), Heard()

    def emit(event) -> None:
        heard(event)
        if isinstance(event, Progress):
            jax.jit(lambda x: x - 1)(np.ones(977, np.float32))

    model = build_model(Bag, data.spec, {}, seed=0)
    fit(model, data, dataclasses.replace(RECIPE, epochs=1), seed=0, emit=emit)
    assert heard.measured["recompiles"] == 1
    assert heard.measured["recompiled"] == "<lambda>(float32[977])"
