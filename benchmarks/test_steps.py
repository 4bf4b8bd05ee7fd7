"""Times a chunk of training steps and one of evaluation batches, every model on digits.

The unit of a round is one execution of the compiled chunk; `extra_info` says how many
steps that is, what the program costs, and the signals that `harness gate` compares. Data and
programs are ready before the clock starts, and every round ends with `block_until_ready`.
"""

from __future__ import annotations

from typing import Any

import jax
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import harness
from harness import cost, orders
from harness.assemble import Prepared, prepare
from harness.gate import probe
from harness.gate.signals import program_signals
from harness.index import open_registry
from harness.program import Compiled
from harness.recipe import Recipe

ROUNDS, WARM_UP = 20, 3


@pytest.fixture(scope="module")
def digits() -> harness.Dataset:
    return harness.load_dataset("digits")


@pytest.fixture(scope="module", params=open_registry().names("model"))
def prepared(request: pytest.FixtureRequest, digits: harness.Dataset) -> Prepared:
    model = harness.build_model(request.param, data=digits.spec, seed=0)
    return prepare(model, digits, Recipe(), seed=0, emit=lambda event: None)


def _signals(program: Compiled) -> dict[str, Any]:
    """The columns on a program's cost, and what the gate reads besides."""
    found = program_signals(probe.facts(program))
    gate = {"gate_signals": dict(found.numbers), "gate_operations": dict(found.operations)}
    return {**cost.program_cost(program), **gate}


def test_train_steps(benchmark: BenchmarkFixture, prepared: Prepared):
    trainer = prepared.trainer
    chunk = next(trainer.chunks())
    state = jax.tree.map(lambda a: a.copy(), prepared.state)

    def steps() -> None:
        nonlocal state  # the chunk donates its state
        state, losses, _ = trainer(state, chunk)
        assert len(losses) == chunk.steps

    benchmark.extra_info["steps"] = chunk.steps
    benchmark.extra_info.update(_signals(trainer.compiled))
    benchmark.pedantic(steps, rounds=ROUNDS, warmup_rounds=WARM_UP)


def test_eval_steps(benchmark: BenchmarkFixture, prepared: Prepared):
    evaluate = prepared.final
    benchmark.extra_info["steps"] = evaluate.order.batches
    benchmark.extra_info.update(_signals(evaluate.compiled))
    judged = benchmark.pedantic(
        evaluate, args=(prepared.state,), rounds=ROUNDS, warmup_rounds=WARM_UP
    )
    assert len(judged.answers["predicted"]) == len(evaluate.examples)
    assert isinstance(evaluate.order, orders.EvalOrder)
