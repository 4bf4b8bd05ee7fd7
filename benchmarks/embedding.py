"""Where a step of mean_pool goes: its parts by themselves, and other ways to do them.

Nearly all of the model is a table of 20,000 token vectors. A step takes 25,600 of its
rows, adds as many rows up for the gradient, and lets Adam go over the whole table. Each
part runs in the engine's loop, compiled alone, at the sizes of IMDB's batches; words are
as unevenly frequent as in text (Zipf). The parts do not add up to the step exactly: what
fuses or runs side by side in it does not do so here.

    python -m benchmarks.embedding
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import harness
from benchmarks.levers import ratio_text
from harness import machine, program
from harness.allocator import worker_environment
from harness.optimizers import make_optimizer
from harness.recipe import Recipe

STEPS, BATCH, LENGTH, WORDS, WIDTH, ROUNDS = 50, 128, 200, 20_000, 32, 15
SPEC = harness.DataSpec(
    kind="tokens", shape=(LENGTH,), vocab_size=WORDS, num_classes=2, pad_id=0
)
LOSS = np.float32(0)  # the parts have none
Part = Callable[[Any, program.Batch], tuple[Any, Any]]


def gather(state: Any, batch: program.Batch, *, mode: str) -> tuple[Any, Any]:
    """Takes the rows of a batch and averages them."""
    table, means = state
    rows = table.at[batch[0]].get(mode=mode)  # [b, t, d]
    return (table, means + rows.mean(axis=1)), LOSS


def scatter(state: Any, batch: program.Batch, *, parts: int) -> tuple[Any, Any]:
    """Adds a batch's gradients `[b, d]` up by word, `parts` pieces side by side."""
    table, grads = state
    rows = jnp.broadcast_to(grads[:, None], (BATCH, LENGTH, WIDTH))
    for words, values in zip(jnp.split(batch[0], parts), jnp.split(rows, parts), strict=True):
        table = table + jnp.zeros_like(table).at[words].add(values)
    return (table, grads), LOSS


def count(state: Any, batch: program.Batch) -> tuple[Any, Any]:
    """The same gradient as a product: how often each word is in each text, times `[b, d]`."""
    table, grads = state
    texts = jnp.arange(BATCH)[:, None]
    counts = jnp.zeros((BATCH, WORDS)).at[texts, batch[0]].add(1.0)
    return (table + counts.T @ grads, grads), LOSS


def adam(state: Any, batch: program.Batch) -> tuple[Any, Any]:
    """Adam over the table, for a gradient that is there already."""
    table, opt_state = state
    updates, opt_state = optax.adam(1e-3).update(1e-3 * table, opt_state, table)
    return (optax.apply_updates(table, updates), opt_state), LOSS


class Arm:
    """One part, compiled into the engine's loop, with a state of its own."""

    def __init__(self, step: Any, state: Any) -> None:
        random = np.random.RandomState(0)
        ranks = np.exp(random.uniform(0, np.log(WORDS), (STEPS * BATCH, LENGTH)))
        x = np.minimum(ranks, WORDS - 1).astype(np.int32)
        y = random.randint(0, 2, len(x)).astype(np.int32)
        self.data = jax.device_put({"x": x, "y": y})
        self.payload = random.permutation(len(x)).reshape(STEPS, BATCH).astype(np.int32)
        self.state = jax.tree.map(jnp.copy, state)
        self.compiled = program.compile_ahead(
            program.train_chunk(step, STEPS), self.state, self.data, self.payload,
            np.int32(1), donate=(0,),
        )  # fmt: skip

    def step_ms(self) -> float:
        """Runs one chunk; milliseconds a step."""
        start = time.perf_counter()
        self.state, _ = jax.block_until_ready(
            self.compiled.call(self.state, self.data, self.payload, np.int32(STEPS))
        )
        return 1e3 * (time.perf_counter() - start) / STEPS


def whole_step(selection: str, recipe: Recipe) -> Arm:
    """The training step of a model."""
    split, params, rest = program.split_model(harness.build_model(selection, data=SPEC, seed=0))
    optimizer = make_optimizer(recipe, steps=STEPS)
    step = partial(program.train_step, split, optimizer)
    return Arm(step, program.TrainState(params, rest, optimizer.init(params)))


def all_arms() -> dict[str, Arm]:
    table = jax.random.normal(jax.random.key(0), (WORDS, WIDTH))
    vectors = jnp.full((BATCH, WIDTH), 1e-9)
    return {
        "mean_pool's step": whole_step("mean_pool", Recipe()),
        "... without dropout": whole_step("mean_pool[dropout=0.0]", Recipe()),
        "... without dropout, with SGD": whole_step(
            "mean_pool[dropout=0.0]", Recipe(optimizer="sgd")
        ),
        "rows taken and averaged": Arm(partial(gather, mode="fill"), (table, vectors)),
        "... ids not checked": Arm(partial(gather, mode="promise_in_bounds"), (table, vectors)),
        "gradient added up": Arm(partial(scatter, parts=1), (table, vectors)),
        "... in 2 halves": Arm(partial(scatter, parts=2), (table, vectors)),
        "... as counts times gradients": Arm(count, (table, vectors)),
        "Adam over the table": Arm(adam, (table, optax.adam(1e-3).init(table))),
    }


def measure() -> None:
    arms = all_arms()
    times: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(ROUNDS + 1):
        for name, arm in arms.items():
            times[name].append(arm.step_ms())
    whole = next(iter(times.values()))[1:]
    print("| | ms | times the step |\n|---|---:|---:|")
    for name, values in times.items():
        print(f"| {name} | {median(values[1:]):.3f} | {ratio_text(values[1:], whole)} |")
    print(f"\n{ROUNDS} rounds of {STEPS} steps, {BATCH} examples each.")
    jax_version = machine.versions()["jax_version"]
    print(f"{machine.cpu_model()}, {os.cpu_count()} cores, jax {jax_version}")


def main() -> None:
    if sys.argv[1:] == ["here"]:
        measure()
        return
    if sys.argv[1:]:
        sys.exit(f"{__doc__}\nIt takes no arguments.")
    # as a worker is started: with huge pages
    command = [sys.executable, "-m", "benchmarks.embedding", "here"]
    sys.exit(subprocess.run(command, env=worker_environment(os.environ)).returncode)


if __name__ == "__main__":
    main()
