"""Is a loop with a bound known at run time slower than `lax.scan` of fixed length?

The engine's chunk is a `fori_loop` whose number of steps is an argument. Here the same
step of the transformer, on tokens of IMDB's shape drawn at random, runs both ways in
turn; printed are medians and the ratio pair by pair, and whether the losses are equal to
the bit.

    python benchmarks/chunk_loop.py
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from typing import Any

import jax
import numpy as np
from jax import lax

import harness
from harness import machine, program
from harness.optimizers import make_optimizer
from harness.recipe import Recipe

STEPS, BATCH, PAIRS = 15, 128, 10


def main() -> None:
    if sys.argv[1:]:
        sys.exit(f"{__doc__}\nIt takes no arguments.")
    spec = harness.DataSpec(
        kind="tokens", shape=(200,), vocab_size=20_000, num_classes=2, pad_id=0
    )
    random = np.random.RandomState(0)
    data = {
        "x": jax.device_put(random.randint(0, 20_000, (4096, 200)).astype(np.int32)),
        "y": jax.device_put(random.randint(0, 2, 4096).astype(np.int32)),
    }
    positions = random.permutation(4096)[: STEPS * BATCH].astype(np.int32)
    payload = positions.reshape(STEPS, BATCH)  # [k, b]
    split, params, rest = program.split_model(
        harness.build_model("transformer", data=spec, seed=0)
    )
    optimizer = make_optimizer(Recipe(), steps=STEPS)
    state = program.TrainState(params, rest, optimizer.init(params))

    def step(state: program.TrainState, batch: program.Batch) -> Any:
        return program.train_step(split, optimizer, state, batch)

    def scan(state: program.TrainState, data: Any, payload: Any) -> Any:
        return lax.scan(lambda s, p: step(s, (data["x"][p], data["y"][p])), state, payload)

    fixed = program.compile_ahead(scan, state, data, payload, donate=(0,)).call
    chunk = program.train_chunk(step, STEPS)
    count = np.int32(STEPS)
    open_ = program.compile_ahead(chunk, state, data, payload, count, donate=(0,)).call
    report(state, lambda s: fixed(s, data, payload), lambda s: open_(s, data, payload, count))


def report(state: program.TrainState, scan: Any, loop: Any) -> None:
    """Runs both in turn, PAIRS times after one warm-up, and prints what came out."""
    states = [jax.tree.map(jax.numpy.copy, state) for _ in range(2)]
    times: list[tuple[float, float]] = []
    equal = True
    for _ in range(PAIRS + 1):
        pair, losses = [], []
        for i, run in enumerate((scan, loop)):
            start = time.perf_counter()
            states[i], out = jax.block_until_ready(run(states[i]))
            pair.append(1e3 * (time.perf_counter() - start) / STEPS)
            losses.append(np.asarray(out))
        times.append((pair[0], pair[1]))
        equal = equal and bool((losses[0] == losses[1]).all())
    ratios = [b / a for a, b in times[1:]]
    print("| | step ms, median | min | max |\n|---|---:|---:|---:|")
    for i, name in enumerate(("lax.scan, fixed length", "fori_loop, bound at run time")):
        column = [pair[i] for pair in times[1:]]
        low, high = min(column), max(column)
        print(f"| {name} | {statistics.median(column):.1f} | {low:.1f} | {high:.1f} |")
    print(f"| ratio loop/scan, pair by pair | {statistics.median(ratios):.3f} "
          f"| {min(ratios):.3f} | {max(ratios):.3f} |")  # fmt: skip
    place = machine.versions()
    print(f"\n{PAIRS} pairs of {STEPS} steps, {BATCH} examples each; equal losses: {equal}")
    print(f"{machine.cpu_model()}, {platform.machine()}, jax {place['jax_version']}")


if __name__ == "__main__":
    main()
